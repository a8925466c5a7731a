//! Translates errors of serde and the TOML reader into the terms of a run file.

use crate::conflict::Conflict;
use crate::error::ConfigError;
use crate::fault::{Fault, Place};
use crate::nearest::nearest;
use crate::node::Node;
use crate::source::Source;

/// Returns the error of a fault, with its place and any hint.
pub(crate) fn explain(fault: &Fault, sources: &[Source]) -> ConfigError {
    let message = fault.message.trim().replace('\n', "; ");
    let (place, at) = (place(fault.place, sources), fault.path());
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (word, known) = quoted.split_first().map_or(("", &[][..]), |(word, known)| (*word, known));
    let near = nearest(word, known.iter().copied()).map(|near| format!("did you mean `{near}`?"));
    if message.starts_with("unknown field") {
        let hint = near.unwrap_or_else(|| format!("known here are {}", known.join(", ")));
        return ConfigError::new(place, format!("unknown key `{word}`")).hint(hint);
    }
    if message.starts_with("unknown variant") {
        let hint = near.unwrap_or_else(|| format!("one of {}", known.join(", ")));
        return ConfigError::new(place, format!("unknown choice `{word}` for `{at}`")).hint(hint);
    }
    if message.starts_with("missing field") {
        let section = if at.is_empty() { String::new() } else { format!(" in [{at}]") };
        return ConfigError::new(place, format!("missing key `{word}`{section}"));
    }
    let mismatch = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    let message = match mismatch.and_then(|rest| rest.split_once(", expected ")) {
        Some((got, wanted)) => {
            // The width of a number in Rust means nothing in TOML.
            let got = got.trim_end_matches(" as i128").trim_end_matches(" as u128");
            let error = ConfigError::new(place, format!("`{at}` is {got}, expected {}", plain(wanted)));
            return match words(got).filter(|_| wanted == "a sequence") {
                Some(words) => error.hint(format!("for example [{}]", words.join(", "))),
                None => error,
            };
        }
        None if at.is_empty() => message,
        None => format!("`{at}`: {message}"),
    };
    ConfigError::new(place, message)
}

/// Returns the error of a conflict, with the place of the key to change or of the nearest table.
pub(crate) fn conflicting(conflict: &Conflict, sources: &[Source], root: Node<'_>) -> ConfigError {
    let mut nearest = root;
    for part in conflict.key.split('.') {
        let Some(inner) = nearest.get(part) else { break };
        nearest = inner;
    }
    ConfigError::new(place(nearest.place(), sources), format!("`{}` {}", conflict.key, conflict.message))
}

/// Formats a place; the whole file is its name.
fn place(place: Option<Place>, sources: &[Source]) -> String {
    match (place, sources.first()) {
        (Some(Place { source, byte }), _) => sources[source].place(byte),
        (None, Some(source)) => source.name().to_string(),
        (None, None) => "config".into(),
    }
}

/// Returns the words of a text that serde found, as TOML writes them. Numbers and truth values have no
/// quotes.
fn words(got: &str) -> Option<Vec<String>> {
    let text = got.strip_prefix("string \"")?.strip_suffix('"')?;
    let is_bare = |word: &str| word.parse::<f64>().is_ok() || matches!(word, "true" | "false");
    let written = |word: &str| if is_bare(word) { word.into() } else { format!("{word:?}") };
    Some(text.split_whitespace().map(written).collect()).filter(|words: &Vec<String>| !words.is_empty())
}

/// Translates a type of Rust into the terms of a run file.
fn plain(wanted: &str) -> &str {
    match wanted {
        "usize" | "u64" | "u32" | "u16" | "u8" => "a whole number, 0 or more",
        "i64" | "i32" => "a whole number",
        "f64" | "f32" => "a number",
        "a boolean" => "true or false",
        "path string" => "a path",
        "a sequence" => "an array",
        _ if wanted.starts_with("struct ") => "a table with keys",
        _ => wanted,
    }
}
