//! A running process: its pipes, and its end.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::pending::Pending;
use super::stderr::{Log, Stderr};
use super::wire::Answer;

/// Bound on the bytes of one line.
const MAX_LINE: u64 = 16 << 20;
/// Bytes of requests that are written at once.
const BURST: usize = 1 << 16;
/// How long a process may take to end when its stdin has.
const GRACE: Duration = Duration::from_secs(2);
/// How long a process that has closed its stdout may take to end.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// What is said of a process whose stdout has ended.
const ENDED: &str = "the process has ended";

/// A process, and the threads that write its stdin and read its stdout and stderr. They end with it.
pub(super) struct Running {
    child: Child,
    /// Lines for its stdin. Each waits for its answer, so there are no more than sessions.
    stdin: Option<Sender<String>>,
    pub(super) pending: Arc<Pending>,
    stderr: Arc<Stderr>,
    /// When its stdin was closed.
    closed: Option<Instant>,
    /// Its status, once it is reaped.
    status: Option<ExitStatus>,
}

impl Running {
    /// Starts the command in a process group. `name` is the process's in the log.
    ///
    /// # Errors
    /// If the command can't be started.
    pub(super) fn start(command: &[String], name: String, log: Arc<Log>) -> Result<Self, String> {
        let (program, arguments) = command
            .split_first()
            .ok_or("command = [] names no program; hint: [\"python3\", \"my_env.py\"]")?;
        let mut child = Command::new(program)
            .args(arguments)
            // Signals of the terminal are for the run, which ends the process when it has done with it.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("command = {command:?} doesn't start: {error}"))?;
        let stdin = child.stdin.take().expect("it is piped");
        let stdout = child.stdout.take().expect("it is piped");
        let stderr = Stderr::read(child.stderr.take().expect("it is piped"), name, log);
        let pending = Arc::new(Pending::new());
        let (lines, queued) = channel();
        std::thread::spawn(move || write(stdin, &queued));
        let answered = pending.clone();
        std::thread::spawn(move || answered.end(read(stdout, &answered)));
        Ok(Self { child, stdin: Some(lines), pending, stderr, closed: None, status: None })
    }

    /// Sends a line. Returns how many requests waited before it; none if the process answers no more.
    pub(super) fn send(&self, id: u64, line: String, answers: SyncSender<Answer>) -> Option<usize> {
        let ahead = self.pending.add(id, answers)?;
        if let Some(stdin) = &self.stdin {
            // The thread that writes ends with the process: then nothing is answered either.
            let _ = stdin.send(line);
        }
        Some(ahead)
    }

    /// Closes its stdin, which asks it to end.
    pub(super) fn hang_up(&mut self) {
        if self.stdin.take().is_some() {
            self.closed = Some(Instant::now());
        }
    }

    /// Ends a process that failed. Returns how, with its exit status and its last lines.
    pub(super) fn fail(mut self, why: &str) -> String {
        let mut reason = why.to_string();
        if why == ENDED {
            let ended = self.ends_within(Instant::now(), LAST_WORDS);
            self.kill();
            reason = match self.status.filter(|_| ended) {
                Some(status) => format!("{ENDED} ({status})"),
                None => "the process has closed its stdout".into(),
            };
        }
        self.kill();
        reason + &self.stderr.last()
    }

    /// Waits until it has ended, but not beyond `patience` after `since`. Returns whether it has; its number
    /// stays its own.
    fn ends_within(&self, since: Instant, patience: Duration) -> bool {
        let id = WaitId::Pid(Pid::from_child(&self.child));
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        loop {
            match waitid(id.clone(), options) {
                Ok(None) if since.elapsed() < patience => std::thread::sleep(Duration::from_millis(2)),
                Ok(None) => return false,
                // An error says that it was reaped.
                Ok(Some(_)) | Err(_) => return true,
            }
        }
    }

    /// Kills its process group and reaps it.
    fn kill(&mut self) {
        if self.status.is_none() {
            // An error says that nothing is left of the group.
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            self.status = self.child.wait().ok();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.hang_up();
        self.ends_within(self.closed.unwrap_or_else(Instant::now), GRACE);
        self.kill();
    }
}

/// Writes lines, those that wait at once, until there are no more or the process doesn't read. Then its
/// stdin ends.
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

/// Hands answers to their requests. Returns why there are no more.
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
            Err(error) => return format!("it wrote {:?}, which is no answer: {error}", short(&line)),
        };
        let id = answer.id;
        if !pending.answer(answer) {
            return format!("it answered the request {id}, which waits for no answer");
        }
    }
}

/// Returns the start of a line, for an error.
fn short(line: &[u8]) -> String {
    String::from_utf8_lossy(&line[..line.len().min(400)]).trim_end().chars().take(120).collect()
}
