//! Names calls that are written in another form than the format's: Python's quotes, or other tags.

use std::ops::Range;

use serde_json::Value;
use turnwise_trajectory::ViolationKind;

use super::found_call::{Found, malformed};
use super::grammar::{Marker, Place, Role};
use super::json::{OBJECT, looks_like_call, read_calls, read_unmarked, spaced};
use super::python_literal::to_json;

/// The usual beginning of a call that is written as a dictionary of Python.
pub(super) const DICTIONARY: &str = "{'name'";
/// The usual beginning of a list of them.
pub(super) const DICTIONARIES: &str = "[{'name'";

/// Other tags in front of a call. The object shows that the tag isn't a mention.
pub(super) const OTHER_TAGS: [Marker; 3] =
    [tagged("<tools>{\"name\""), tagged("<function_call>{\"name\""), tagged("<function_call> {\"name\"")];

const fn tagged(text: &'static str) -> Marker {
    Marker { text, place: Place::Anywhere, keep: OBJECT.len(), role: Role::Call }
}

/// Returns whether a marker is one of [`OTHER_TAGS`].
pub(super) fn is_other_tag(marker: Marker) -> bool {
    OTHER_TAGS.contains(&marker)
}

/// Returns the violation of a call with Python's quotes. Other literals are answers.
pub(super) fn read_dictionary(text: &str, keys: &[&str], span: &Range<usize>) -> Vec<Found> {
    let wrong = || malformed(ViolationKind::InvalidJson, "not JSON: it needs double quotes", span.clone());
    let Ok(value) = to_json(text) else {
        let has_keys = keys.iter().any(|key| text.contains(&format!("'{key}'")));
        return if has_keys { vec![wrong()] } else { Vec::new() };
    };
    let is_call = match &value {
        Value::Array(list) => list.iter().any(|object| looks_like_call(object, keys)),
        object => looks_like_call(object, keys),
    };
    if !is_call {
        return Vec::new();
    }
    let meant = read_calls(&spaced(&value), keys, span).into_iter().next();
    vec![Found { recovered: meant.and_then(|found| found.verdict.ok()), ..wrong() }]
}

/// Returns the violation of a call with another tag in front of its object.
pub(super) fn read_tagged(text: &str, open: &str, span: &Range<usize>) -> Vec<Found> {
    read_unmarked(&text[text.find('{').unwrap_or(0)..], open, span)
}
