//! One process of an environment: requests of many sessions at a time, answers in any order, and a new
//! process after a failure.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::Value;
use turnwise_tools::Fault;

use super::wire::{Answer, Request};

/// Where faults of this environment come from.
const ORIGIN: &str = "env.process";
/// Bound on the bytes of one line.
const MAX_LINE: u64 = 16 << 20;
/// Failures of a process in a row that end the run.
const MAX_FAILURES: u32 = 3;
/// How long a process may take to end when its stdin has.
const GOODBYE: Duration = Duration::from_secs(2);

pub(super) fn fault(message: impl Into<String>) -> Fault {
    Fault::new(ORIGIN, message)
}

/// One process, and the next one after it fails.
pub(super) struct Worker {
    command: Vec<String>,
    timeout: Duration,
    state: Mutex<State>,
    /// Processes have failed too often. All workers share it.
    broken: Arc<AtomicBool>,
    next_id: AtomicU64,
}

#[derive(Default)]
struct State {
    running: Option<Running>,
    /// Processes started so far. Sessions of an earlier one are over.
    generation: u64,
    /// Failures since the last answer.
    failures: u32,
    /// Why the last process failed.
    reason: String,
}

struct Running {
    child: Child,
    stdin: Option<SyncSender<String>>,
    pending: Arc<Pending>,
}

/// Requests without an answer yet, by id; none once the process can't answer any more.
struct Pending {
    waiting: Mutex<Option<HashMap<u64, SyncSender<Answer>>>>,
    /// Why there will be no more answers.
    reason: Mutex<String>,
}

impl Pending {
    fn waiting(&self) -> MutexGuard<'_, Option<HashMap<u64, SyncSender<Answer>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses all requests, those that wait and those to come.
    fn end(&self, reason: String) {
        let mut kept = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_empty() {
            *kept = reason;
        }
        drop(kept);
        // Their receivers wake up.
        self.waiting().take();
    }

    /// Returns why there will be no more answers, if that is so.
    fn ended(&self) -> Option<String> {
        self.waiting().is_none().then(|| self.reason())
    }

    fn reason(&self) -> String {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Worker {
    /// Starts the process.
    ///
    /// # Errors
    /// If the command can't be started.
    pub(super) fn start(
        command: &[String],
        timeout: Duration,
        broken: Arc<AtomicBool>,
    ) -> Result<Self, String> {
        let running = Some(Running::start(command)?);
        let state = Mutex::new(State { running, generation: 1, ..State::default() });
        Ok(Self { command: command.to_vec(), timeout, state, broken, next_id: AtomicU64::new(1) })
    }

    /// Sends a request and waits for its result. `generation` names the process that holds the session; none
    /// takes whichever runs. Returns the generation of the process that answered.
    ///
    /// # Errors
    /// If the process or the session is out of order. A process that is, is replaced by the next request.
    pub(super) fn ask<T: DeserializeOwned>(
        &self,
        request: &Request<'_>,
        generation: Option<u64>,
    ) -> Result<(T, u64), Fault> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (answers, answer) = sync_channel(1);
        let (generation, pending) = self.send(id, request, generation, answers)?;
        let answer = self.wait(&answer, generation, &pending)?;
        self.state().failures = 0;
        if let Some(refusal) = answer.error {
            // The environment's own words about one session; its process is well.
            return Err(fault(refusal.message));
        }
        let result = answer.result.unwrap_or(Value::Null);
        match serde_json::from_value(result) {
            Ok(result) => Ok((result, generation)),
            Err(error) => Err(self.fail(generation, &format!("an answer that makes no sense: {error}"))),
        }
    }

    /// Sends a request whose answer makes no difference.
    pub(super) fn tell(&self, request: &Request<'_>, generation: u64) {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (ignored, _) = sync_channel(1);
        // A process that has ended has forgotten its sessions.
        let _ = self.send(id, request, Some(generation), ignored);
    }

    fn send(
        &self,
        id: u64,
        request: &Request<'_>,
        generation: Option<u64>,
        answers: SyncSender<Answer>,
    ) -> Result<(u64, Arc<Pending>), Fault> {
        let mut line = serde_json::to_value(request).expect("a request has string keys");
        line["id"] = id.into();
        let (now, pending, stdin) = self.running(generation)?;
        let asked = pending.waiting().as_mut().map(|waiting| waiting.insert(id, answers)).is_some();
        if !asked {
            return Err(self.fail(now, &pending.reason()));
        }
        // A bounded queue: a process that reads nothing lets its requests wait, and then their time is up.
        let mut left = Some(format!("{line}\n"));
        let start = Instant::now();
        while let Some(line) = left.take() {
            match stdin.try_send(line) {
                Ok(()) => {}
                Err(TrySendError::Full(line)) if start.elapsed() < self.timeout => {
                    std::thread::sleep(Duration::from_millis(1));
                    left = Some(line);
                }
                Err(_) => return Err(self.fail(now, "it doesn't read its stdin")),
            }
        }
        Ok((now, pending))
    }

    fn wait(&self, answer: &Receiver<Answer>, generation: u64, pending: &Pending) -> Result<Answer, Fault> {
        answer.recv_timeout(self.timeout).map_err(|error| match error {
            RecvTimeoutError::Timeout => {
                self.fail(generation, &format!("no answer for {} s", self.timeout.as_secs_f64()))
            }
            RecvTimeoutError::Disconnected => self.fail(generation, &pending.reason()),
        })
    }

    /// Returns the process of a generation, or one that runs.
    fn running(&self, generation: Option<u64>) -> Result<(u64, Arc<Pending>, SyncSender<String>), Fault> {
        let mut state = self.state();
        if let Some(reason) = state.running.as_ref().and_then(|running| running.pending.ended()) {
            // It ended while no request waited. Dropping it reaps it.
            drop(self.end(&mut state, &reason));
        }
        if self.broken.load(Ordering::Relaxed) {
            let hint = "run the command by hand: a line {\"id\":1,\"method\":\"describe\"} in, an answer out";
            let reason = &state.reason;
            return Err(fault(format!("it failed {MAX_FAILURES} times in a row: {reason}\n  hint: {hint}")));
        }
        if generation.is_some_and(|generation| generation != state.generation || state.running.is_none()) {
            return Err(fault(format!("the process of this session has ended: {}", state.reason)));
        }
        if state.running.is_none() {
            state.running = Some(Running::start(&self.command).map_err(fault)?);
            state.generation += 1;
        }
        let running = state.running.as_ref().expect("it was started");
        let stdin = running.stdin.clone().expect("stdin is open while the process runs");
        Ok((state.generation, running.pending.clone(), stdin))
    }

    /// Ends the process of a generation, and with it all sessions in it. Returns the fault of the session
    /// that noticed.
    pub(super) fn fail(&self, generation: u64, reason: &str) -> Fault {
        let mut state = self.state();
        let ended = if state.generation == generation { self.end(&mut state, reason) } else { None };
        drop(state);
        if let Some(mut running) = ended {
            let _ = running.child.kill();
        }
        fault(reason)
    }

    /// Takes the process and counts its failure.
    fn end(&self, state: &mut State, reason: &str) -> Option<Running> {
        let running = state.running.take()?;
        running.pending.end(reason.into());
        state.reason = reason.into();
        state.failures += 1;
        if state.failures >= MAX_FAILURES {
            self.broken.store(true, Ordering::Relaxed);
        }
        Some(running)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn start(command: &[String]) -> Result<Self, String> {
        let (program, arguments) = command
            .split_first()
            .ok_or("command = [] names no program; hint: [\"python3\", \"my_env.py\"]")?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("command = {command:?} doesn't start: {error}"))?;
        let stdin = child.stdin.take().expect("it is piped");
        let stdout = child.stdout.take().expect("it is piped");
        let pending =
            Arc::new(Pending { waiting: Mutex::new(Some(HashMap::new())), reason: Mutex::default() });
        let (lines, queued) = sync_channel(1024);
        std::thread::spawn(move || write(stdin, &queued));
        let answered = pending.clone();
        std::thread::spawn(move || {
            let reason = read(stdout, &answered);
            answered.end(reason);
        });
        Ok(Self { child, stdin: Some(lines), pending })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The end of its stdin asks it to end. Neither call can fail in a way that matters here.
        drop(self.stdin.take());
        let start = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && start.elapsed() < GOODBYE {
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes lines until there are no more, or the process doesn't read. Then its stdin ends.
fn write(mut stdin: ChildStdin, lines: &Receiver<String>) {
    for line in lines {
        if stdin.write_all(line.as_bytes()).is_err() {
            return;
        }
    }
}

/// Hands answers to their requests. Returns why there are no more.
fn read(stdout: ChildStdout, pending: &Pending) -> String {
    let mut stdout = BufReader::new(stdout);
    loop {
        let mut line = Vec::new();
        match (&mut stdout).take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(0) => return "the process has ended".into(),
            Err(error) => return format!("its stdout can't be read: {error}"),
            Ok(_) => {}
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let answer: Answer = match serde_json::from_slice(&line) {
            Ok(answer) => answer,
            Err(error) => return format!("it wrote {:?}, which is no answer: {error}", short(&line)),
        };
        let id = answer.id;
        let Some(asked) = pending.waiting().as_mut().map(|waiting| waiting.remove(&id)) else {
            return "the process was ended".into();
        };
        match asked {
            // A request that was given up waits for nothing.
            Some(asked) => drop(asked.send(answer)),
            None => return format!("it answered the request {id}, which waits for no answer"),
        }
    }
}

/// Returns the start of a line, for an error message.
fn short(line: &[u8]) -> String {
    String::from_utf8_lossy(line).trim_end().chars().take(120).collect()
}
