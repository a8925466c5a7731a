//! The JSON documents of a file: one over many lines, or one a line. A key tells the format of each.

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use turnwise_json::words;

use crate::error::Wrong;

/// Holds one JSON document of a text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Document<'t> {
    /// The line on which it begins, counted from 1.
    pub(crate) line: usize,
    /// Its text.
    pub(crate) text: &'t str,
}

/// Names the format of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Session,
    Rollouts,
    TrainingTrace,
    Atif,
}

/// Holds the keys that tell formats apart.
#[derive(Deserialize)]
struct Keys {
    calls: Option<IgnoredAny>,
    trajectories: Option<IgnoredAny>,
    turns: Option<IgnoredAny>,
    steps: Option<IgnoredAny>,
}

/// Returns the documents of a text.
///
/// # Errors
/// The line and the fault of the first that isn't JSON.
pub(crate) fn documents(text: &str) -> Result<Vec<Document<'_>>, (usize, Wrong)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let (mut found, mut from, mut line) = (Vec::new(), 0, 1);
    while let Some(value) = values.next() {
        value.map_err(|error| (error.line(), Wrong::all(format!("isn't JSON: {}", words(&error)))))?;
        let end = values.byte_offset();
        let blank = text[from..end].len() - text[from..end].trim_start().len();
        line += lines(&text[from..from + blank]);
        found.push(Document { line, text: &text[from + blank..end] });
        line += lines(&text[from + blank..end]);
        from = end;
    }
    Ok(found)
}

fn lines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

impl Document<'_> {
    /// Returns the format of the document.
    ///
    /// # Errors
    /// If no key tells it, or several do.
    pub(crate) fn format(&self) -> Result<Format, Wrong> {
        let none = "isn't a trace: it has none of the keys `calls` (sessions of turnwise), `trajectories` \
                    (rollouts), `turns` (TrainingTrace) and `steps` (ATIF)";
        // Structs could be read from arrays too.
        if !self.text.starts_with('{') {
            return Err(Wrong::all(none));
        }
        match self.read::<Keys>()? {
            Keys { calls: Some(_), trajectories: None, turns: None, steps: None } => Ok(Format::Session),
            Keys { calls: None, trajectories: Some(_), turns: None, steps: None } => Ok(Format::Rollouts),
            Keys { calls: None, trajectories: None, turns: Some(_), steps: None } => {
                Ok(Format::TrainingTrace)
            }
            Keys { calls: None, trajectories: None, turns: None, steps: Some(_) } => Ok(Format::Atif),
            Keys { calls: None, trajectories: None, turns: None, steps: None } => Err(Wrong::all(none)),
            _ => {
                Err(Wrong::all("has the keys of several formats: `calls`, `trajectories`, `turns`, `steps`"))
            }
        }
    }

    /// Reads the document. A fault has the path of its key.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Wrong> {
        let mut json = serde_json::Deserializer::from_str(self.text);
        serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let path = error.path().to_string();
            Wrong::at(if path == "." { String::new() } else { path }, words(error.inner()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Turns {
        #[expect(dead_code, reason = "it is read for its faults")]
        turns: Vec<Vec<u32>>,
    }

    #[test]
    fn documents_are_lines_or_one_over_many() {
        let places = |text: &str| {
            let found = documents(text).unwrap();
            found.iter().map(|document| (document.line, document.text.len())).collect::<Vec<_>>()
        };
        assert_eq!(places(""), []);
        assert_eq!(places("{}\n\n{\"a\":1}\n"), [(1, 2), (3, 7)]);
        assert_eq!(places("\n{\n\"a\": [\n1]}\n{}"), [(2, 12), (5, 2)]);
        let (line, wrong) = documents("{}\n{\"a\":\n").unwrap_err();
        assert_eq!((line, wrong.to_string()), (3, "isn't JSON: the JSON ends where a value is due".into()));
        assert_eq!(documents("{}\nNaN").unwrap_err().0, 2);
    }

    #[test]
    fn a_key_tells_the_format_and_a_fault_has_its_path() {
        let of = |text: &str| documents(text).unwrap()[0].format();
        assert_eq!(of(r#"{"session":"s","calls":[]}"#), Ok(Format::Session));
        assert_eq!(of(r#"{"group":"g","trajectories":[]}"#), Ok(Format::Rollouts));
        assert_eq!(of(r#"{"turns":[],"schema_version":1}"#), Ok(Format::TrainingTrace));
        assert_eq!(of(r#"{"schema_version":"ATIF-v1.7","steps":[]}"#), Ok(Format::Atif));
        for text in ["[]", "3", r#"{"messages":[]}"#] {
            assert!(of(text).unwrap_err().to_string().starts_with("isn't a trace"), "{text}");
        }
        assert!(of(r#"{"turns":[],"steps":[]}"#).unwrap_err().to_string().contains("several formats"));
        let wrong = documents(r#"{"turns":[[1],[2,-3]]}"#).unwrap()[0].read::<Turns>().unwrap_err();
        assert_eq!(wrong.to_string(), "turns[1][1]: the number -3, expected a whole number, 0 or more");
    }
}
