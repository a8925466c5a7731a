//! `metrics.jsonl`: one JSON object per step, on disk before the next step starts.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};

/// Wall-clock fields begin with this. They differ between two runs of the same seed; no other field does on a CPU
/// backend.
pub const TIME: &str = "time_";

/// Appends records to a file of JSON lines. Keys stay in the order in which the record holds them.
#[derive(Debug)]
pub struct Metrics {
    file: File,
}

impl Metrics {
    /// Opens a file for appending, and makes it if there is none.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: OpenOptions::new().create(true).append(true).open(path)? })
    }

    /// Appends one record, in one write and flushed to disk: a line is there as a whole or not at all.
    ///
    /// # Panics
    /// If the record is not JSON: a map with keys that aren't strings.
    pub fn append(&mut self, record: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(record).expect("a record is plain JSON");
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.file.sync_data()
    }
}

/// JSON lines without their wall-clock fields: what two runs of the same seed are compared by.
pub fn without_times(lines: &str) -> Result<String, serde_json::Error> {
    let mut kept = String::with_capacity(lines.len());
    for line in lines.lines() {
        let mut record: Map<String, Value> = serde_json::from_str(line)?;
        record.retain(|key, _| !key.starts_with(TIME));
        kept.push_str(&Value::Object(record).to_string());
        kept.push('\n');
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn records_are_appended_and_compared_without_times() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        for step in 0..2 {
            let record =
                json!({"step": step, "reward": 0.1, "time_step": f64::from(step) + 0.5, "after": "a\nb"});
            Metrics::open(&path).unwrap().append(&record).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let first = "{\"step\":0,\"reward\":0.1,\"time_step\":0.5,\"after\":\"a\\nb\"}\n";
        assert!(text.starts_with(first) && text.lines().count() == 2, "{text}");
        let kept = without_times(&text).unwrap();
        assert!(kept.contains("\"reward\":0.1") && !kept.contains("time_"), "{kept}");
        assert_eq!(without_times(&text.replace("1.5", "9.75")).unwrap(), kept);
        assert!(without_times("{\"step\":0").is_err(), "a torn line is an error");
    }
}
