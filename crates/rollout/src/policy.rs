//! What samples turns: a local model, a remote server, or a script in tests.

use turnwise_trajectory::{Finish, TokenId};

use crate::turn_end::TurnEnd;
use crate::turns::Turns;

/// A trajectory at the point where its next turn begins.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// Names the trajectory in this play: the same over all its turns, unlike any other's. Tasks follow each other in it.
    pub index: usize,
    /// The task's id.
    pub task: &'a str,
    /// How many groups of this play before it have the same task: 0 but where a step draws a task twice.
    /// Samples of both have the same indices, so this belongs to their random streams.
    pub occurrence: u32,
    /// Index of the trajectory in its group.
    pub sample: u32,
    /// Index of the turn to sample, from 0.
    pub turn: usize,
    /// All tokens so far.
    pub tokens: Vec<TokenId>,
    /// At most this many tokens may be sampled; at least 1.
    pub max_new: usize,
}

/// A sampled turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// The tokens, a stop token included.
    pub tokens: Vec<TokenId>,
    /// One log-probability per token, in nats.
    pub logprobs: Vec<f32>,
    /// Why it ended.
    pub finish: Finish,
    /// The version of the weights that sampled it: the number of optimizer updates before it.
    pub version: u64,
}

/// The policy could not answer at all: a broken model or a server that is gone.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PolicyError(pub String);

/// Samples turns of trajectories, of any number of them at a time.
pub trait Policy {
    /// Takes turns and answers each, until there are no more. Which turns are ready at what moment depends on how long
    /// tools took, so what is sampled for a turn may depend on its context only. `end` says what ends a turn and
    /// belongs to it.
    fn serve(&mut self, turns: &Turns<'_>, end: &TurnEnd<'_>) -> Result<(), PolicyError>;
}
