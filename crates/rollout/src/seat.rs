//! One trajectory in progress: what a sampled turn, the outputs of its calls and the limits make of it.

use turnwise_envs::Task;
use turnwise_tools::ExecutorFault;
use turnwise_trajectory::{
    CallRecord, Finish, OutputStatus, Stop, TokenId, ToolCall, ToolOutput, Trajectory, Turn,
};

use crate::chat::ChatError;
use crate::game::Game;
use crate::limits::TURN_BYTES;
use crate::lost::Lost;
use crate::messages::outputs;
use crate::policy::{Completion, Context};
use crate::state::State;

/// The place of a group in its play.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) group: usize,
    /// Groups before it with the same task.
    pub(crate) occurrence: u32,
}

/// A trajectory and where it stands.
pub(crate) struct Seat<'a> {
    /// Its task, and the task's place in the play.
    pub(crate) task: &'a Task,
    pub(crate) place: Place,
    pub(crate) trajectory: Trajectory,
    tokens: Vec<TokenId>,
    pub(crate) done: bool,
    /// Calls of the current turn that are yet to come back.
    awaited: usize,
    /// The first call of the turn that a fault of ours cost, with the fault.
    fault: Option<(usize, ExecutorFault)>,
    /// Why the trajectory is lost, if it is.
    lost: Option<String>,
    /// What its calls share. Away while a call runs.
    state: Option<State>,
}

impl<'a> Seat<'a> {
    /// A trajectory before its first turn. One without a prompt, which the chat template refused, is lost.
    pub(crate) fn new(
        task: &'a Task,
        place: Place,
        sample: u32,
        prompt: &Result<Vec<TokenId>, String>,
        game: &Game<'_>,
    ) -> Self {
        let (prompt, lost) = match prompt {
            Ok(prompt) => (prompt.as_slice(), None),
            Err(refusal) => (&[][..], Some(refusal.clone())),
        };
        let full = prompt.len() >= game.limits.tokens;
        let trajectory = Trajectory {
            task: task.id.clone(),
            sample,
            prompt: prompt.to_vec(),
            turns: vec![],
            stop: if full { Stop::ContextLimit } else { Stop::Answer },
        };
        let (tokens, done) = (prompt.to_vec(), full || lost.is_some());
        Self { task, place, trajectory, tokens, done, awaited: 0, fault: None, lost, state: None }
    }

    /// The next turn, for the policy.
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

    /// Appends a sampled turn and gives the calls in it that are to be run, by position. Malformed ones are
    /// recorded at once; the places of the others are kept by a rejected output until the real one is there.
    /// Calls beyond the limit of a turn stay rejected.
    pub(crate) fn take(&mut self, completion: Completion, game: &Game<'_>) -> Vec<(usize, ToolCall)> {
        self.tokens.extend_from_slice(&completion.tokens);
        let mut text = game.turn_end().text(&completion.tokens, completion.finish);
        let mut finish = completion.finish;
        if text.len() > TURN_BYTES {
            text.truncate(text.floor_char_boundary(TURN_BYTES));
            finish = Finish::Length;
        }
        let (mut jobs, at_most) = (Vec::new(), game.limits.turn_calls);
        let found = game.format.parse_checked_from(game.chat.opening(), &text, game.env.tools());
        let mut record = |(position, call): (usize, Result<ToolCall, _>)| match call {
            Ok(call) if jobs.len() >= at_most => CallRecord::Executed {
                call,
                output: ToolOutput { error: Some(too_many(at_most)), ..pending() },
            },
            Ok(call) => {
                jobs.push((position, call.clone()));
                CallRecord::Executed { call, output: pending() }
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
            observation: Vec::new(),
            version: completion.version,
        });
        self.awaited = jobs.len();
        jobs
    }

    /// The state that its calls share, for the thread that runs them.
    pub(crate) fn lend_state(&mut self) -> State {
        self.state.take().unwrap_or_default()
    }

    /// Takes the outputs of calls, in any order, and their state if they had one. Says whether all are there now.
    pub(crate) fn heard(
        &mut self,
        outputs: Vec<(usize, Result<ToolOutput, ExecutorFault>)>,
        state: Option<State>,
    ) -> bool {
        self.state = state;
        self.awaited -= outputs.len();
        let turn = self.trajectory.turns.last_mut().expect("the turn that made the calls");
        for (position, outcome) in outputs {
            match (outcome, &mut turn.calls[position]) {
                (Ok(heard), CallRecord::Executed { output, .. }) => *output = heard,
                (Ok(_), CallRecord::Malformed(_)) => panic!("a malformed call is never run"),
                (Err(fault), _) => {
                    if self.fault.as_ref().is_none_or(|(first, _)| position < *first) {
                        self.fault = Some((position, fault));
                    }
                }
            }
        }
        self.awaited == 0
    }

    /// Decides how the trajectory goes on behind this turn, and appends the observation if it does.
    pub(crate) fn close_turn(&mut self, game: &Game<'_>) {
        if let Some((_, fault)) = self.fault.take() {
            return self.lose(fault.to_string());
        }
        match self.observe(game) {
            Ok(None) => {}
            Ok(Some(stop)) => self.end(stop),
            Err(refusal) => self.lose(refusal.to_string()),
        }
    }

    /// Ends the trajectory, which is not to be used.
    pub(crate) fn lose(&mut self, reason: String) {
        self.lost = Some(reason);
        self.end(self.trajectory.stop);
    }

    /// Ends the trajectory before its next turn, for which the policy has no room.
    pub(crate) fn fill(&mut self) {
        // Nothing follows the last turn.
        if let Some(turn) = self.trajectory.turns.last_mut() {
            turn.observation.clear();
        }
        self.end(Stop::ContextLimit);
    }

    fn end(&mut self, stop: Stop) {
        self.trajectory.stop = stop;
        self.done = true;
        // Its interpreter goes with it, not with the play.
        self.state = None;
    }

    /// Appends what the policy is told about its calls, or says why the trajectory ends.
    fn observe(&mut self, game: &Game<'_>) -> Result<Option<Stop>, ChatError> {
        let turns = self.trajectory.turns.len();
        let turn = self.trajectory.turns.last_mut().expect("a turn was just played");
        if turn.calls.is_empty() && turn.finish != Finish::Length {
            return Ok(Some(Stop::Answer));
        } else if turn.finish == Finish::Length {
            return Ok(Some(Stop::Truncated));
        } else if turns >= game.limits.turns {
            return Ok(Some(Stop::TurnLimit));
        }
        let messages = outputs(game.chat, game.format, &turn.calls, game.limits.observation_tokens);
        let observation = game.chat.follow(&messages, turn.finish == Finish::EndOfTurn)?;
        if self.tokens.len() + observation.len() >= game.limits.tokens {
            return Ok(Some(Stop::ContextLimit));
        }
        self.tokens.extend_from_slice(&observation);
        turn.observation = observation;
        Ok(None)
    }

    /// The trajectory as it ended, unless it was lost.
    pub(crate) fn whole(&self) -> Option<&Trajectory> {
        Some(&self.trajectory).filter(|_| self.lost.is_none())
    }

    /// The trajectory, or what became of it.
    pub(crate) fn finish(self) -> Result<Trajectory, Lost> {
        self.trajectory.check();
        let sample = self.trajectory.sample;
        match self.lost {
            Some(reason) => Err(Lost { task: self.trajectory.task, sample, reason }),
            None => Ok(self.trajectory),
        }
    }
}

/// What the policy reads of a call beyond the limit.
fn too_many(at_most: usize) -> String {
    format!("not run: a turn runs at most {at_most} calls")
}

/// The output of a call that is yet to run.
fn pending() -> ToolOutput {
    ToolOutput {
        status: OutputStatus::Rejected,
        stdout: String::new(),
        value: None,
        error: None,
        truncated: false,
        wall_ms: 0.0,
        cpu_ms: 0.0,
    }
}
