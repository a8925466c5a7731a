//! Any bytes as the head of a safetensors file.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| turnwise_fuzz::model_files::safetensors_header(bytes));
