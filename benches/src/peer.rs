//! A program beside ours that does the same work: it is told by lines what to do and answers with what it cost.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::cost::Cost;

/// A process that answers every line it is sent with a line.
pub struct Peer {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts a program; its stderr is ours.
    pub fn start<A: AsRef<OsStr>>(program: impl AsRef<OsStr>, arguments: &[A]) -> io::Result<Self> {
        let mut child =
            Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let to = child.stdin.take().expect("stdin is piped");
        let from = BufReader::new(child.stdout.take().expect("stdout is piped"));
        Ok(Self { child, to, from })
    }

    /// Sends a line and returns the answer, or what became of a program that gave none.
    pub fn ask(&mut self, line: &str) -> Result<String, String> {
        let sent = writeln!(self.to, "{line}").and_then(|()| self.to.flush());
        let mut answer = String::new();
        if let Ok(1..) = sent.and_then(|()| self.from.read_line(&mut answer)) {
            return Ok(answer.trim_end().to_string());
        }
        let ended = self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        Err(format!("ended at \"{line}\": {ended}"))
    }

    /// What a piece of work cost it, or why it can't be done there.
    pub fn cost(&mut self, work: &str) -> Result<Cost, String> {
        let answer = self.ask(work)?;
        let refused = |_| serde_json::from_str(&answer).unwrap_or_else(|_| answer.clone());
        serde_json::from_str(&answer).map_err(refused)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It ends by itself when its input does; a measurement that fails must not leave it behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_back_and_an_end_is_told() {
        let mut peer = Peer::start(
            "sh",
            &["-c", "read a; echo '{\"wall\":1,\"cpu\":2}'; read a; echo '\"no\"'; read a; exit 3"],
        )
        .unwrap();
        assert_eq!(peer.cost("train"), Ok(Cost { wall: 1.0, cpu: 2.0 }));
        assert_eq!(peer.cost("train"), Err("no".into()));
        let error = peer.cost("train").unwrap_err();
        assert!(error.contains("exit status: 3"), "{error}");
    }
}
