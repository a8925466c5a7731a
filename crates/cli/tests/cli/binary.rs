//! Runs the binary.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::de::DeserializeOwned;

/// Result of a run of the binary.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_turnwise");

/// Runs `turnwise` with arguments and a text on stdin, in the root of the repository.
pub(crate) fn turnwise(args: &[&str], stdin: &str) -> Ran {
    ran(Command::new(BINARY).args(args).current_dir(root()), stdin)
}

/// Runs a command with a text on stdin.
pub(crate) fn ran(command: &mut Command, stdin: &str) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    // A command that fails before it reads closes its end: that is its own business.
    let _ = child.stdin.take().expect("stdin is piped").write_all(stdin.as_bytes());
    let output = child.wait_with_output().expect("the binary ends");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

impl Ran {
    /// Its JSON lines, after a success without a word on stderr.
    #[track_caller]
    pub(crate) fn lines<T: DeserializeOwned>(&self) -> Vec<T> {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{}", self.stdout);
        self.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Its only JSON line.
    #[track_caller]
    pub(crate) fn json<T: DeserializeOwned>(&self) -> T {
        let mut lines = self.lines();
        assert_eq!(lines.len(), 1, "one object: {}", self.stdout);
        lines.remove(0)
    }

    /// Checks a failure: the exit status, nothing on stdout, one line with these parts and at most one more
    /// with a hint.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, parts: &[&str]) {
        let lines: Vec<&str> = self.stderr.lines().collect();
        assert_eq!((self.code, self.stdout.as_str()), (Some(code), ""), "{}", self.stderr);
        let shape = lines.len() == 1 || (lines.len() == 2 && lines[1].starts_with("  hint: "));
        assert!(shape && !self.stderr.contains("panicked"), "one line and a hint at most:\n{}", self.stderr);
        for part in parts {
            assert!(self.stderr.contains(part), "{part:?} is not in:\n{}", self.stderr);
        }
    }
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the root of the repository")
}

/// The path as an argument.
pub(crate) fn arg(path: &Path) -> &str {
    path.to_str().expect("a path of the tests is UTF-8")
}
