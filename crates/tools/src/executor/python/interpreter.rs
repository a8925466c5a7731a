//! Finding the Python to run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::NAME;
use crate::executor::ExecutorError;

/// An interpreter and what it needs to read.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Interpreter {
    /// The binary itself: launchers such as pyenv's are resolved.
    pub(super) executable: PathBuf,
    /// Where it finds modules.
    path: Vec<PathBuf>,
    /// Where it's installed.
    prefixes: Vec<PathBuf>,
    version: (u32, u32),
}

const OLDEST: (u32, u32) = (3, 9);

const QUESTION: &str = "import json, sys; print(json.dumps(dict(executable=sys.executable, path=sys.path, \
                        prefixes=[sys.prefix, sys.base_prefix], version=list(sys.version_info[:2]))))";

/// What every Python reads besides its own files.
const SHARED: [&str; 9] = [
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/usr/share/zoneinfo",
    "/dev/urandom",
    "/dev/zero",
];

impl Interpreter {
    /// Everything that a child may read.
    pub(super) fn readable(&self) -> Vec<PathBuf> {
        let libraries = self.prefixes.iter().map(|prefix| prefix.join("lib"));
        SHARED
            .iter()
            .map(PathBuf::from)
            .chain(libraries)
            .chain(self.path.clone())
            .filter(|p| p.exists())
            .collect()
    }

    fn ask(candidate: &Path) -> Result<Self, String> {
        let output = Command::new(candidate)
            .args(["-I", "-c", QUESTION])
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("{}: {error}", candidate.display()))?;
        let broken = || {
            let said = String::from_utf8_lossy(&output.stderr);
            format!(
                "{}: doesn't run Python: {}",
                candidate.display(),
                said.lines().last().unwrap_or("no answer")
            )
        };
        let mut found: Self = serde_json::from_slice(&output.stdout).map_err(|_| broken())?;
        if found.version < OLDEST {
            let ((a, b), (c, d)) = (found.version, OLDEST);
            return Err(format!("{}: is Python {a}.{b}, older than {c}.{d}", candidate.display()));
        }
        // An empty entry would mean the working directory.
        found.path.retain(|entry| entry.is_absolute());
        Ok(found)
    }
}

/// The interpreters to try, best first, and why the others aren't among them.
pub(super) fn candidates(wanted: Option<&str>) -> (Vec<Interpreter>, Vec<String>) {
    let paths = match wanted {
        Some(path) if path.contains('/') => vec![PathBuf::from(path)],
        name => on_path(name.unwrap_or("python3")),
    };
    let mut refused = Vec::new();
    if paths.is_empty() {
        refused.push(format!("no {} on PATH", wanted.unwrap_or("python3")));
    }
    let mut found: Vec<Interpreter> = Vec::new();
    for path in paths {
        match Interpreter::ask(&path) {
            Ok(one) if found.iter().any(|other| other.executable == one.executable) => {}
            Ok(one) => found.push(one),
            Err(reason) => refused.push(reason),
        }
    }
    (found, refused)
}

fn on_path(name: &str) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut seen = Vec::new();
    std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        // The same file may be on PATH twice, as /bin and /usr/bin are one folder on many systems.
        .filter(|file| {
            file.canonicalize().is_ok_and(|real| {
                !seen.contains(&real) && {
                    seen.push(real);
                    true
                }
            })
        })
        .collect()
}

/// No interpreter could be used.
pub(super) fn none_usable(reasons: &[String]) -> ExecutorError {
    ExecutorError {
        backend: NAME,
        message: format!("no usable python3 ({})", reasons.join("; ")),
        hint: "install Python 3.9 or later where every user can read it, or name one with rollout.executor.python.interpreter"
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_interpreter_is_named() {
        let (found, refused) = candidates(Some("/nowhere/python3"));
        assert_eq!(found, []);
        assert_eq!(refused, ["/nowhere/python3: No such file or directory (os error 2)"]);
        let (_, refused) = candidates(Some("python-that-is-not-there"));
        assert_eq!(refused, ["no python-that-is-not-there on PATH"]);
    }

    #[test]
    fn something_else_is_not_taken_for_an_interpreter() {
        let (found, refused) = candidates(Some("/bin/cat"));
        assert_eq!(found, []);
        assert!(refused[0].starts_with("/bin/cat: doesn't run Python: "), "{refused:?}");
    }
}
