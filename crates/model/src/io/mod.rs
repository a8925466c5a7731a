//! Hugging Face folders: models and adapters, read and written.

pub(crate) mod adapter_file;
pub(crate) mod checkpoint;
mod expert_stacks;
mod folder_files;
#[cfg(test)]
mod header_claims;
mod regular_file;
mod safetensors_header;
mod shard;
mod text_tensors;
mod token_ids;
mod weight_files;
mod written;
