//! Kinds of values in words: "list of names", "whole number from 1 to 64".

use crate::source::{Field, Item, Kind};

/// The kind of a field. `inner` is the type of the sources that it holds, if it holds one.
pub(crate) fn kind(field: &Field, inner: Option<&Item>) -> String {
    match inner.map(|item| &item.kind) {
        Some(Kind::Choice(_)) if field.named => "table of names of yours, each with one below".into(),
        Some(_) if field.named => "tables with names of yours".into(),
        None if field.named => format!("table of {}", simple(&field.kind)),
        Some(Kind::Table(_)) => "table".into(),
        Some(_) if field.kind.starts_with("Vec<") => "list of names".into(),
        Some(_) if inner.is_some_and(Item::is_names) => "name".into(),
        Some(Kind::Choice(_)) => "choice".into(),
        Some(Kind::Names(range)) => {
            let range = range.map_or_else(String::new, |range| range.in_words(false).to_string());
            format!("table of names, each with {range}")
        }
        None => numbers(field),
    }
}

/// A kind with its range, if it is one of numbers.
fn numbers(field: &Field) -> String {
    let simple = simple(&field.kind);
    let Some(range) = field.range else { return simple };
    let (list, kind) = match field.kind.strip_prefix("Vec<") {
        Some(kind) => ("list of ", kind.trim_end_matches('>')),
        None => ("", field.kind.as_str()),
    };
    let text = range.in_words(is_whole(kind)).to_string();
    let text = text.trim_start_matches("a ");
    if list.is_empty() { text.into() } else { format!("{list}{}", text.replacen("number", "numbers", 1)) }
}

fn simple(kind: &str) -> String {
    if let Some(inside) = kind.strip_prefix("Vec<").and_then(|kind| kind.strip_suffix('>')) {
        return match simple(inside).as_str() {
            "path" => "list of paths".into(),
            other => format!("list of {other}"),
        };
    }
    match kind {
        "bool" => "true or false",
        "f64" | "f32" => "number",
        "String" => "text",
        "PathBuf" => "path",
        "Address" => "URL, or a list: a command and its arguments",
        _ if is_whole(kind) => "whole number",
        other => panic!("{other} is a kind that the page has no words for"),
    }
    .into()
}

pub(crate) fn is_whole(kind: &str) -> bool {
    let kind = kind.rsplit("::").next().unwrap_or(kind);
    kind.starts_with("NonZero") || ["u8", "u16", "u32", "u64", "usize", "i32", "i64"].contains(&kind)
}
