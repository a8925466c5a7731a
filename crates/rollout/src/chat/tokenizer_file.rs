//! Reads an untrusted `tokenizer.json`, and refuses one that could turn little text into very much.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

use serde_json::Value as Json;
use tokenizers::Tokenizer;

use super::ChatError;
use super::charsmap;
use super::spelling::decode;

/// Most bytes of a file; the largest published ones have a tenth of it.
const LARGEST: u64 = 1 << 28;

/// Most levels of nesting: the parser tries every kind of step at every level. Published files have half of
/// it.
const MOST_LEVELS: usize = 16;

/// Most bytes that a byte of text may grow to before it is split into tokens.
const MOST_GROWTH: f64 = 64.0;

/// Longest time for encoding a page of text. A normal tokenizer takes a millisecond.
const PATIENCE: Duration = Duration::from_secs(20);

/// Loads the tokenizer of a file and switches off its padding and truncation.
pub fn load_tokenizer(path: &Path) -> Result<Tokenizer, ChatError> {
    let broken = |message: String| ChatError::Folder { place: path.into(), message };
    let hint = "a model folder holds a tokenizer.json of the `tokenizers` library";
    let missing = |error: std::io::Error| broken(format!("{error}\n  hint: {hint}"));
    let bytes = turnwise_files::read(path, LARGEST).map_err(missing)?;
    let not_one =
        |error: String| broken(format!("not a tokenizer: {}\n  hint: {hint}", error.replace('\n', " ")));
    let json: Json = serde_json::from_slice(&bytes).map_err(|error| not_one(error.to_string()))?;
    let levels = levels(&json);
    if levels > MOST_LEVELS {
        return Err(broken(format!("{levels} levels of brackets; {MOST_LEVELS} at most are read")));
    }
    for part in ["normalizer", "decoder"] {
        let growth = growth(&json[part]);
        if growth > MOST_GROWTH {
            return Err(broken(format!(
                "the {part} makes {growth:.0} bytes out of one; {MOST_GROWTH} at most are read"
            )));
        }
    }
    charsmap::check(&json).map_err(|message| broken(format!("the normalizer is damaged: {message}")))?;
    let whole = || -> Result<Tokenizer, String> {
        let mut tokenizer = Tokenizer::from_bytes(&bytes).map_err(|error| error.to_string())?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| error.to_string())?;
        Ok(tokenizer)
    };
    let whole = catch_unwind(AssertUnwindSafe(whole)).unwrap_or_else(|_| Err("it is damaged".into()));
    let tokenizer = whole.map_err(not_one)?;
    try_out(&tokenizer).map_err(|message| broken(format!("the tokenizer {message}\n  hint: {hint}")))?;
    Ok(tokenizer)
}

/// Encodes and decodes a page of text. Fails if the tokenizer can't, or takes too long.
fn try_out(tokenizer: &Tokenizer) -> Result<(), String> {
    const PAGE: &str =
        "The 12 quick (brown) foxes' code:\n\tprint(\"é ß 数学 😀\")\r\n<|x|> \u{301}\u{200d}\u{0} aaaa    ";
    let (tokenizer, (tell, told)) = (tokenizer.clone(), channel());
    let work = move || {
        // Patterns of words are slow on long runs of one letter.
        let runs = ["a", "1", " ", "\n", ".", "é", "<", "_"].map(|letter| letter.repeat(200));
        let page = format!("{}{}", PAGE.repeat(8), runs.join("!"));
        let done = catch_unwind(AssertUnwindSafe(|| {
            // A tokenizer may refuse an unknown word; then letters are tried one by one.
            if let Ok(encoding) = tokenizer.encode_fast(page.as_str(), false) {
                let _ = decode(&tokenizer, encoding.get_ids());
            }
        }));
        // The receiver may have stopped waiting.
        let _ = tell.send(done.is_ok());
    };
    std::thread::Builder::new().spawn(work).map_err(|error| format!("can't be tried: {error}"))?;
    match told.recv_timeout(PATIENCE) {
        Ok(true) => Ok(()),
        Ok(false) => Err("breaks at a page of text".into()),
        Err(_) => Err(format!("takes more than {} s for a page of text", PATIENCE.as_secs())),
    }
}

/// Returns the depth of nested lists and objects.
fn levels(json: &Json) -> usize {
    match json {
        Json::Array(items) => 1 + items.iter().map(levels).max().unwrap_or(0),
        Json::Object(pairs) => 1 + pairs.values().map(levels).max().unwrap_or(0),
        _ => 0,
    }
}

/// Returns the most bytes that a step or a sequence of steps makes of one.
fn growth(step: &Json) -> f64 {
    let length = |key: &str| step[key].as_str().map_or(1, str::len) as f64;
    match step["type"].as_str().unwrap_or_default() {
        "Sequence" => {
            let steps = step["normalizers"].as_array().or(step["decoders"].as_array());
            steps.into_iter().flatten().map(growth).product()
        }
        // A pattern has at least one byte, or none: then text is put between all letters.
        "Replace" => {
            let pattern = step["pattern"]["String"].as_str().map_or(0, str::len);
            if pattern == 0 { 1.0 + length("content") } else { (length("content") / pattern as f64).max(1.0) }
        }
        "Prepend" => length("prepend").max(1.0),
        // Every byte becomes a letter of up to two.
        "ByteLevel" => 2.0,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn growth_is_counted_through_sequences() {
        let replace =
            |from: &str, to: &str| json!({"type": "Replace", "pattern": {"String": from}, "content": to});
        let check = |step: Json, expect: f64| assert_eq!(growth(&step), expect, "{step}");
        check(Json::Null, 1.0);
        check(json!({"type": "NFC"}), 1.0);
        check(replace(" ", "▁"), 3.0);
        check(replace("▁", " "), 1.0);
        check(replace("", "ab"), 3.0);
        let llama = json!({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, replace(" ", "▁")]});
        check(llama, 9.0);
        let bomb = vec![replace("a", "aaaaaaaaaa"); 9];
        check(json!({"type": "Sequence", "normalizers": bomb}), 1e9);
    }

    #[test]
    fn nothing_is_the_text_of_no_tokens() {
        let file = json!({"version": "1.0", "decoder": {"type": "BPEDecoder", "suffix": "</w>"},
            "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}});
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        std::fs::write(&path, file.to_string()).unwrap();
        assert_eq!(decode(&load_tokenizer(&path).unwrap(), &[]), "");
    }
}
