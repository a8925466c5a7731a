//! Claims about every data file, for the fuzz target and for the replay of its corpus.

use std::path::Path;

use turnwise_datasets::{DataError, rows};

/// Reads every row of the bytes. Fails if a panic escapes, or an error isn't one line with its place.
pub(crate) fn hold(bytes: &[u8], folder: &Path) {
    let path = folder.join("data_file");
    std::fs::write(&path, bytes).expect("a temporary file");
    let told = |error: &DataError| {
        let text = error.to_string();
        assert!(text.starts_with(&path.display().to_string()), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!matches!(error, DataError::Line { line: 0, .. }), "{text}");
    };
    match rows(&path) {
        Err(error) => told(&error),
        Ok(rows) => {
            let mut last = 0;
            for row in rows {
                match row {
                    Ok(row) => {
                        assert!(row.line >= last && row.line > 0, "{} after {last}", row.line);
                        last = row.line;
                    }
                    Err(error) => {
                        told(&error);
                        break;
                    }
                }
            }
        }
    }
}
