//! Any bytes as the `config.json` of a model, of every family.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| turnwise_fuzz::model_files::config(bytes));
