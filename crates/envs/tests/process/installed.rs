//! Packages of PyPI for tests and examples, in a virtual environment of each under `target/tools`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns a Python that has `module`, after these installations in the folder `name` if it isn't there yet.
/// None, with a word on stderr, if it can't be installed; with `TURNWISE_TEST_NO_SKIPS` that is a failure.
pub(crate) fn python_with(module: &str, name: &str, installations: &[&[&str]]) -> Option<String> {
    let tools = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/tools");
    std::fs::create_dir_all(&tools).unwrap();
    // Tests are processes, or threads of one: the first one installs.
    let lock = File::create(tools.join(format!("{module}.lock"))).unwrap();
    lock.lock().unwrap();
    let folder = tools.join(name);
    let python = folder.join("bin/python");
    let has = || ran(&python, &["-c", &format!("import {module}")]).is_ok();
    let installed = if has() { Ok(()) } else { install(&folder, &python, installations) };
    match installed {
        Ok(()) => Some(python.display().to_string()),
        Err(why) => {
            assert!(std::env::var_os("TURNWISE_TEST_NO_SKIPS").is_none(), "{name} must be there: {why}");
            eprintln!("left out: {name} can't be installed: {why}");
            None
        }
    }
}

fn install(folder: &Path, python: &Path, installations: &[&[&str]]) -> Result<(), String> {
    ran(Path::new("python3"), &["-m", "venv", "--clear", &folder.display().to_string()])?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    installations.iter().try_for_each(|packages| ran(python, &[&pip[..], packages].concat()))
}

fn ran(program: &Path, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_string();
    if output.status.success() { Ok(()) } else { Err(said) }
}
