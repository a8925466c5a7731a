//! A file of lines that are written at once and sorted at the end.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Writes lines by place. An existing file keeps its content until the first line is written. A pipe gets its
/// lines in order, each as soon as those before it are written.
pub(crate) struct LineFile {
    path: PathBuf,
    file: File,
    /// Whether this call created the file: it is removed if nothing is written.
    is_new: bool,
    is_pipe: bool,
    /// Places and bytes of the lines, in the order of writing.
    written: Vec<(usize, Range<usize>)>,
    /// Lines that wait in a pipe, and the next place.
    waiting: BTreeMap<usize, Option<String>>,
    next: usize,
    failed: Option<io::Error>,
}

impl LineFile {
    /// Opens a file for writing, without changing it.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let is_new = fs::symlink_metadata(path).is_err();
        let mut options = OpenOptions::new();
        let opened = options.write(true).create(true).truncate(false).open(path);
        let file = opened.with_context(|| format!("{}: cannot write", path.display()))?;
        let is_pipe = !file.metadata().is_ok_and(|about| about.is_file());
        let (written, waiting) = (Vec::new(), BTreeMap::new());
        Ok(Self { path: path.into(), file, is_new, is_pipe, written, waiting, next: 0, failed: None })
    }

    /// Adds the line of a place, or None for a place without one. After a failure nothing more is written.
    pub(crate) fn add(&mut self, place: usize, line: Option<String>) {
        if self.is_pipe {
            self.waiting.insert(place, line);
            while let Some(line) = self.waiting.remove(&self.next) {
                self.write(self.next, line);
                self.next += 1;
            }
        } else {
            self.write(place, line);
        }
    }

    fn write(&mut self, place: usize, line: Option<String>) {
        let Some(line) = line.filter(|_| self.failed.is_none()) else { return };
        let start = self.written.last().map_or(0, |(_, bytes)| bytes.end);
        let bytes = line + "\n";
        let emptied = if self.written.is_empty() && !self.is_pipe { self.file.set_len(0) } else { Ok(()) };
        self.failed = emptied.and_then(|()| self.file.write_all(bytes.as_bytes())).err();
        self.written.push((place, start..start + bytes.len()));
    }

    /// Sorts the lines. Without any line the file is kept only if `all_went_well`.
    pub(crate) fn finish(mut self, all_went_well: bool) -> Result<()> {
        for (place, line) in std::mem::take(&mut self.waiting) {
            self.write(place, line);
        }
        if all_went_well && self.written.is_empty() && !self.is_pipe {
            self.is_new = false;
            self.failed = self.file.set_len(0).err();
        }
        let failed = self.failed.take().or_else(|| self.sort().err());
        failed.map_or(Ok(()), |error| {
            Err(error).with_context(|| format!("{}: cannot write", self.path.display()))
        })
    }

    fn sort(&self) -> io::Result<()> {
        let mut order = self.written.clone();
        order.sort_by_key(|(place, _)| *place);
        if self.is_pipe || order == self.written {
            return Ok(());
        }
        let path = fs::canonicalize(&self.path)?;
        let all = fs::read(&path)?;
        let whole = |(_, bytes): &(usize, Range<usize>)| all.get(bytes.clone());
        let lines: Option<Vec<&[u8]>> = order.iter().map(whole).collect();
        let sorted = lines.ok_or_else(|| io::Error::other("somebody else wrote to it"))?.concat();
        // Both files exist until the sorted one is complete.
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".{}.part", std::process::id()));
        let part = path.with_file_name(name);
        let moved = fs::write(&part, sorted)
            .and_then(|()| fs::set_permissions(&part, fs::metadata(&path)?.permissions()))
            .and_then(|()| fs::rename(&part, &path));
        moved.inspect_err(|_| {
            // The file may not exist.
            let _ = fs::remove_file(&part);
        })
    }
}

impl Drop for LineFile {
    fn drop(&mut self) {
        if self.is_new && self.written.is_empty() && !self.is_pipe {
            // An empty file that stays does no harm.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_there_at_once_and_sorted_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("o.jsonl");
        fs::write(&path, "precious, and longer than what comes\n").unwrap();
        let mut lines = LineFile::open(&path).unwrap();
        assert!(fs::read_to_string(&path).unwrap().starts_with("precious"));
        lines.add(2, Some("c".into()));
        assert_eq!(fs::read_to_string(&path).unwrap(), "c\n");
        lines.add(1, None);
        lines.add(0, Some("aa".into()));
        assert_eq!(fs::read_to_string(&path).unwrap(), "c\naa\n");
        lines.finish(true).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "aa\nc\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn without_a_line_a_file_is_emptied_by_success_only() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        for (well, expect) in [(false, "precious"), (true, "")] {
            fs::write(&old, "precious").unwrap();
            LineFile::open(&old).unwrap().finish(well).unwrap();
            assert_eq!(fs::read_to_string(&old).unwrap(), expect);
            LineFile::open(&new).unwrap().finish(well).unwrap();
            assert_eq!(new.exists(), well);
        }
        drop(LineFile::open(&old).unwrap());
        assert!(old.exists(), "dropped by a failure before the first line");
        let nowhere = LineFile::open(&folder.path().join("no/such/folder")).err().unwrap();
        assert!(nowhere.to_string().contains("cannot write"), "{nowhere}");
    }
}
