//! Sessions of a run: the rules of its rollouts, and a transcript at their end.

use std::sync::Arc;

use turnwise_rollout::chat::Dialogue;
use turnwise_trajectory::{Finish, Rewards, TokenId};

use crate::engine::EngineSampling;

/// Holds the rules under which the sessions of a run are answered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// The settings of sampling, whatever a request asks for.
    pub sampling: EngineSampling,
    /// Most tokens of a turn.
    pub turn_tokens: usize,
    /// Most calls of a session.
    pub calls: usize,
    /// Whether the first call of a tool ends its turn.
    pub one_tool_call: bool,
    /// Whether requests may give rewards.
    pub takes_rewards: bool,
}

/// Names a limit that refused a call of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// The session has had its calls.
    Calls,
    /// The prompt doesn't fit into the context.
    Context,
}

/// Holds what happened in a session, until it was closed.
#[derive(Default)]
pub struct Transcript {
    /// The answered calls, in an order that doesn't depend on the arrival of calls that were open at once.
    pub calls: Vec<Told>,
    /// The first limit that refused a call.
    pub reached: Option<Reached>,
}

/// Holds an answered call.
pub struct Told {
    /// Its number, by arrival.
    pub number: u32,
    /// The position in the transcript of the call that it continues.
    pub parent: Option<usize>,
    /// The prompt after that call, or the whole prompt.
    pub context: Vec<TokenId>,
    /// Its tokens, the stop token included.
    pub tokens: Vec<TokenId>,
    /// The log-probability of each token, in nats.
    pub logprobs: Vec<f32>,
    /// Why it ended.
    pub finish: Finish,
    /// Whether the prompt holds an answer that was changed since it was sampled.
    pub diverged: bool,
    /// Rewards that were posted.
    pub rewards: Rewards,
    /// The tools on offer, and how calls of them are written; absent where the prompt was no conversation.
    pub dialogue: Option<Arc<Dialogue>>,
    /// Tokens of the turn that the prompt held, because a tool had to be called.
    pub forced: Vec<TokenId>,
    /// The texts of the prompt after the call that it continues.
    pub said: Said,
}

/// Holds the texts of a prompt after the answer that it continues.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Outputs of tools, in order.
    pub outputs: Vec<String>,
    /// The user's message.
    pub reply: Option<String>,
}
