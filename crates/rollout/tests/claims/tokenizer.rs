//! Properties of every tokenizer file. The fuzz target and the replay of its corpus check the same.

use std::path::Path;

use turnwise_rollout::chat::{decode, load_tokenizer};

/// A text with letters, digits, marks and blanks of many kinds.
const PAGE: &str = "The 12 quick (brown) foxes' code:\n\tprint(\"é 数学 😀\")\r\n<|x|> \u{301}aaaa    ";

/// Opens the bytes as a tokenizer. Fails if an accepted one panics at a text, or makes very much of it.
pub(crate) fn hold(bytes: &[u8], folder: &Path) {
    let path = folder.join("tokenizer.json");
    std::fs::write(&path, bytes).expect("a temporary file");
    let Ok(tokenizer) = load_tokenizer(&path) else { return };
    for text in ["", "a", PAGE] {
        let Ok(encoding) = tokenizer.encode_fast(text, false) else { continue };
        let most = 128 * (text.len() + 1);
        assert!(encoding.get_ids().len() <= most, "{} tokens for {text:?}", encoding.get_ids().len());
        let _ = decode(&tokenizer, encoding.get_ids());
    }
}
