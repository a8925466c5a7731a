//! One decoder-only transformer; model families are data that maps a Hugging Face folder onto it.
//!
//! Letters in shapes: B batch, T tokens, N = B·T, H query heads, K key/value heads, D head dim, V vocabulary.

mod attention;
mod batch;
mod build;
mod cache;
mod checkpoint;
mod config;
mod error;
pub mod family;
mod linear;
mod logprobs;
mod mlp;
mod norm;
mod parameters;
mod rope;
mod safetensors_file;
mod transformer;

pub use batch::TokenBatch;
pub use cache::KvCache;
pub use checkpoint::{family_of, load, load_config, save};
pub use config::{Heads, ModelConfig, RopeConfig, RopeScaling};
pub use error::ModelError;
pub use logprobs::{TokenLogprobs, token_logprobs};
pub use parameters::parameter_names;
pub use transformer::Transformer;
