//! A program beside ours that does the same work: it is told by lines what to do and answers with what it
//! cost.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use crate::cost::Cost;

/// A process that answers every line it is sent with a line.
pub struct Peer {
    child: Child,
    to: ChildStdin,
    from: Receiver<String>,
    time_limit: Duration,
}

impl Peer {
    /// Starts a program; its stderr is ours. An answer that takes longer than `time_limit` ends it.
    pub fn start<A: AsRef<OsStr>>(
        program: impl AsRef<OsStr>,
        arguments: &[A],
        time_limit: Duration,
    ) -> io::Result<Self> {
        let mut child =
            Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let to = child.stdin.take().expect("stdin is piped");
        let lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let (answers, from) = channel();
        // It ends with the program, or when nobody listens any more.
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| answers.send(line)));
        Ok(Self { child, to, from, time_limit })
    }

    /// Sends a line and returns the answer, or what became of a program that gave none.
    pub fn ask(&mut self, line: &str) -> Result<String, String> {
        // A peer that doesn't read gives no answer either.
        let _ = writeln!(self.to, "{line}").and_then(|()| self.to.flush());
        match self.from.recv_timeout(self.time_limit) {
            Ok(answer) => Ok(answer),
            Err(RecvTimeoutError::Timeout) => {
                let _ = self.child.kill();
                Err(format!("stopped at \"{line}\" after {} s", self.time_limit.as_secs_f64()))
            }
            Err(RecvTimeoutError::Disconnected) => {
                let ended = self.child.wait();
                let how = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
                Err(format!("ended at \"{line}\": {how}"))
            }
        }
    }

    /// Returns the cost of a piece of work, or why it can't be done there.
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
            Duration::from_mins(1),
        )
        .unwrap();
        assert_eq!(peer.cost("train"), Ok(Cost { wall: 1.0, cpu: 2.0 }));
        assert_eq!(peer.cost("train"), Err("no".into()));
        let error = peer.cost("train").unwrap_err();
        assert!(error.contains("exit status: 3"), "{error}");
    }

    #[test]
    fn an_answer_that_takes_too_long_is_not_waited_for() {
        let script = &["-c", "read a; exec sleep 600"];
        let mut peer = Peer::start("sh", script, Duration::from_millis(50)).unwrap();
        assert_eq!(peer.cost("train"), Err("stopped at \"train\" after 0.05 s".into()));
        assert!(peer.ask("loss").unwrap_err().starts_with("ended at \"loss\""));
    }
}
