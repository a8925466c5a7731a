//! A row of a file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;
use turnwise_json::{beyond_64_bits, rounded, with_exact_integers, words};

use crate::columns::{Integers, names, overlaid, overlaid_by};
use crate::error::DataError;

/// Iterates over the rows of a file, which are read on demand.
pub type Rows = Box<dyn Iterator<Item = Result<Row, DataError>>>;

/// Holds the text of a row with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The line that it starts on, or its number in a table; from 1.
    pub line: usize,
    /// JSON, as it stands in the file; of a table, the object of its columns.
    pub text: String,
    /// Whether the text was made here: places in it say nothing.
    pub(crate) made: bool,
    /// Columns of a table that the text lacks, because they can't be read.
    pub(crate) unread: Option<Arc<str>>,
}

impl Row {
    /// Reads the row as a type. `columns`: paths by the names that the type has.
    ///
    /// An integer beyond 64 bits is read as the text of its digits.
    ///
    /// # Errors
    /// With the line of the mistake.
    pub fn read<T: DeserializeOwned>(
        &self,
        path: &Path,
        columns: &BTreeMap<String, String>,
    ) -> Result<T, DataError> {
        let wrong = |error: serde_json::Error| self.wrong(path, &error);
        let text = with_exact_integers(&self.text);
        if columns.is_empty() {
            return serde_json::from_str(&text).map_err(wrong);
        }
        let row = serde_json::from_str(&text).map_err(wrong)?;
        let row = overlaid(&row, columns).map_err(|message| self.broken(path, message))?;
        T::deserialize(row).map_err(|error| self.broken(path, words(&error)))
    }

    /// Returns place and digits of the first integer beyond 64 bits in these columns. It is for a reader to
    /// whom the text of its digits isn't the same.
    pub fn integer_beyond_64_bits(
        &self,
        columns: &BTreeMap<String, String>,
        needed: &[&str],
    ) -> Option<(String, String)> {
        // A path may lead into JSON that stands in a text.
        if columns.is_empty() && beyond_64_bits(&self.text).is_none() {
            return None;
        }
        let read =
            |text: &str, integers| overlaid_by(&serde_json::from_str(text).ok()?, columns, integers).ok();
        let exact = read(&with_exact_integers(&self.text), Integers::Exact)?;
        let plain = read(&self.text, Integers::Rounded)?;
        needed.iter().find_map(|name| {
            let (path, digits) = rounded(exact.get(*name)?, plain.get(*name)?)?;
            Some((format!("{name}{path}"), digits))
        })
    }

    /// Returns the error of a row that isn't what its reader needs. It names the columns that can't be read,
    /// since one of them may be missing.
    pub fn broken(&self, path: &Path, message: impl Into<String>) -> DataError {
        let mut message = message.into();
        if let Some(unread) = &self.unread {
            let hint = ["; hint: ", "\n  hint: "].iter().filter_map(|mark| message.find(mark)).min();
            message.insert_str(hint.unwrap_or(message.len()), &format!(" (not read: {unread})"));
        }
        DataError::line(path, self.line, message)
    }

    /// Returns whether the text lacks columns of its row, because they can't be read.
    pub fn is_partial(&self) -> bool {
        self.unread.is_some()
    }

    /// Checks that the text has all columns of its row, for a reader that hands the row on.
    ///
    /// # Errors
    /// Names the columns that can't be read.
    pub fn whole(&self, path: &Path) -> Result<(), DataError> {
        let hint = "hint: leave the column out, or write it in another form";
        let wrong = |unread| DataError::line(path, self.line, format!("{unread}; {hint}"));
        self.unread.as_ref().map_or(Ok(()), |unread| Err(wrong(unread)))
    }

    /// Returns the error of a row that isn't of a type.
    fn wrong(&self, path: &Path, error: &serde_json::Error) -> DataError {
        if self.made {
            let columns = match serde_json::from_str(&self.text) {
                Ok(Value::Object(keys)) => names(&keys),
                _ => String::new(),
            };
            return self.broken(path, format!("{}; its columns are {columns}", words(error)));
        }
        let message = format!("{}{}", reason(error), hint(&self.text, error));
        DataError::line(path, self.line + error.line().max(1) - 1, message)
    }
}

/// Returns a hint for a line that isn't one record.
fn hint(text: &str, error: &serde_json::Error) -> &'static str {
    let text = text.trim();
    if error.is_eof() && (text.starts_with('{') || text.starts_with('[')) {
        "; hint: a record has one line, or all of them are in one array"
    } else if error.to_string().starts_with("trailing characters") {
        "; hint: one record per line, with nothing behind it"
    } else {
        ""
    }
}

/// Returns the reason with the column alone, because serde counts lines within the record.
pub(crate) fn reason(error: &serde_json::Error) -> String {
    format!("{} (column {})", words(error), error.column())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Debug, serde::Deserialize)]
    #[expect(dead_code, reason = "it is read for its fault")]
    struct Numbers {
        n: Vec<i64>,
    }

    /// Digits survive, whatever is read; a reader that needs a number is told what stands there.
    #[test]
    fn an_integer_beyond_64_bits_is_the_text_of_its_digits() {
        const BIG: &str = "-99999999999999999999";
        let text = format!(r#"{{"n": [0, {BIG}], "t": "{{\"m\": {BIG}, \"k\": 1}}", "k": 1.5}}"#);
        let row = Row { line: 3, text, made: false, unread: None };
        let (path, none) = (Path::new("a.jsonl"), BTreeMap::new());
        let read: Value = row.read(path, &none).unwrap();
        assert_eq!((&read["n"], &read["k"]), (&json!([0, BIG]), &json!(1.5)));
        let columns: BTreeMap<_, _> =
            [("a", "t.m"), ("b", "n.1"), ("c", "t.k")].map(|(to, from)| (to.into(), from.into())).into();
        let read: Value = row.read(path, &columns).unwrap();
        assert_eq!((&read["a"], &read["b"], &read["c"]), (&json!(BIG), &json!(BIG), &json!(1)));
        let found = |columns: &BTreeMap<String, String>, needed: &[&str]| {
            row.integer_beyond_64_bits(columns, needed).map(|(place, digits)| {
                assert_eq!(digits, BIG);
                place
            })
        };
        assert_eq!(found(&none, &["t", "k", "absent"]), None, "a text stays a text");
        assert_eq!(found(&none, &["k", "n"]).as_deref(), Some("n[1]"));
        assert_eq!(found(&columns, &["c", "a"]).as_deref(), Some("a"));
        let wrong = row.read::<Numbers>(path, &none).unwrap_err().to_string();
        let expect = format!("a.jsonl:3: the text \"{BIG}\", expected a whole number");
        assert!(wrong.starts_with(&expect), "{wrong}");
    }
}
