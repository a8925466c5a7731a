//! One decoder-only transformer; model families are data that maps a Hugging Face folder onto it.
//!
//! Letters in shapes: B batch, T tokens, N rows of a matrix (B·T of them, or those
//! without padding), H query heads, K key/value heads, D head dim, V vocabulary.

mod adapter_file;
mod attention;
mod available;
mod backward;
mod batch;
mod block;
mod build;
mod cache;
mod checkpoint;
mod config;
mod error;
pub mod family;
mod folder_files;
#[cfg_attr(not(feature = "flex"), allow(dead_code, reason = "other backends take Burn's operations"))]
mod fused;
mod head;
mod host;
mod linear;
mod logprobs;
mod lora;
mod mlp;
mod norm;
mod parameters;
mod precision;
mod regular_file;
mod rope;
mod rope_config;
mod safetensors_header;
mod shard;
mod simd;
mod token_ids;
mod trainable;
mod transformer;
mod weight_files;
mod written;

pub use adapter_file::{adapter_config, load_adapter, load_adapter_as, save_adapter};
pub use available::available_memory;
pub use backward::{add_gradients, gradients};
pub use batch::TokenBatch;
pub use block::{AttentionConfig, BlockConfig, BlockNorms, LinearShape, MlpConfig, QkNorm};
pub use build::parameter_id;
pub use cache::KvCache;
pub use checkpoint::{family_of, load, load_config, save};
pub use config::ModelConfig;
pub use error::ModelError;
pub use host::{HostCache, HostModel};
pub use logprobs::{Question, TokenLogprobs, chunk_rows, token_logprobs};
pub use lora::LoraConfig;
pub use parameters::parameter_names;
pub use rope_config::{RopeConfig, RopeScaling, Yarn};
pub use transformer::Transformer;
