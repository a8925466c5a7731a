//! The rules that trajectories are played by, and a played one as the conversation it was.

use turnwise_envs::{Env, Task};
use turnwise_tools::{CallFormat, Executor};
use turnwise_trajectory::{Message, Role, Trajectory};

use crate::chat::ChatFormat;
use crate::limits::Limits;
use crate::messages::{opening, outputs};
use crate::turn_end::TurnEnd;

/// Everything that a trajectory is played with, except the policy.
#[derive(Clone, Copy)]
pub struct Game<'a> {
    /// Tasks and answers.
    pub env: &'a dyn Env,
    /// Messages to tokens.
    pub chat: &'a dyn ChatFormat,
    /// Text to calls.
    pub format: &'a dyn CallFormat,
    /// Calls to outputs.
    pub executor: &'a dyn Executor,
    /// Bounds.
    pub limits: Limits,
    /// Whether the system message describes the tools; a model that was trained on them may not need it.
    pub describe_tools: bool,
    /// Whether the first complete call ends its turn. Otherwise a turn goes on to its end and may hold several.
    pub stop_at_call: bool,
    /// Whether the calls of a trajectory share one interpreter state, as in a notebook.
    pub keep_state: bool,
}

impl Game<'_> {
    /// The messages before the first assistant turn.
    pub fn opening(&self, task: &Task) -> Vec<Message> {
        opening(self.env, self.format, self.describe_tools && !self.chat.shows_tools(), task)
    }

    /// What ends a turn.
    pub(crate) fn turn_end(&self) -> TurnEnd<'_> {
        TurnEnd { chat: self.chat, format: self.format, at_call: self.stop_at_call }
    }

    /// A finished trajectory as the conversation it was.
    pub fn conversation(&self, task: &Task, played: &Trajectory) -> Vec<Message> {
        let mut messages = self.opening(task);
        for (j, turn) in played.turns.iter().enumerate() {
            messages.push(Message::new(Role::Assistant, turn.text.clone()));
            // Nobody read the outputs of the last turn.
            if j + 1 < played.turns.len() {
                messages.extend(outputs(self.chat, self.format, &turn.calls, self.limits.observation_tokens));
            }
        }
        messages
    }
}
