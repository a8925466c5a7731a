//! Converts GGUF, the file format of llama.cpp, to Hugging Face folders: configuration, weights, tokenizer
//! and chat template.
//!
//! A file is untrusted: every length in it is checked against the file's own size before memory is taken for
//! it. Architectures are `llama`, `qwen2`, `qwen3`, `gemma3`, `smollm3`, `granite`, `olmo2`, `phi3`,
//! `lfm2`, `qwen35`, `qwen3moe` and `olmoe`; see [`Kind`] for the types of tensors.

mod architecture;
mod architectures;
mod config;
mod convert;
mod error;
mod file;
mod float16;
mod header;
mod kind;
mod metadata;
mod nibbles;
mod order;
mod quant;
mod super_block;
mod table;
mod tensors;
mod tokenizer;
mod weights;

pub use convert::{Converted, convert};
pub use error::GgufError;
pub use file::{GgufFile, TensorInfo};
pub use kind::Kind;
pub use metadata::{Metadata, Value};
pub use quant::dequantize;
pub use tokenizer::{MadeTokenizer, tokenizer};
pub use weights::Stored;
