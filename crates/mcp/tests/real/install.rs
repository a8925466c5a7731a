//! Installs servers into `target/tools`, each set once, under a lock.

use std::fs::{File, create_dir_all};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Versions of the Python servers' libraries.
const PYTHON: [&str; 2] = ["mcp==2.3.0", "fastmcp==4.2.3"];
/// The JavaScript server.
const EVERYTHING: &str = "@modelcontextprotocol/server-everything@2026.8.31";

/// Returns a folder of `target/tools` that `install` has filled, now or before.
fn installed(name: &str, install: impl FnOnce(&Path) -> Result<(), String>) -> Result<PathBuf, String> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools");
    let folder = tools.join(name);
    create_dir_all(&folder).map_err(|error| error.to_string())?;
    let lock = File::create(tools.join(format!("{name}.lock"))).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    let done = folder.join("installed");
    if !done.exists() {
        install(&folder)?;
        File::create(done).map_err(|error| error.to_string())?;
    }
    Ok(folder)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let last = String::from_utf8_lossy(&output.stderr).trim().lines().last().unwrap_or_default().to_string();
    if output.status.success() { Ok(()) } else { Err(format!("{}: {last}", command.get_program().display())) }
}

/// Returns a Python that has the libraries.
pub(crate) fn python() -> Result<String, String> {
    let folder = installed("mcp-python-2.3.0-4.2.3", |folder| {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
        run(Command::new(folder.join("bin/python")).args(["-m", "pip", "install", "--quiet"]).args(PYTHON))
    })?;
    Ok(folder.join("bin/python").display().to_string())
}

/// Returns the command of the JavaScript server, without its transport.
pub(crate) fn everything() -> Result<String, String> {
    let folder = installed("mcp-everything-2026.8.31", |folder| {
        run(Command::new("npm")
            .args(["install", "--silent", "--no-save", "--prefix"])
            .arg(folder)
            .arg(EVERYTHING))
    })?;
    Ok(folder.join("node_modules/.bin/mcp-server-everything").display().to_string())
}
