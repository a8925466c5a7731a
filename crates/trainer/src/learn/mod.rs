//! From samples to new weights: micro-batches, gradients, the optimizer.

pub(crate) mod activations;
pub(crate) mod exchange;
pub(crate) mod gradients;
pub(crate) mod learner;
pub(crate) mod micro_batch;
pub mod nll;
pub(crate) mod optimizer;
pub(crate) mod sampled_logprobs;
pub(crate) mod score_sketch;
pub(crate) mod shards;
pub(crate) mod slots;
pub(crate) mod trained_part;

pub use optimizer::{Optimizer, Update};
pub use score_sketch::{ScoreSketch, Sketch, score_sketches};
pub use trained_part::precisions;
