//! Says what serde found wrong in the terms of the data.

/// Most characters of a text that a fault shows.
const SHOWN: usize = 60;

/// Returns what is wrong, without the place.
///
/// The terms are those of JSON: a text, a number, a whole number, true or false, a list, an object.
pub fn words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    plain(text.strip_suffix(&place).unwrap_or(&text))
}

fn plain(fault: &str) -> String {
    let mismatch = fault.strip_prefix("invalid type: ").or_else(|| fault.strip_prefix("invalid value: "));
    if let Some((found, expected)) = mismatch.and_then(|rest| rest.rsplit_once(", expected ")) {
        return format!("{}, expected {}", value(found), kind(expected));
    }
    let length = fault.strip_prefix("invalid length ").and_then(|rest| rest.split_once(", expected "));
    if let Some((length, expected)) = length {
        if expected.starts_with("struct ") {
            return "a list, expected an object".into();
        }
        return format!("{length} items, expected {}", kind(expected));
    }
    if let Some(key) = fault.strip_prefix("duplicate field ") {
        return format!("the key {key} stands twice");
    }
    if let Some(rest) = fault.strip_prefix("unknown variant ") {
        return format!("unknown value {rest}");
    }
    if let Some(inside) = fault.strip_prefix("EOF while parsing ") {
        return match inside {
            "a value" => "the JSON ends where a value is due".into(),
            "a string" => "the JSON ends inside a text".into(),
            _ => format!("the JSON ends inside {inside}"),
        };
    }
    match fault {
        "expected value" | "expected ident" => return "no value of JSON".into(),
        "trailing characters" => return "more text behind the value".into(),
        "number out of range" => return "a number beyond the largest, 1.8e308".into(),
        "key must be a string" => return "a key that is no text in double quotes".into(),
        _ => {}
    }
    if fault.starts_with("data did not match any variant") {
        return "a value in none of the known forms".into();
    }
    fault.into()
}

/// Names a value that was found.
fn value(found: &str) -> String {
    let quoted = |prefix: &str| found.strip_prefix(prefix)?.strip_prefix('`')?.strip_suffix('`');
    let number = quoted("integer ").or_else(|| quoted("floating point "));
    match found {
        "map" => "an object".into(),
        "sequence" => "a list".into(),
        "null" | "unit value" | "Option value" => "null".into(),
        _ => {
            if let Some(number) = number {
                format!("the number {number}")
            } else if let Some(truth) = quoted("boolean ") {
                truth.into()
            } else if let Some(text) = found.strip_prefix("string ") {
                format!("the text {}", short(text))
            } else {
                found.into()
            }
        }
    }
}

/// Returns the start of a text in quotes.
fn short(quoted: &str) -> String {
    match quoted.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…\"", quoted[..end].trim_end_matches('\\')),
        None => quoted.into(),
    }
}

/// Names the kind of value that was expected.
fn kind(expected: &str) -> String {
    let begins = |starts: &[&str]| starts.iter().any(|start| expected.starts_with(start));
    let list = |start: &str, end: &str| {
        let rest = expected.strip_prefix(start)?.strip_suffix(end)?;
        rest.parse::<usize>().ok().map(|length| format!("a list of {length}"))
    };
    let listed = list("tuple of ", " elements").or_else(|| list("a tuple of size ", ""));
    if let Some(listed) = listed.or_else(|| list("an array of length ", "")) {
        return listed;
    }
    match expected {
        "usize" | "u8" | "u16" | "u32" | "u64" | "u128" => "a whole number, 0 or more",
        "isize" | "i8" | "i16" | "i32" | "i64" | "i128" => "a whole number",
        "f32" | "f64" => "a number",
        "a string" | "a borrowed string" | "string" | "path string" | "a character" => "a text",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "an object",
        "unit" => "null",
        "variant identifier" | "field identifier" => "a name",
        _ if begins(&["a nonzero "]) => "a whole number above 0",
        _ if begins(&["struct ", "internally tagged enum ", "adjacently tagged enum "]) => "an object",
        _ if begins(&["enum "]) => "a known name or an object",
        _ if begins(&["tuple struct "]) => "a list",
        _ => expected,
    }
    .into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::num::NonZeroUsize;

    use serde::Deserialize;
    use serde::de::DeserializeOwned;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "it is read for its faults")]
    struct Record {
        text: String,
        #[serde(default)]
        kind: Option<Kind>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        One,
        #[expect(dead_code, reason = "it is read for its faults")]
        Other {
            of: u32,
        },
    }

    #[derive(Debug, Deserialize)]
    #[serde(tag = "type", content = "data", rename_all = "snake_case")]
    enum Tagged {
        Step,
    }

    #[derive(Debug, Deserialize)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "it is read for its faults")]
    enum Either {
        Number(f64),
        Truth(bool),
    }

    #[track_caller]
    fn check<T: DeserializeOwned + std::fmt::Debug>(text: &str, expect: &str) {
        let error = serde_json::from_str::<T>(text).unwrap_err();
        assert_eq!(words(&error), expect, "{error}");
        // Without a text there is no place.
        if let Ok(value) = serde_json::from_str(text) {
            assert_eq!(words(&serde_json::from_value::<T>(value).unwrap_err()), expect, "{error}");
        }
    }

    #[test]
    fn faults_name_kinds_of_json_and_no_type_of_rust() {
        check::<f64>("\"much\"", "the text \"much\", expected a number");
        check::<f64>("null", "null, expected a number");
        check::<u32>("-3", "the number -3, expected a whole number, 0 or more");
        check::<i64>("1.5", "the number 1.5, expected a whole number");
        check::<NonZeroUsize>("0", "the number 0, expected a whole number above 0");
        check::<String>("true", "true, expected a text");
        check::<bool>("[]", "a list, expected true or false");
        check::<Vec<u32>>("{}", "an object, expected a list");
        check::<BTreeMap<String, f64>>("[1]", "a list, expected an object");
        check::<(u32, u32)>("3", "the number 3, expected a list of 2");
        check::<[u32; 3]>("{}", "an object, expected a list of 3");
        check::<Record>("3", "the number 3, expected an object");
        check::<Record>("[]", "a list, expected an object");
        check::<Record>("{}", "missing field `text`");
        check::<Record>(r#"{"texts":1}"#, "unknown field `texts`, expected `text` or `kind`");
        check::<Kind>("\"two\"", "unknown value `two`, expected `one` or `other`");
        check::<Tagged>("3", "the number 3, expected an object");
        check::<Tagged>(r#"{"type":"walk"}"#, "unknown value `walk`, expected `step`");
        check::<f64>("hello", "no value of JSON");
        check::<f64>("nope", "no value of JSON");
        check::<f64>("1 2", "more text behind the value");
        check::<f64>("1e999", "a number beyond the largest, 1.8e308");
        check::<Vec<u32>>("[1,", "the JSON ends where a value is due");
        check::<String>("\"a", "the JSON ends inside a text");
        check::<BTreeMap<String, f64>>("{1: 2}", "a key that is no text in double quotes");
        check::<Either>("\"x\"", "a value in none of the known forms");
        let twice = serde_json::from_str::<Record>(r#"{"text":"","text":""}"#).unwrap_err();
        assert_eq!(words(&twice), "the key `text` stands twice");
        let cut = serde_json::from_str::<Record>("{").unwrap_err();
        assert_eq!(words(&cut), "the JSON ends inside an object");
    }

    #[test]
    fn a_long_text_is_cut_and_its_words_are_not_taken_for_ours() {
        let text = format!("\"{}\"", "x".repeat(1000));
        check::<f64>(&text, &format!("the text \"{}…\", expected a number", "x".repeat(SHOWN - 1)));
        check::<f64>(
            "\"a, expected b at line 3 column 4\"",
            "the text \"a, expected b at line 3 column 4\", expected a number",
        );
    }
}
