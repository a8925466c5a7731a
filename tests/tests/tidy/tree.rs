//! The files of the repository.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A tracked text file.
pub(crate) struct TextFile {
    /// Relative to the root, with forward slashes.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl TextFile {
    pub(crate) fn is_rust(&self) -> bool {
        self.has_extension("rs")
    }

    pub(crate) fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|e| e == extension)
    }

    /// Lines with their numbers from 1, without those that are only a comment.
    pub(crate) fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .map(|(i, line)| (i + 1, line.trim()))
            .filter(|(_, l)| !l.starts_with("//"))
    }
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the root").to_path_buf()
}

/// Every tracked text file that is on disk.
pub(crate) fn tracked_text() -> Vec<TextFile> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().expect("git runs");
    assert!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    let names = String::from_utf8(listed.stdout).expect("paths are UTF-8");
    let read = |path: &str| Some((path.to_string(), std::fs::read(root().join(path)).ok()?));
    names
        .split('\0')
        .filter(|name| !name.is_empty())
        .filter_map(read)
        .filter_map(|(path, bytes)| Some(TextFile { path, text: String::from_utf8(bytes).ok()? }))
        .collect()
}

/// Fails with all findings, one a line.
pub(crate) fn report(findings: &[String], rule: &str) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}

#[test]
fn the_tree_is_read() {
    let files = tracked_text();
    assert!(files.iter().filter(|file| file.is_rust()).count() > 20, "found {} text files", files.len());
    assert!(files.iter().any(|file| file.path == "Cargo.toml"));
}
