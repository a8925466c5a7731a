//! One decoder-only transformer; model families are data that maps a Hugging Face folder onto it.
//!
//! | folder | holds |
//! |---|---|
//! | `family/` | one file per model family: `config.json` onto the description of a network, and back |
//! | `block/` | the description of a block, which everything below reads |
//! | `layers/` | layers in Burn's graph; LoRA |
//! | `autodiff/` | log-probabilities and their gradients |
//! | `cpu/fused/`, `cpu/decode/` | the CPU's single passes for training, and its decoder |
//! | `gpu/` | the decoder for GPUs: its kernels, and the tokens that it draws |
//! | `io/` | Hugging Face folders and adapters, read and written |
//!
//! `transformer.rs` is the network, `build.rs` the list of its tensors, and `cache.rs` its keys and values.
//!
//! Letters in shapes: B batch, T tokens, N rows of a matrix (B·T of them, or those
//! without padding), H query heads, K key/value heads, D head dim, V vocabulary.

mod adapter;
mod autodiff;
mod available;
mod batch;
mod block;
mod build;
mod cache;
mod config;
#[cfg(test)]
#[path = "../../../fuzz/corpus.rs"]
mod corpus;
mod cpu;
mod error;
pub mod family;
mod gpu;
mod io;
mod layers;
mod logit_config;
mod logits;
mod parameters;
mod precision;
mod rope_config;
mod trainable;
mod transformer;
mod variant;

pub use autodiff::backward::{add_gradients, gradients};
pub use autodiff::graph::add_all;
pub use autodiff::logprobs::{LogprobQuery, TokenLogprobs, chunk_rows, token_logprobs};
pub use available::available_memory;
pub use batch::TokenBatch;
pub use block::{
    Activation, AttentionConfig, BlockConfig, BlockNorms, DeltaNetConfig, ExpertsConfig, LinearShape, Mixer,
    MlpConfig, Names, Projection, QkNorm, ShortConvConfig,
};
pub use build::parameter_id;
pub use cache::KvCache;
pub use config::ModelConfig;
pub use cpu::decode::{HostCache, HostModel, HostPrecision};
pub use cpu::simd::exponentials;
pub use error::ModelError;
pub use gpu::{DecodeFeed, Decoded, Draw, GpuDecoder, count_launches};
pub use io::adapter_file::{adapter_config, load_adapter, load_adapter_as, save_adapter};
pub use io::checkpoint::{family_of, left_out, load, load_config, save};
pub use layers::lora::LoraConfig;
pub use logit_config::LogitConfig;
pub use parameters::parameter_names;
pub use rope_config::{LongRope, QueryGrowth, RopeConfig, RopeScaling, Yarn};
pub use transformer::Transformer;
