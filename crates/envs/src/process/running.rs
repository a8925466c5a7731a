//! Runs a process: its pipes, and its end.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel};

use turnwise_json::words;

use super::pending::{Pending, Place};
use super::wire::Answer;
use crate::outside::program::Program;
use crate::outside::stderr::Log;

/// Maximum of bytes in a line.
const MAX_LINE: u64 = 16 << 20;
/// Bytes of requests that are written at once.
const BURST: usize = 1 << 16;
/// Message about a process whose stdout has ended.
const ENDED: &str = "the process has ended";

/// Holds a process, and the threads that write its stdin and read its stdout and stderr. They end with it.
pub(super) struct Running {
    /// Lines for its stdin. Each waits for its answer, so there are no more than sessions.
    stdin: Option<Sender<String>>,
    pub(super) pending: Arc<Pending>,
    program: Program,
}

impl Running {
    /// Starts the command in a process group. `name` is the process's name in the log.
    ///
    /// # Errors
    /// If the command can't be started.
    pub(super) fn start(command: &[String], name: String, log: Arc<Log>) -> Result<Self, String> {
        let mut program =
            Program::start(("command", command), "[\"python3\", \"my_env.py\"]", name, log, |child| {
                child.stdin(Stdio::piped()).stdout(Stdio::piped());
                Ok(())
            })?;
        let (stdin, stdout) = program.pipes().expect("both are piped");
        let pending = Arc::new(Pending::new());
        let (lines, queued) = channel();
        std::thread::spawn(move || write(stdin, &queued));
        let answered = pending.clone();
        std::thread::spawn(move || answered.end(read(stdout, &answered)));
        Ok(Self { stdin: Some(lines), pending, program })
    }

    /// Sends a line. Returns the number of requests waiting before it, or none if the process answers no
    /// more.
    pub(super) fn send(
        &self,
        id: u64,
        place: Option<Place>,
        line: String,
        answers: SyncSender<Answer>,
    ) -> Option<usize> {
        let ahead = self.pending.add(id, place, answers)?;
        if let Some(stdin) = &self.stdin {
            // The thread that writes ends with the process. Then nothing is answered either.
            let _ = stdin.send(line);
        }
        Some(ahead)
    }

    /// Closes its stdin, which asks it to end.
    pub(super) fn hang_up(&mut self) {
        if self.stdin.take().is_some() {
            self.program.expect_end();
        }
    }

    /// Ends a process that failed. Returns its exit status and its last lines.
    pub(super) fn fail(self, why: &str) -> String {
        if why == ENDED {
            self.program.ended("process", "the process has closed its stdout")
        } else {
            self.program.fail(why)
        }
    }
}

/// Writes waiting lines at once, until there are no more or the process doesn't read. Then its stdin ends.
fn write(mut stdin: ChildStdin, lines: &Receiver<String>) {
    while let Ok(mut burst) = lines.recv() {
        while burst.len() < BURST {
            let Ok(line) = lines.try_recv() else { break };
            burst += &line;
        }
        if stdin.write_all(burst.as_bytes()).is_err() {
            return;
        }
    }
}

/// Passes answers to their requests. Returns the reason why there are no more.
fn read(stdout: ChildStdout, pending: &Pending) -> String {
    let mut stdout = BufReader::with_capacity(BURST, stdout);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut stdout).take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(0) => return ENDED.into(),
            Err(error) => return format!("its stdout can't be read: {error}"),
            Ok(_) => {}
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if line.len() as u64 == MAX_LINE {
            return format!("it wrote a line of more than {} MiB: {:?}", MAX_LINE >> 20, short(&line));
        }
        let answer: Answer = match serde_json::from_slice(&line) {
            Ok(answer) => answer,
            Err(error) => {
                return format!("it wrote {:?}, which is no answer: {}", short(&line), reason(&line, &error));
            }
        };
        let id = answer.id;
        if !pending.answer(answer) {
            return format!("it answered the request {id}, which waits for no answer");
        }
    }
}

/// Returns what is wrong with a line that can't be read.
fn reason(line: &[u8], error: &serde_json::Error) -> String {
    let rest = line.get(error.column().saturating_sub(1)..).unwrap_or_default();
    let number = ["NaN", "Infinity"].into_iter().find(|number| rest.starts_with(number.as_bytes()));
    number.map_or_else(|| words(error), |number| format!("{number} is no finite number"))
}

/// Returns the start of a line, for an error.
fn short(line: &[u8]) -> String {
    String::from_utf8_lossy(&line[..line.len().min(400)]).trim_end().chars().take(120).collect()
}
