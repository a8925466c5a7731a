//! Finds the Python to run.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::NAME;
use super::ask::ask;
use crate::executor::ExecutorError;

/// Describes an interpreter and the paths that it reads.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Interpreter {
    /// The binary itself. Launchers such as pyenv's are resolved.
    pub(super) executable: PathBuf,
    /// Its standard library and site-packages.
    library: Vec<PathBuf>,
    /// Folders of its installation.
    prefixes: Vec<PathBuf>,
    version: (u32, u32),
}

const OLDEST: (u32, u32) = (3, 9);

/// Time in which an interpreter must describe itself. Launchers on a loaded machine take seconds.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Program that prints the interpreter's paths. It keeps the library's entries of `sys.path` only: others,
/// such as the sources of an editable install, are the user's files.
const QUESTION: &str = r#"
import json, os, site, sys, sysconfig
known = sysconfig.get_paths()
library = [known[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
library += getattr(site, "getsitepackages", list)() + [sysconfig.get_config_var("DESTSHARED")]
archive = "python%d%d.zip" % sys.version_info[:2]
library += [p for p in sys.path if os.path.basename(p) in ("lib-dynload", archive)] + [os.path.dirname(os.__file__)]
prefixes = [sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix]
found = dict(executable=sys.executable or "", library=[p for p in library if p], prefixes=prefixes)
print(json.dumps(dict(found, version=list(sys.version_info[:2]))))
"#;

/// Files that every Python reads besides its installation.
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
    /// Returns every path that a child may read, with those that the configuration adds.
    pub(super) fn readable(&self, more: &[PathBuf]) -> Vec<PathBuf> {
        let mut paths: Vec<PathBuf> = SHARED.iter().map(PathBuf::from).collect();
        paths.extend(self.library.iter().cloned());
        // Shared libraries lie in folders with other programs, so they are named one by one.
        let folders = self.prefixes.iter().flat_map(|prefix| [prefix.join("lib"), prefix.join("lib64")]);
        paths.extend(folders.chain(library_folders()).flat_map(|folder| shared_libraries(&folder)));
        paths.extend(more.iter().cloned());
        paths.retain(|path| path.is_absolute() && path.exists());
        paths.sort();
        paths.dedup();
        paths
    }

    /// Returns folders that the dynamic linker searches first. Some interpreters don't start without them.
    pub(super) fn library_path() -> Option<OsString> {
        let folders = library_folders();
        (!folders.is_empty()).then(|| std::env::join_paths(folders).ok()).flatten()
    }

    fn of(candidate: &Path, timeout: Duration) -> Result<Self, String> {
        let name = candidate.display();
        let said =
            ask(candidate, &["-I", "-c", QUESTION], timeout).map_err(|why| format!("{name}: {why}"))?;
        let broken = || {
            let last = String::from_utf8_lossy(&said.stderr).lines().last().map(str::to_string);
            format!("{name}: doesn't run Python: {}", last.as_deref().unwrap_or("no answer"))
        };
        // A program that runs at every start of Python may have printed before.
        let last = said.stdout.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        let mut found: Self = serde_json::from_slice(last).map_err(|_| broken())?;
        if found.version < OLDEST {
            let ((a, b), (c, d)) = (found.version, OLDEST);
            return Err(format!("{name}: is Python {a}.{b}, older than {c}.{d}"));
        }
        if !found.executable.is_absolute() {
            return Err(format!("{name}: doesn't say where its program is"));
        }
        // An empty entry would mean the working directory, and the root everything.
        found.library.retain(|entry| entry.is_absolute() && entry.parent().is_some());
        Ok(found)
    }
}

/// Returns the folders of `LD_LIBRARY_PATH`. An empty or relative entry would mean the working directory.
fn library_folders() -> Vec<PathBuf> {
    let path = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect()
}

/// Returns files such as `libz.so.1` in a folder.
fn shared_libraries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_library = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        (name.ends_with(".so") || name.contains(".so.")) && path.is_file()
    };
    entries.map(|entry| entry.path()).filter(is_library).collect()
}

/// Returns the usable interpreters, best first, and the reasons against the others.
pub(super) fn candidates(wanted: Option<&str>) -> (Vec<Interpreter>, Vec<String>) {
    candidates_within(wanted, TIMEOUT)
}

fn candidates_within(wanted: Option<&str>, timeout: Duration) -> (Vec<Interpreter>, Vec<String>) {
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
        match Interpreter::of(&path, timeout) {
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
        // The same file may be on PATH twice: /bin and /usr/bin are one folder on many systems.
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

/// Returns the error for a machine without a usable interpreter.
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

    /// Returns a program of these lines, named python3.
    fn wrapper(lines: &str) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("python3");
        std::fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
        let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
        std::fs::set_permissions(&path, mode).unwrap();
        (folder, path.to_string_lossy().into_owned())
    }

    #[test]
    fn a_wrapper_that_never_returns_is_left_and_named() {
        for lines in [
            "sleep 1000",
            "sleep 1000 & wait",
            "exec sleep 1000",
            "trap '' TERM INT HUP; while :; do sleep 1; done",
            "while :; do echo '{'; done",
            "exec yes >&2",
            "sleep 1000 &\nexit 0",
        ] {
            let (_folder, path) = wrapper(lines);
            let (found, refused) = candidates_within(Some(&path), Duration::from_millis(300));
            assert_eq!(found, []);
            assert!(refused[0].starts_with(&format!("{path}: ")), "{lines}: {refused:?}");
        }
    }

    #[test]
    fn what_answers_and_leaves_a_process_behind_is_taken() {
        let (_folder, path) = wrapper("sleep 1000 &\nexec /usr/bin/env python3 \"$@\"");
        let (found, refused) = candidates_within(Some(&path), TIMEOUT);
        assert_eq!((found.len(), refused), (1, vec![]));
    }

    #[test]
    fn only_the_library_is_readable() {
        let (found, _) = candidates(None);
        let Some(one) = found.first() else { panic!("there is no python3") };
        let folders: Vec<PathBuf> = one.readable(&[]).into_iter().filter(|path| path.is_dir()).collect();
        for folder in &folders {
            let shared = SHARED.iter().any(|path| folder == Path::new(path));
            assert!(shared || one.library.contains(folder), "{}", folder.display());
        }
        assert!(one.library.iter().any(|folder| folder.join("json/__init__.py").exists()), "{folders:?}");
        let named = tempfile::tempdir().unwrap();
        assert!(one.readable(&[named.path().into()]).contains(&named.path().into()));
    }

    #[test]
    fn something_else_is_not_taken_for_an_interpreter() {
        let (found, refused) = candidates(Some("/bin/cat"));
        assert_eq!(found, []);
        assert!(refused[0].starts_with("/bin/cat: doesn't run Python: "), "{refused:?}");
    }
}
