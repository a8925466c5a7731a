//! Any bytes as a GGUF file: opened, and converted if it is one.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| turnwise_fuzz::model_files::gguf(bytes));
