//! Claims about every GGUF file, for the fuzz target and for the replay of its corpus.

use std::path::Path;

use turnwise_gguf::{GgufFile, Stored, convert, tokenizer};

/// Opens the bytes as a GGUF file. A valid header gives a tokenizer or a reason, and a folder or a reason.
pub(crate) fn hold(bytes: &[u8], folder: &Path) {
    let path = folder.join("x.gguf");
    std::fs::write(&path, bytes).expect("a temporary file");
    if let Ok(file) = GgufFile::open(&path) {
        let _ = tokenizer(&file.metadata);
        let _ = convert(&path, folder, Stored::F16);
    }
}
