//! Logits to tokens: continuous batching with a bounded key-value cache that is kept between turns.
//!
//! | question | type | file |
//! |---|---|---|
//! | which turns are sampled together | [`Generator`] | `generate.rs`, `slot.rs` |
//! | which token comes next | [`sample`], [`Sampling`] | `sampling.rs`, `softmax.rs`, `likeliest.rs` |
//! | when a turn ends | [`StopRule`] | `stop.rs` |
//! | which random numbers a turn has | [`SequenceId`] | `rng.rs` |
//! | which model computes the logits | | `model_runner.rs` |
//!
//! Calls that end a turn are found by `turnwise_rollout::TurnEnd`, which a caller of [`Generator::step`]
//! passes as `ends`.
//!
//! **The rule of log-probabilities.** A recorded log-probability is `log_softmax(logits / temperature)` at
//! the sampled token, in f32, before top-k, top-p or min-p truncate anything. At temperature 0 (greedy) it is
//! taken at temperature 1. The trainer recomputes it under the same rule (`turnwise_model::token_logprobs`).

mod generate;
mod likeliest;
mod model_runner;
mod rng;
mod sampling;
mod slot;
mod softmax;
mod stop;
mod turn;

pub use generate::Generator;
pub use rng::{SequenceId, SequenceRng};
pub use sampling::{Likely, LogitsError, SampledToken, Sampling, sample};
pub use stop::{Decode, StopRule};
pub use turn::{Generation, GenerationRequest, SampledSoFar};
