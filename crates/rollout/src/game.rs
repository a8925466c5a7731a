//! The rules of play, and a played trajectory as a conversation.

use turnwise_envs::{Env, Task};
use turnwise_tools::{CallFormat, Executor, Sandbox};
use turnwise_trajectory::{Message, Role, TokenId, Trajectory};

use crate::chat::ChatFormat;
use crate::limits::Limits;
use crate::messages::{offer, opening, outputs};
use crate::turn_end::TurnEnd;

/// Holds everything that trajectories are played with except the policy.
#[derive(Clone, Copy)]
pub struct Game<'a> {
    /// The environment, with tasks and answers.
    pub env: &'a dyn Env,
    /// The chat format, from messages to tokens.
    pub chat: &'a dyn ChatFormat,
    /// The call format, from text to calls.
    pub format: &'a dyn CallFormat,
    /// The executor of the tool `python`.
    pub executor: &'a dyn Executor,
    /// Limits of a trajectory.
    pub limits: Limits,
    /// Whether the system message describes the tools; a model that was trained on them may not need it.
    pub describe_tools: bool,
    /// Whether the first complete call ends its turn. Otherwise the turn goes on and may hold several calls.
    pub stop_at_call: bool,
    /// Whether the calls of a trajectory share one interpreter state, as in a notebook.
    pub keep_state: bool,
}

impl Game<'_> {
    /// Returns the messages before the first assistant turn.
    pub fn opening(&self, task: &Task) -> Vec<Message> {
        opening(self.env, self.format, self.describes_tools(), task)
    }

    /// Returns the tokens of a prompt that opens with `messages`, or why the chat template refuses it.
    pub(crate) fn prompt(&self, messages: Vec<Message>) -> Result<Vec<TokenId>, String> {
        let described = self.describes_tools();
        let messages = if described { offer(messages, self.format, self.env.tools()) } else { messages };
        self.chat.open(&messages).map_err(|refusal| refusal.to_string())
    }

    fn describes_tools(&self) -> bool {
        self.describe_tools && !self.chat.shows_tools()
    }

    /// Returns the sandbox that the Python tools of all trajectories share.
    pub(crate) fn sandbox(&self) -> Sandbox<'_> {
        Sandbox { executor: self.executor, keep_state: self.keep_state }
    }

    /// Returns the rule that ends a turn.
    pub(crate) fn turn_end(&self) -> TurnEnd<'_> {
        let has_tools = !self.env.tools().is_empty();
        TurnEnd { chat: self.chat, format: self.format, has_tools, at_call: self.stop_at_call }
    }

    /// Returns a finished trajectory as a conversation.
    pub fn conversation(&self, task: &Task, played: &Trajectory) -> Vec<Message> {
        let mut messages = self.opening(task);
        for (j, turn) in played.turns.iter().enumerate() {
            messages.push(Message::new(Role::Assistant, turn.text.clone()));
            // The policy never read the outputs of the last turn.
            if j + 1 < played.turns.len() {
                messages.extend(outputs(self.chat, self.format, &turn.calls, self.limits.observation_tokens));
                messages.extend(turn.reply.iter().map(|reply| Message::new(Role::User, reply.as_str())));
            }
        }
        messages
    }
}
