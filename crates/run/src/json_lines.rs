//! Reads and writes files of JSON lines, one per step.
//!
//! Such a file holds whole lines only, and each step once, even if the process is killed.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use turnwise_files::own;

/// Appends records to a file.
#[derive(Debug)]
pub struct JsonLines {
    file: File,
}

impl JsonLines {
    /// Opens a file for appending, and creates it if it doesn't exist.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: own::append(path)? })
    }

    /// Appends one record and flushes it to disk.
    ///
    /// If that fails, for example on a full disk, the file keeps its length.
    ///
    /// # Panics
    /// If the record is not JSON: a map with keys that aren't strings.
    pub fn append(&mut self, record: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(record).expect("a record is plain JSON");
        line.push(b'\n');
        let before = self.file.metadata()?.len();
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        if written.is_err() {
            // The error of writing matters more than an error of truncating.
            let _ = self.file.set_len(before);
        }
        written
    }
}

/// Reads the leading whole lines of the steps 0, 1, 2, … in order. At most `steps` are read.
///
/// # Errors
/// The system's.
pub fn read<T: DeserializeOwned>(path: &Path, steps: usize) -> io::Result<Vec<T>> {
    Ok(leading(&bytes(path)?, steps).0)
}

/// Removes everything after the lines that [`read`] returns, and returns those.
///
/// # Errors
/// The system's.
pub fn keep<T: DeserializeOwned>(path: &Path, steps: usize) -> io::Result<Vec<T>> {
    let bytes = bytes(path)?;
    let (records, length) = leading(&bytes, steps);
    if length < bytes.len() {
        let file = own::with(OpenOptions::new().write(true), path)?;
        file.set_len(length as u64)?;
        file.sync_all()?;
    }
    Ok(records)
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    match own::read(path, turnwise_files::TEXT) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read,
    }
}

/// Returns the records, and the length of their lines in bytes.
fn leading<T: DeserializeOwned>(bytes: &[u8], steps: usize) -> (Vec<T>, usize) {
    let mut records = Vec::new();
    let mut length = 0;
    for line in bytes.split_inclusive(|&byte| byte == b'\n').take(steps) {
        let Some(record) = whole(line, records.len()) else { break };
        records.push(record);
        length += line.len();
    }
    (records, length)
}

/// Reads the record of a whole line, if it is an object with this step.
fn whole<T: DeserializeOwned>(line: &[u8], step: usize) -> Option<T> {
    #[derive(Deserialize)]
    struct Place {
        step: usize,
    }
    // Structs could be read from arrays too.
    let object = line.ends_with(b"\n") && line.trim_ascii_start().starts_with(b"{");
    let place: Place = object.then(|| serde_json::from_slice(line).ok()).flatten()?;
    if place.step == step { serde_json::from_slice(line).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use serde::de::IgnoredAny;
    use serde_json::json;

    use super::*;

    #[test]
    fn records_are_appended_as_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        for step in 0..2 {
            let record = json!({"after": "a\nb", "reward": 0.1, "step": step});
            JsonLines::open(&path).unwrap().append(&record).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("{\"after\":\"a\\nb\",\"reward\":0.1,\"step\":0}\n"), "{text}");
        assert_eq!(read::<IgnoredAny>(&path, 9).unwrap().len(), 2);
        assert!(JsonLines::open(Path::new("/dev/full")).is_err(), "a device is no file of a run");
    }

    #[test]
    fn torn_double_and_later_lines_are_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m");
        let check = |text: &str, steps: usize, expect: &str| {
            std::fs::write(&path, text).unwrap();
            let lines = keep::<IgnoredAny>(&path, steps).unwrap().len();
            let kept = std::fs::read_to_string(&path).unwrap();
            assert_eq!((kept.as_str(), lines), (expect, expect.lines().count()));
        };
        let whole = "{\"step\":0}\n{\"step\":1}\n";
        check(whole, 2, whole);
        check(whole, 1, "{\"step\":0}\n");
        check(whole, 0, "");
        check(&format!("{whole}{{\"step\":2}}"), 3, whole);
        check(&format!("{whole}{{\"st"), 3, whole);
        check(&format!("{whole}{{\"step\":1}}\n"), 3, whole);
        check(&format!("\0\0\n{whole}"), 3, "");
        check("[0]\n", 3, "");
        assert!(keep::<IgnoredAny>(&folder.path().join("none"), 3).unwrap().is_empty());
    }
}
