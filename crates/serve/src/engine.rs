//! The interface of engines: what samples tokens.

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use turnwise_trajectory::{Finish, TokenId};

/// Samples sequences, many at a time.
pub trait Engine: Send + Sync {
    /// Returns the most tokens of a sequence, its prompt included.
    fn context(&self) -> usize;

    /// Returns the number of tokens of the vocabulary.
    fn vocabulary(&self) -> usize;

    /// Queues a sequence, which may wait for others. Its tokens don't depend on them.
    fn submit(&self, job: Job);
}

/// Holds the settings of sampling; see the sampler for their meaning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EngineSampling {
    /// Divisor of the logits; 0 is greedy.
    pub temperature: f64,
    /// Keeps the `top_k` likeliest tokens; 0 keeps all.
    pub top_k: usize,
    /// Keeps the smallest set of tokens whose probability reaches `top_p`.
    pub top_p: f64,
    /// Keeps tokens at least `min_p` times as likely as the likeliest.
    pub min_p: f64,
}

impl Default for EngineSampling {
    fn default() -> Self {
        Self { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0 }
    }
}

/// Names the random numbers of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Draw {
    /// Those of a request's seed, and of its choice.
    Seed {
        /// The request's seed.
        seed: u64,
        /// The index of the choice.
        choice: u32,
    },
    /// Those of a call in a session.
    Call {
        /// The server's seed.
        seed: u64,
        /// Hash of the session's name.
        session: u64,
        /// The number of the call in the session.
        call: u32,
    },
    /// Those of a call in a trajectory of a run.
    Run {
        /// Names the trajectory, as it was opened.
        place: u64,
        /// Number of calls that it continues.
        depth: u32,
        /// A hash of the prompt; 0 in a conversation that only grows.
        salt: u64,
    },
}

/// Holds a sequence to be sampled.
pub struct Job {
    /// The tokens to continue, at least one.
    pub prompt: Vec<TokenId>,
    /// Most tokens to sample, at least one. Together with the prompt they fit into the context.
    pub max_new: usize,
    /// The settings.
    pub sampling: EngineSampling,
    /// The number of likeliest tokens to tell at each token, before truncation.
    pub likeliest: usize,
    /// The random numbers.
    pub draw: Draw,
    /// Tokens that end the sequence and belong to it.
    pub stop: Vec<TokenId>,
    /// Takes each sampled token; returns whether the sequence ends there.
    pub watch: Box<dyn FnMut(TokenId) -> bool + Send>,
    /// Sequences with the same number continue each other.
    pub affinity: u64,
    /// Takes what was sampled.
    pub events: Events,
}

/// Says how a sequence goes on.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A token was sampled.
    Token {
        /// The token.
        token: TokenId,
        /// Its log-probability, in nats.
        logprob: f32,
        /// The likeliest tokens in its place with their log-probabilities, likeliest first.
        likeliest: Vec<(TokenId, f32)>,
    },
    /// The sequence ended.
    End(Finish),
    /// No token can be sampled.
    Failed(String),
}

/// Takes the events of one sequence.
#[derive(Debug, Clone)]
pub struct Events {
    choice: u32,
    sender: UnboundedSender<(u32, Event)>,
}

impl Events {
    /// Returns the places for events of `choices` sequences, and where they arrive. A sequence has at most an
    /// event per token of the context and one more, which bounds what waits there.
    pub fn of(choices: u32) -> (Vec<Self>, UnboundedReceiver<(u32, Event)>) {
        let (sender, receiver) = unbounded_channel();
        ((0..choices).map(|choice| Self { choice, sender: sender.clone() }).collect(), receiver)
    }

    /// Tells an event.
    pub fn tell(&self, event: Event) {
        // The client may have gone away; `is_wanted` says it.
        let _ = self.sender.send((self.choice, event));
    }

    /// Returns whether somebody waits for events. Otherwise the sequence is to be dropped.
    pub fn is_wanted(&self) -> bool {
        !self.sender.is_closed()
    }
}
