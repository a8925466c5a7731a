//! Installs packages of PyPI for the examples, in a virtual environment of each under `target/tools`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns a Python that has `module`, installed from `package` if it isn't there yet. None, with a message
/// on stderr, if it can't be installed. With `TURNWISE_TEST_NO_SKIPS` that is a failure.
pub(crate) fn python_with(module: &str, package: &str) -> Option<String> {
    let tools = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/tools");
    std::fs::create_dir_all(&tools).unwrap();
    // Tests are processes, or threads of one: the first one installs.
    let lock = File::create(tools.join(format!("{module}.lock"))).unwrap();
    lock.lock().unwrap();
    let folder = tools.join(package);
    let python = folder.join("bin/python");
    let has = || ran(&python, &["-c", &format!("import {module}")]).is_ok();
    let installed = if has() { Ok(()) } else { install(&folder, &python, package) };
    match installed {
        Ok(()) => Some(python.display().to_string()),
        Err(why) => {
            assert!(std::env::var_os("TURNWISE_TEST_NO_SKIPS").is_none(), "{package} must be there: {why}");
            eprintln!("left out: {package} can't be installed: {why}");
            None
        }
    }
}

fn install(folder: &Path, python: &Path, package: &str) -> Result<(), String> {
    ran(Path::new("python3"), &["-m", "venv", "--clear", &folder.display().to_string()])?;
    ran(python, &["-m", "pip", "install", "--quiet", "--disable-pip-version-check", package])
}

fn ran(program: &Path, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_string();
    if output.status.success() { Ok(()) } else { Err(said) }
}
