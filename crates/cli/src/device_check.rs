//! Checks a device in a separate process, so that a crashing driver doesn't end this one.

use std::fmt;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Serialize;
use turnwise_trainer::self_check::SelfCheck;

/// Holds the findings about a device.
#[derive(Debug, Serialize)]
pub(crate) struct Checked {
    device: &'static str,
    /// Element types, and the difference of its numbers from the host's; none if it can't be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<SelfCheck>,
    /// The reason why it can't be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Duration of the check. GPUs compile their kernels in it.
    seconds: f64,
}

/// A driver that takes longer to answer counts as hanging.
const PATIENCE: Duration = Duration::from_mins(1);

/// Checks a device of this binary.
pub(crate) fn of(device: &'static str) -> Checked {
    let started = Instant::now();
    let (found, error) = match ask(device) {
        Ok(found) => (Some(found), None),
        Err(error) => (None, Some(error)),
    };
    Checked { device, found, error, seconds: started.elapsed().as_secs_f64() }
}

fn ask(device: &str) -> Result<SelfCheck, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut child = Command::new(program)
        .args(["doctor", "--check", device])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let ended = wait(&mut child)?;
    // The output of a check fits into a pipe.
    let (out, said) = (read(child.stdout.take()), read(child.stderr.take()));
    serde_json::from_str(&out).map_err(|_| reason(&said).unwrap_or(ended))
}

fn read(pipe: Option<impl Read>) -> String {
    let mut text = Vec::new();
    if let Some(mut pipe) = pipe {
        // A failed read keeps the bytes before it.
        let _ = pipe.read_to_end(&mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Waits for the process, kills it after its time, and returns its status.
fn wait(child: &mut Child) -> Result<String, String> {
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(format!("its check ended with {status}")),
            Ok(None) if started.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(10)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it did not answer within {} s", PATIENCE.as_secs()));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Returns the last line that isn't a hint, since drivers print before the error.
fn reason(said: &str) -> Option<String> {
    let line = said.lines().rev().find(|line| !line.trim().is_empty() && !line.starts_with(' '))?;
    Some(line.to_string())
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.found, &self.error) {
            (Some(found), _) => {
                let types = found.dtypes.join(", ");
                write!(f, "{}: {types}; checked in {:.1} s", self.device, self.seconds)?;
                match &found.kernel_fault {
                    Some(fault) => write!(f, "; Burn decodes instead of our kernels: {fault}"),
                    None => Ok(()),
                }
            }
            (None, Some(error)) => write!(f, "{}: {error}", self.device),
            (None, None) => write!(f, "{}", self.device),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_with_the_error_is_the_reason() {
        let said = "a driver talks\nno such library\n  hint: install it\n";
        assert_eq!(reason(said).as_deref(), Some("no such library"));
        assert_eq!(reason("\n"), None);
    }
}
