//! Files of models: no bytes abort or hold up whoever opens them, and what is read keeps its promises.

use serde_json::{Map, Value};
use turnwise_gguf::{GgufFile, Stored, convert, tokenizer};

use crate::family::FAMILIES;
use crate::safetensors_header::Header;

/// Opens the bytes as a GGUF file; a file whose head is right gives its tokenizer or a reason, and its folder or one.
pub fn gguf(bytes: &[u8]) {
    let folder = std::env::temp_dir().join(format!("turnwise-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let path = folder.join("x.gguf");
    std::fs::write(&path, bytes).expect("a temporary file");
    if let Ok(file) = GgufFile::open(&path) {
        let _ = tokenizer(&file.metadata);
        let _ = convert(&path, &folder, Stored::F16);
    }
}

/// Reads the bytes as the head of a file that is longer by what the first of them says.
pub fn safetensors_header(bytes: &[u8]) {
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
    let _ = header.counts().fold(0, u64::saturating_add);
}

/// Reads the bytes as the configuration of every family. What one accepts is written and read again.
pub fn config(bytes: &[u8]) {
    let Ok(json) = serde_json::from_slice::<Map<String, Value>>(bytes) else { return };
    for family in FAMILIES {
        let Ok(config) = family.read(&json) else { continue };
        assert!(config.context() >= config.max_position && config.check().is_ok());
        assert_eq!(family.read(&family.write(&config, &json)), Ok(config.clone()));
        assert_eq!(family.read(&family.write(&config, &Map::new())), Ok(config));
    }
}
