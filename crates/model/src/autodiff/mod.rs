//! Log-probabilities of given tokens, and the gradient of a loss over them.

pub(crate) mod backward;
pub(crate) mod graph;
mod head;
pub(crate) mod logprobs;
