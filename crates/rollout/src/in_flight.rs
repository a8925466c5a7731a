//! Advances one trajectory: its sampled turns, the outputs of its calls, its session and its limits.

use std::sync::Arc;

use turnwise_envs::{Again, Closing, Opened, Retries, Session, Start, Step, Task};
use turnwise_tools::{Arguments, CallContext, Cause, Fault, Tool};
use turnwise_trajectory::{
    CallRecord, Completion, Finish, Message, OutputStatus, Role, Stop, TokenId, ToolCall, ToolOutput,
    Trajectory, Turn,
};

use crate::calls::calls;
use crate::chat::ChatError;
use crate::context::Context;
use crate::game::Game;
use crate::limits::TURN_BYTES;
use crate::lost::Lost;
use crate::messages::outputs;

/// Identifies a group in its play.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GroupPlace {
    pub(crate) group: usize,
    /// Number of earlier groups with the same task.
    pub(crate) occurrence: u32,
}

/// Holds a trajectory in progress.
pub(crate) struct InFlight<'a> {
    /// Its task, and its group's index in the play.
    pub(crate) task: &'a Task,
    pub(crate) place: GroupPlace,
    pub(crate) trajectory: Trajectory,
    tokens: Vec<TokenId>,
    pub(crate) done: bool,
    /// Number of calls of the current turn without an output yet.
    awaited: usize,
    /// The first call of the turn that ended in a fault, with the fault.
    fault: Option<(usize, Fault)>,
    /// Why the trajectory is lost, if it is.
    lost: Option<String>,
    /// The tools of its calls, shared with the threads that run them.
    tools: Arc<[Box<dyn Tool + 'a>]>,
    /// Its session, absent while it processes a turn or the end.
    session: Option<Box<dyn Session + 'a>>,
    /// Positions of the turn's calls that the session answers.
    own: Vec<usize>,
    /// Whether the session ends the trajectory after this turn.
    ended_by_session: bool,
    /// Faults of the environment that have cost sessions.
    retries: Retries,
}

/// Holds calls of one turn that run one after the other.
pub(crate) struct ToolCalls<'a> {
    tools: Arc<[Box<dyn Tool + 'a>]>,
    turn: usize,
    calls: Vec<ToolCallAt>,
}

/// Holds a call on its way to a tool.
struct ToolCallAt {
    /// Index of the tool.
    tool: usize,
    /// Position in the turn.
    position: usize,
    arguments: Arguments,
}

impl ToolCalls<'_> {
    /// Returns outputs by position.
    pub(crate) fn answer(self) -> Vec<(usize, Result<ToolOutput, Fault>)> {
        let answer = |ToolCallAt { tool, position, arguments }| {
            let context = CallContext { turn: self.turn, position };
            (position, self.tools[tool].call(&arguments, context))
        };
        self.calls.into_iter().map(answer).collect()
    }
}

impl<'a> InFlight<'a> {
    /// Returns a trajectory without a session yet.
    pub(crate) fn new(task: &'a Task, place: GroupPlace, sample: u32) -> Self {
        let trajectory =
            Trajectory { task: task.id.clone(), sample, prompt: vec![], turns: vec![], stop: Stop::Answer };
        Self {
            task,
            place,
            trajectory,
            tokens: vec![],
            done: false,
            awaited: 0,
            fault: None,
            lost: None,
            tools: Arc::new([]),
            session: None,
            own: vec![],
            ended_by_session: false,
            retries: Retries::default(),
        }
    }

    /// Returns the start of its session.
    pub(crate) fn start(&self, game: &'a Game<'a>) -> Start<'a> {
        let sample = self.trajectory.sample;
        Start { task: self.task, sample, sandbox: game.sandbox(), tools_beside: false }
    }

    /// Opens with a session and a prompt. A trajectory whose prompt the chat template refused is lost.
    pub(crate) fn open(
        &mut self,
        opened: Opened<'a>,
        prompt: &Result<Vec<TokenId>, String>,
        game: &Game<'_>,
    ) {
        self.tools = opened.tools.into();
        self.session = Some(opened.session);
        match prompt {
            Err(refusal) => self.lose(refusal.clone()),
            Ok(prompt) => {
                self.trajectory.prompt.clone_from(prompt);
                self.tokens.clone_from(prompt);
                if prompt.len() >= game.limits.tokens {
                    self.end(Stop::ContextLimit);
                }
            }
        }
    }

    /// Counts a fault. Resets to the state before its session, unless it was the last one.
    pub(crate) fn restart(&mut self, cause: Cause) -> Again {
        let again = self.retries.after(cause);
        if again != Again::Never {
            let (sample, retries) = (self.trajectory.sample, self.retries);
            *self = Self { retries, ..Self::new(self.task, self.place, sample) };
        }
        again
    }

    /// Returns whether it plays while its process holds no other session.
    pub(crate) fn is_alone(&self) -> bool {
        self.retries.is_alone()
    }

    /// Returns the next turn's context for the policy.
    pub(crate) fn context(&self, index: usize, game: &Game<'_>) -> Context<'a> {
        Context {
            index,
            task: &self.task.id,
            occurrence: self.place.occurrence,
            sample: self.trajectory.sample,
            turn: self.trajectory.turns.len(),
            tokens: self.tokens.clone(),
            max_new: game.limits.turn_tokens.min(game.limits.tokens - self.tokens.len()),
        }
    }

    /// Appends a sampled turn and returns its calls to tools.
    ///
    /// Malformed calls are recorded at once. The others have rejected outputs until the real ones arrive.
    /// Calls beyond the limit of a turn stay rejected.
    pub(crate) fn take(&mut self, completion: Completion, game: &Game<'_>) -> Vec<ToolCalls<'a>> {
        self.tokens.extend_from_slice(&completion.tokens);
        let mut text = game.turn_end().text(&completion.tokens, completion.finish);
        let mut finish = completion.finish;
        if text.len() > TURN_BYTES {
            text.truncate(text.floor_char_boundary(TURN_BYTES));
            finish = Finish::Length;
        }
        let (mut accepted, at_most) = (Vec::new(), game.limits.turn_calls);
        let found = calls(game.format, game.chat.opening(), &text, game.env.tools());
        let mut record = |(position, call): (usize, Result<ToolCall, _>)| match call {
            Ok(call) if accepted.len() >= at_most => CallRecord::Executed {
                call,
                output: ToolOutput::fails(OutputStatus::Rejected, too_many(at_most)),
            },
            Ok(call) => {
                accepted.push((position, call.clone()));
                CallRecord::Executed { call, output: ToolOutput::of(OutputStatus::Rejected) }
            }
            Err(malformed) => CallRecord::Malformed(malformed),
        };
        let calls = found.into_iter().enumerate().map(&mut record).collect();
        self.trajectory.turns.push(Turn {
            text,
            tokens: completion.tokens,
            logprobs: completion.logprobs,
            finish,
            calls,
            version: completion.version,
            retries: completion.retries,
            ..Turn::default()
        });
        self.route(accepted)
    }

    /// Returns the calls to tools and notes those that the session answers.
    fn route(&mut self, calls: Vec<(usize, ToolCall)>) -> Vec<ToolCalls<'a>> {
        let turn = self.trajectory.turns.len() - 1;
        let mut routed: Vec<ToolCalls<'a>> = Vec::new();
        self.own.clear();
        self.awaited = 0;
        for (position, ToolCall { name, arguments, .. }) in calls {
            let Some(tool) = self.tools.iter().position(|tool| tool.spec().name == name) else {
                self.own.push(position);
                continue;
            };
            self.awaited += 1;
            let call = ToolCallAt { tool, position, arguments };
            // Tools that keep an order keep it among each other: they may share a state.
            let in_order = |tool: usize| self.tools[tool].in_order();
            let queue = routed.iter_mut().find(|queue| in_order(queue.calls[0].tool));
            match queue.filter(|_| in_order(tool)) {
                Some(queue) => queue.calls.push(call),
                None => routed.push(ToolCalls { tools: self.tools.clone(), turn, calls: vec![call] }),
            }
        }
        routed
    }

    /// Records outputs of tools, in any order. Returns whether all have arrived.
    pub(crate) fn receive_outputs(&mut self, outputs: Vec<(usize, Result<ToolOutput, Fault>)>) -> bool {
        self.awaited -= outputs.len();
        for (position, outcome) in outputs {
            match outcome {
                Ok(output) => self.record(position, output),
                Err(fault) => {
                    if self.fault.as_ref().is_none_or(|(first, _)| position < *first) {
                        self.fault = Some((position, fault));
                    }
                }
            }
        }
        self.awaited == 0
    }

    /// Returns the fault of this turn's calls, if there is one.
    pub(crate) fn take_fault(&mut self) -> Option<Fault> {
        self.fault.take().map(|(_, fault)| fault)
    }

    fn turn(&mut self) -> &mut Turn {
        self.trajectory.turns.last_mut().expect("a turn was just played")
    }

    fn record(&mut self, position: usize, answer: ToolOutput) {
        match &mut self.turn().calls[position] {
            CallRecord::Executed { output, .. } => *output = answer,
            CallRecord::Malformed(_) => panic!("a malformed call is never run"),
        }
    }

    /// Hands out the session with its turn and the positions of the calls that it answers.
    pub(crate) fn lend_session(&mut self) -> (Box<dyn Session + 'a>, Turn, Vec<usize>) {
        let session = self.take_session().expect("a trajectory in play has its session");
        (session, self.turn().clone(), self.own.clone())
    }

    /// Takes the session of a trajectory that has ended; none if it was lost.
    pub(crate) fn take_session(&mut self) -> Option<Box<dyn Session + 'a>> {
        self.session.take()
    }

    /// Records the session's step, and appends the observation or ends the trajectory.
    pub(crate) fn receive_step(&mut self, session: Box<dyn Session + 'a>, step: Step, game: &Game<'_>) {
        self.session = Some(session);
        for (position, output) in std::mem::take(&mut self.own).into_iter().zip(step.outputs) {
            self.record(position, output);
        }
        let turn = self.turn();
        (turn.rewards, turn.reply, turn.correct) = (step.rewards, step.message, step.correct);
        self.ended_by_session = step.done;
        match self.observe(game) {
            Ok(None) => {}
            Ok(Some(stop)) => self.end(stop),
            Err(refusal) => self.lose(refusal.to_string()),
        }
    }

    /// Records the rewards that are known at the end. Returns why the last turn can't hold them, if it can't.
    pub(crate) fn receive_closing(&mut self, closing: &Closing) -> Option<String> {
        let turn = self.trajectory.turns.last_mut()?;
        turn.rewards.extend(&closing.rewards);
        turn.correct = closing.correct.or(turn.correct);
        turn.rewards.overfull()
    }

    /// Ends the trajectory and marks it as lost.
    pub(crate) fn lose(&mut self, reason: String) {
        self.lost = Some(reason);
        self.session = None;
        self.end(self.trajectory.stop);
    }

    /// Ends the trajectory at the context limit, before its next turn.
    pub(crate) fn fill(&mut self) {
        // The last turn has no observation.
        if let Some(turn) = self.trajectory.turns.last_mut() {
            turn.observation.clear();
        }
        self.end(Stop::ContextLimit);
    }

    fn end(&mut self, stop: Stop) {
        self.trajectory.stop = stop;
        self.done = true;
        // Frees interpreters and servers of the trajectory now, not at the end of the play.
        self.tools = Arc::new([]);
    }

    /// Appends the observation, or returns why the trajectory ends.
    fn observe(&mut self, game: &Game<'_>) -> Result<Option<Stop>, ChatError> {
        let turns = self.trajectory.turns.len();
        let turn = self.trajectory.turns.last_mut().expect("a turn was just played");
        let silent = turn.reply.is_none() || self.ended_by_session;
        if turn.finish == Finish::Length {
            return Ok(Some(Stop::Truncated));
        } else if turn.calls.is_empty() && silent {
            return Ok(Some(Stop::Answer));
        } else if self.ended_by_session {
            return Ok(Some(Stop::Done));
        } else if turns >= game.limits.turns {
            return Ok(Some(Stop::TurnLimit));
        }
        let mut messages = outputs(game.chat, game.format, &turn.calls, game.limits.observation_tokens);
        messages.extend(turn.reply.iter().map(|reply| Message::new(Role::User, reply.as_str())));
        let observation = game.chat.follow(&messages, turn.finish == Finish::EndOfTurn)?;
        if self.tokens.len() + observation.len() >= game.limits.tokens {
            return Ok(Some(Stop::ContextLimit));
        }
        self.tokens.extend_from_slice(&observation);
        turn.observation = observation;
        Ok(None)
    }

    /// Returns the trajectory, unless it was lost.
    pub(crate) fn whole(&self) -> Option<&Trajectory> {
        Some(&self.trajectory).filter(|_| self.lost.is_none())
    }

    /// Returns the trajectory, or the reason for its loss.
    pub(crate) fn finish(self) -> Result<Trajectory, Lost> {
        self.trajectory.check();
        let sample = self.trajectory.sample;
        match self.lost {
            Some(reason) => Err(Lost { task: self.trajectory.task, sample, reason }),
            None => Ok(self.trajectory),
        }
    }
}

/// Returns the output of a call beyond the limit.
fn too_many(at_most: usize) -> String {
    format!("not run: a turn runs at most {at_most} calls")
}
