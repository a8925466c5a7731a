//! A row of a file.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::columns::{names, overlaid};
use crate::error::DataError;

/// Rows of a file, read on demand.
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
}

impl Row {
    /// Reads the row as a type. `columns`: paths by the names that the type has.
    ///
    /// # Errors
    /// With the line of the mistake.
    pub fn read<T: DeserializeOwned>(
        &self,
        path: &Path,
        columns: &BTreeMap<String, String>,
    ) -> Result<T, DataError> {
        let wrong = |error: serde_json::Error| self.wrong(path, &error);
        if columns.is_empty() {
            return serde_json::from_str(&self.text).map_err(wrong);
        }
        let row = serde_json::from_str(&self.text).map_err(wrong)?;
        let row = overlaid(&row, columns).map_err(|message| DataError::line(path, self.line, message))?;
        T::deserialize(row).map_err(|error| DataError::line(path, self.line, bare(&error)))
    }

    /// Returns the error of a row that isn't of a type.
    fn wrong(&self, path: &Path, error: &serde_json::Error) -> DataError {
        if self.made {
            let columns = match serde_json::from_str(&self.text) {
                Ok(Value::Object(keys)) => names(&keys),
                _ => String::new(),
            };
            return DataError::line(path, self.line, format!("{}; its columns are {columns}", bare(error)));
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
    format!("{} (column {})", bare(error), error.column())
}

fn bare(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason).to_string()
}
