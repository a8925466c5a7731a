//! Columns that a file calls otherwise.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use turnwise_json::with_exact_integers;
use turnwise_runfile::Conflict;

/// Returns the value at a path of names with dots between them. A column's own name may hold dots; texts on
/// the way may be JSON.
pub fn at(row: &Value, path: &str) -> Option<Value> {
    at_by(row, path, Integers::Exact)
}

/// Chooses how integers beyond 64 bits are read in columns that hold JSON as text.
#[derive(Clone, Copy)]
pub(crate) enum Integers {
    /// As texts of their digits.
    Exact,
    /// As numbers, rounded.
    Rounded,
}

fn at_by(row: &Value, path: &str, integers: Integers) -> Option<Value> {
    if let Some(value) = step(row, path, integers) {
        return Some(value);
    }
    let dots = path.match_indices('.');
    dots.map(|(dot, _)| (&path[..dot], &path[dot + 1..]))
        .find_map(|(first, rest)| at_by(&step(row, first, integers)?, rest, integers))
}

/// Returns the value of a key, or of a place in a list from 0.
fn step(value: &Value, name: &str, integers: Integers) -> Option<Value> {
    match value {
        Value::Object(keys) => keys.get(name).cloned(),
        Value::Array(items) => items.get(name.parse::<usize>().ok()?).cloned(),
        // Tables often hold structs as text.
        Value::String(text) if text.trim_start().starts_with(['{', '[']) => {
            let text = match integers {
                Integers::Exact => with_exact_integers(text),
                Integers::Rounded => text.as_str().into(),
            };
            step(&serde_json::from_str(&text).ok()?, name, integers)
        }
        _ => None,
    }
}

/// Returns a row in which each of these names has the value at its path.
///
/// # Errors
/// One line that names the path and the columns that are there.
pub fn overlaid(row: &Value, columns: &BTreeMap<String, String>) -> Result<Value, String> {
    overlaid_by(row, columns, Integers::Exact)
}

pub(crate) fn overlaid_by(
    row: &Value,
    columns: &BTreeMap<String, String>,
    integers: Integers,
) -> Result<Value, String> {
    let mut overlaid = row.clone();
    for (name, path) in columns {
        let (Some(value), Value::Object(keys)) = (at_by(row, path, integers), &mut overlaid) else {
            let there = match row {
                Value::Object(keys) => names(keys),
                _ => "none".into(),
            };
            return Err(format!("there is no column {path:?} for `{name}`; hint: there are {there}"));
        };
        keys.insert(name.clone(), value);
    }
    Ok(overlaid)
}

/// Returns the names of keys in the order of the alphabet.
pub(crate) fn names(keys: &Map<String, Value>) -> String {
    let mut names: Vec<&str> = keys.keys().map(String::as_str).collect();
    names.sort_unstable();
    names.join(", ")
}

/// Returns the first name that isn't one of those that are read.
pub fn conflict(columns: &BTreeMap<String, String>, known: &[&str]) -> Option<Conflict> {
    let unknown = columns.keys().find(|name| !known.contains(&name.as_str()))?;
    let message = format!("is no column that is read; known are {}", known.join(", "));
    Some(Conflict::new(&format!("columns.{unknown}"), message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_path_leads_through_structs_lists_and_texts() {
        let row = json!({
            "a": {"b": [{"c": 1}]}, "a.b": 2, "text": "{\"deep\": {\"er\": 3}}", "x.y": {"z": 4}, "none": null,
        });
        for (path, expect) in [
            ("a", Some(json!({"b": [{"c": 1}]}))),
            ("a.b", Some(json!(2))),
            ("a.b.0.c", Some(json!(1))),
            ("text.deep.er", Some(json!(3))),
            ("x.y.z", Some(json!(4))),
            ("none", Some(json!(null))),
            ("none.a", None),
            ("a.b.1", None),
            ("", None),
            ("b", None),
        ] {
            assert_eq!(at(&row, path), expect, "{path}");
        }
    }

    #[test]
    fn names_are_laid_over_the_row() {
        let columns = |path: &str| [("question".to_string(), path.to_string())].into();
        let row = json!({"problem": {"text": "?"}, "answer": 1});
        let expect = json!({"problem": {"text": "?"}, "answer": 1, "question": "?"});
        assert_eq!(overlaid(&row, &columns("problem.text")), Ok(expect));
        let error = overlaid(&row, &columns("problem.texts")).unwrap_err();
        assert_eq!(
            error,
            "there is no column \"problem.texts\" for `question`; hint: there are answer, problem"
        );
        assert!(overlaid(&json!(3), &columns("a")).unwrap_err().contains("hint: there are none"));
        let conflict = conflict(&columns("a"), &["answer"]).unwrap();
        assert_eq!(conflict.key, "columns.question");
    }
}
