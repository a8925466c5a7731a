//! A tiny model to run, made by `transformers`, with the numbers that it must give.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};
use serde_json::json;
use tempfile::TempDir;

use crate::binary::root;

/// The golden Llama: 64 tokens of vocabulary, a context of 128, no tokenizer.
pub(crate) fn llama() -> PathBuf {
    root().join("tests/golden/model/llama")
}

/// A copy of the golden Llama to break or to add to.
pub(crate) fn copy() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(llama().join(name), folder.path().join(name)).expect("a golden file");
    }
    folder
}

/// A copy with a tokenizer of 60 words (`w0` … `w59`) and ChatML's tokens.
pub(crate) fn with_tokenizer() -> TempDir {
    let folder = copy();
    let words: BTreeMap<String, u32> = (0..60).map(|i| (format!("w{i}"), i)).collect();
    let special = |(id, text): (u32, &str)| {
        json!({"id": id, "content": text, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false, "special": true})
    };
    let added = [(60, "<|im_start|>"), (61, "<|im_end|>")].map(special);
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": added,
        "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": words, "unk_token": "w0"},
    });
    std::fs::write(folder.path().join("tokenizer.json"), tokenizer.to_string()).expect("a file");
    folder
}

/// Golden tensors of integers and of floats.
pub(crate) struct Expected {
    bytes: Vec<u8>,
}

impl Expected {
    pub(crate) fn read(folder: &Path) -> Self {
        Self { bytes: std::fs::read(folder.join("expected.safetensors")).expect("a golden file") }
    }

    pub(crate) fn tokens(&self, name: &str) -> Vec<u32> {
        self.values(name, Dtype::I64, |b: [u8; 8]| i64::from_le_bytes(b) as u32)
    }

    pub(crate) fn floats(&self, name: &str) -> Vec<f32> {
        self.values(name, Dtype::F32, f32::from_le_bytes)
    }

    /// Length of the first dimension.
    pub(crate) fn rows(&self, name: &str) -> usize {
        let file = SafeTensors::deserialize(&self.bytes).expect("a golden file");
        file.tensor(name).expect("a golden tensor").shape()[0]
    }

    fn values<T, const N: usize>(&self, name: &str, dtype: Dtype, read: impl Fn([u8; N]) -> T) -> Vec<T> {
        let file = SafeTensors::deserialize(&self.bytes).expect("a golden file");
        let view = file.tensor(name).expect("a golden tensor");
        assert_eq!(view.dtype(), dtype, "{name}");
        view.data().chunks_exact(N).map(|b| read(b.try_into().expect("N bytes"))).collect()
    }
}
