//! Fuzzes files of models: no bytes abort or block the reader, and accepted files keep their promises.

use std::path::Path;

use serde_json::{Map, Value};
use turnwise_gguf::{GgufFile, Stored, convert, tokenizer};

use crate::family::FAMILIES;
use crate::safetensors_header::Header;

/// Opens the bytes as a GGUF file. A valid header gives a tokenizer or a reason, and a folder or a reason.
pub(crate) fn gguf(bytes: &[u8], folder: &Path) {
    let path = folder.join("x.gguf");
    std::fs::write(&path, bytes).expect("a temporary file");
    if let Ok(file) = GgufFile::open(&path) {
        let _ = tokenizer(&file.metadata);
        let _ = convert(&path, folder, Stored::F16);
    }
}

/// Reads the bytes as the header of a longer file, whose extra length the first bytes give.
pub(crate) fn safetensors_header(bytes: &[u8]) {
    let Some((data, head)) = bytes.split_first() else { return };
    let size = head.len() as u64 + u64::from(*data);
    let Ok(header) = Header::read(head, size) else { return };
    let mut end = size - u64::from(*data);
    for name in header.names() {
        let (info, start) = header.tensor(&name).expect("a name of the header");
        let (from, to) = info.data_offsets;
        assert!(start >= end && start + (to - from) as u64 <= size, "{name} lies outside the file");
        end = start + (to - from) as u64;
    }
    let _ = header.counts_of(|_| true).fold(0, u64::saturating_add);
}

/// Reads the bytes as the configuration of every family. An accepted one is written and read again.
pub(crate) fn config(bytes: &[u8]) {
    let Ok(json) = serde_json::from_slice::<Map<String, Value>>(bytes) else { return };
    for family in FAMILIES {
        let Ok(config) = family.read(&json) else { continue };
        assert!(config.context() >= config.max_position && config.check().is_ok());
        assert_eq!(family.read(&family.write(&config, &json)), Ok(config.clone()));
        assert_eq!(family.read(&family.write(&config, &Map::new())), Ok(config));
    }
}
