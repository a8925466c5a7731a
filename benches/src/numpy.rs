//! A numpy program beside a bench, in a separate environment under the target folder.

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The version that results were measured with.
const NUMPY: &str = "numpy==2.4.6";

/// A program that answers every line it is sent with a line.
pub struct Numpy {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Numpy {
    /// Starts a script of `benches/`. Makes the environment on first use, which needs `python3` and a package
    /// index; `folder` is where it is kept.
    pub fn start(script: &str, folder: &Path) -> io::Result<Self> {
        let python = environment(folder)?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
        let mut child =
            Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let to = child.stdin.take().expect("stdin is piped");
        let from = BufReader::new(child.stdout.take().expect("stdout is piped"));
        Ok(Self { child, to, from })
    }

    /// Sends a line and returns the answer.
    ///
    /// # Panics
    /// If the program has ended: it has then said why on stderr.
    pub fn ask(&mut self, line: &str) -> String {
        writeln!(self.to, "{line}").expect("the program reads its commands");
        let mut answer = String::new();
        self.from.read_line(&mut answer).expect("the program writes text");
        assert!(!answer.is_empty(), "the numpy program ended at: {line}");
        answer.trim_end().to_string()
    }
}

impl Drop for Numpy {
    fn drop(&mut self) {
        // It ends by itself when its input does; a bench that fails must not leave it behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Python that has numpy.
fn environment(folder: &Path) -> io::Result<PathBuf> {
    let folder = folder.join("numpy");
    let python = folder.join("bin/python");
    let ready = Command::new(&python).args(["-c", "import numpy"]).stderr(Stdio::null()).status();
    if !ready.is_ok_and(|status| status.success()) {
        succeed(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        succeed(Command::new(&python).args(["-m", "pip", "install", "--quiet", NUMPY]))?;
    }
    Ok(python)
}

fn succeed(command: &mut Command) -> io::Result<()> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?}: {status}"))) }
}
