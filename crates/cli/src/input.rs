//! Reads text and JSON from stdin and files, with the place in every error.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use serde::de::DeserializeOwned;
use turnwise_json::words;

/// Reads all of stdin.
pub(crate) fn stdin() -> Result<String> {
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes).context("stdin")?;
    utf8("stdin", bytes)
}

/// Reads all of a file.
pub(crate) fn file(path: &Path) -> Result<String> {
    let bytes =
        turnwise_files::read(path, turnwise_files::TEXT).map_err(|e| anyhow!("{}: {e}", path.display()))?;
    utf8(&path.display().to_string(), bytes)
}

fn utf8(place: &str, bytes: Vec<u8>) -> Result<String> {
    turnwise_files::utf8(bytes).map_err(|why| anyhow!("{place}: {why}"))
}

/// Parses one JSON value. `place` is the file, and the line if the text is one line of it.
pub(crate) fn json<T: DeserializeOwned>(place: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| {
        // Within one line of a file, the parser's line is always 1.
        let at = if text.trim_end().contains('\n') { format!(":{}", error.line()) } else { String::new() };
        anyhow!("{place}{at}: {}", what(&error))
    })
}

/// Returns the error and its column.
pub(crate) fn what(error: &serde_json::Error) -> String {
    format!("{} (column {})", words(error), error.column())
}

/// Parses a JSON array of token ids from the command line; `-` reads it from stdin, for arrays longer than an
/// argument.
pub(crate) fn tokens(argument: &str) -> Result<Vec<u32>> {
    if argument == "-" { json("stdin", &stdin()?) } else { json("--tokens", argument) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_their_place() {
        let check = |text: &str, expect: &str| {
            assert_eq!(json::<Vec<u32>>("f", text).unwrap_err().to_string(), expect);
        };
        check("[1,", "f: the JSON ends where a value is due (column 3)");
        check("[1,\n-2]", "f:2: the number -2, expected a whole number, 0 or more (column 2)");
        assert_eq!(utf8("f", vec![b'a', 0xff]).unwrap_err().to_string(), "f: not UTF-8 text (byte 1)");
        assert_eq!(tokens("[1, 2]").unwrap(), [1, 2]);
    }
}
