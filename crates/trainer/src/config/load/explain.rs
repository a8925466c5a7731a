//! What serde and the TOML reader say about a run file, in the words of a run file.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue, Error};
use turnwise_bounds::Conflict;

use super::ConfigError;
use super::layers::Source;
use super::nearest::nearest;

/// The error of a merged table, with its place.
pub(super) fn explain(error: &Error, sources: &[Source], table: &DeTable<'_>) -> ConfigError {
    let message = error.message().trim().replace('\n', "; ");
    let found = error.span().and_then(|span| Some((path_of(&span, table)?, span)));
    let place = match &found {
        Some((_, span)) => sources.iter().find(|source| source.holds(span)).map(|source| source.place(span)),
        None => sources.first().map(|source| source.name().to_string()),
    };
    let place = place.unwrap_or_else(|| "config".into());
    let path = found.map(|(path, _)| path).unwrap_or_default();
    let at = path.join(".");
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (word, known) = quoted.split_first().map_or(("", &[][..]), |(word, known)| (*word, known));
    let near = nearest(word, known.iter().copied()).map(|near| format!("did you mean `{near}`?"));
    if message.starts_with("unknown field") {
        let hint = near.unwrap_or_else(|| format!("known here are {}", known.join(", ")));
        return ConfigError::new(place, format!("unknown key `{word}`")).hint(hint);
    }
    if message.starts_with("unknown variant") {
        // The span is the variant's own key, or the value of the choice.
        let choice = path.iter().filter(|part| *part != word).cloned().collect::<Vec<_>>().join(".");
        let hint = near.unwrap_or_else(|| format!("one of {}", known.join(", ")));
        return ConfigError::new(place, format!("unknown choice `{word}` for `{choice}`")).hint(hint);
    }
    if message.starts_with("missing field") {
        let section = if at.is_empty() { String::new() } else { format!(" in [{at}]") };
        return ConfigError::new(place, format!("missing key `{word}`{section}"));
    }
    let mismatch = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    let message = match mismatch.and_then(|rest| rest.split_once(", expected ")) {
        Some((got, wanted)) => {
            // How wide a number is in Rust is nothing for a reader of TOML.
            let got = got.trim_end_matches(" as i128").trim_end_matches(" as u128");
            format!("`{at}` is {got}, expected {}", plain(wanted))
        }
        None if message.starts_with("wanted exactly 1 element") => several(&at, table),
        None if at.is_empty() => message,
        None => format!("`{at}`: {message}"),
    };
    ConfigError::new(place, message)
}

/// Two keys that don't go together, with the place of the one to change or of the table nearest to it.
pub(super) fn conflicting(conflict: &Conflict, sources: &[Source], table: &DeTable<'_>) -> ConfigError {
    let mut place = sources.first().map_or_else(|| "config".into(), |source| source.name().to_string());
    let mut table = Some(table);
    for part in conflict.key.split('.') {
        let Some(value) = table.and_then(|table| table.get(part)) else { break };
        let span = value.span();
        if let Some(source) = sources.iter().find(|source| source.holds(&span)) {
            place = source.place(&span);
        }
        table = value.get_ref().as_table();
    }
    ConfigError::new(place, format!("`{}` {}", conflict.key, conflict.message))
}

/// A choice with more than one variant.
fn several(at: &str, table: &DeTable<'_>) -> String {
    let choice = at.split('.').try_fold(table, |table, part| table.get(part)?.get_ref().as_table());
    let chosen: Vec<&str> =
        choice.into_iter().flat_map(|t| t.keys().map(|key| key.get_ref().as_ref())).collect();
    format!("`{at}`: {} are both chosen: keep one", chosen.join(" and "))
}

/// A type of Rust in the words of a run file.
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

/// The keys that lead to what has exactly this span: a key, a value or an item of an array.
fn path_of(span: &Range<usize>, table: &DeTable<'_>) -> Option<Vec<String>> {
    table.iter().find_map(|(key, value)| {
        let inner = if key.span() == *span { Some(Vec::new()) } else { within(span, value) }?;
        Some([vec![key.get_ref().to_string()], inner].concat())
    })
}

fn within(span: &Range<usize>, value: &Spanned<DeValue<'_>>) -> Option<Vec<String>> {
    let inside = match value.get_ref() {
        DeValue::Table(table) => path_of(span, table),
        DeValue::Array(items) => items.iter().find_map(|item| within(span, item)),
        _ => None,
    };
    // A `--set` gives an inner table the place of its key, so look inside first.
    inside.or_else(|| (value.span() == *span).then(Vec::new))
}
