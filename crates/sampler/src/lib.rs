//! Logits to tokens: continuous batching with a bounded key-value cache that is kept between turns.
//!
//! **The rule of log-probabilities.** A recorded log-probability is `log_softmax(logits / temperature)` at
//! the sampled token, in f32, before top-k, top-p or min-p truncate anything. At temperature 0 (greedy) it is
//! taken at temperature 1. The trainer recomputes it under the same rule (`turnwise_model::token_logprobs`).

mod engine;
mod generate;
mod likeliest;
mod rng;
mod sampling;
mod slot;
mod stop;
mod turn;

pub use generate::Generator;
pub use rng::{SequenceId, SequenceRng};
pub use sampling::{Likely, LogitsError, Sampled, Sampling, sample};
pub use stop::{Decode, StopRule};
pub use turn::{Completion, GenerationRequest, SampledSoFar};
