//! `sessions.jsonl`: one line per session.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// Appends lines to a file.
pub(crate) struct Record {
    path: PathBuf,
    file: Mutex<File>,
}

impl Record {
    /// Opens `sessions.jsonl` in a folder, which is made if it is absent. Lines of earlier servers stay.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join("sessions.jsonl");
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path)?;
        // A killed server may have left half a line.
        if file.metadata()?.len() > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                return Err(io::Error::other("its last line is cut off; remove that line"));
            }
        }
        Ok(Self { path, file: Mutex::new(file) })
    }

    /// Returns the file's path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a line. A line that can't be written as a whole is taken back.
    pub(crate) fn write(&self, line: &impl Serialize) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line).expect("a line holds plain values");
        bytes.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let before = file.metadata()?.len();
        file.write_all(&bytes).inspect_err(|_| {
            // The first error is the one to report.
            let _ = file.set_len(before);
        })
    }
}
