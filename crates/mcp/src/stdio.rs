//! Connects to a server in a process: JSON lines on its stdin and stdout.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{ChildStdin, ChildStdout};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use turnwise_envs::outside::stderr::Log;

use crate::link::{Link, MAX_MESSAGE, Trouble, short};
use crate::message::{Message, Refusal, notice, read, reply, request};
use crate::process::{Endings, Process};

/// Messages that wait to be written at most.
const QUEUE: usize = 64;
/// The message about a server whose stdout has ended.
const ENDED: &str = "the server has ended";

type Outcome = Result<Value, Refusal>;
/// Messages for the server's stdin, which is closed when there are no senders.
type Stdin = Mutex<Option<SyncSender<String>>>;

/// Holds a session that is a process.
pub(crate) struct Stdio {
    process: Process,
    shared: Arc<Shared>,
    /// Why there are no more answers, in full. It is put together once.
    reason: OnceLock<String>,
}

/// Holds what the thread that reads stdout shares with callers.
struct Shared {
    stdin: Stdin,
    /// Requests without an answer yet, by id; none once there are no more answers.
    waiting: Mutex<Option<HashMap<u64, SyncSender<Outcome>>>>,
    /// Why there are no more answers.
    why: OnceLock<String>,
    /// The next request's number.
    next_id: AtomicU64,
}

impl Stdio {
    /// Starts the process.
    ///
    /// # Errors
    /// If it doesn't start.
    pub(crate) fn start(
        command: &[String],
        env: &[(String, String)],
        log: &Arc<Log>,
        endings: &Arc<Endings>,
    ) -> Result<Self, String> {
        let (process, stdin, stdout) = Process::start(command, env, log, endings)?;
        let (lines, queued) = sync_channel(QUEUE);
        let shared = Arc::new(Shared {
            stdin: Mutex::new(Some(lines)),
            waiting: Mutex::new(Some(HashMap::new())),
            why: OnceLock::new(),
            next_id: AtomicU64::new(1),
        });
        std::thread::spawn(move || write(stdin, &queued));
        let (answered, log) = (shared.clone(), log.clone());
        std::thread::spawn(move || {
            let why = answered.read(stdout, &log);
            answered.end(&why);
        });
        Ok(Self { process, shared, reason: OnceLock::new() })
    }

    /// Returns why there are no more answers, with the exit status and the last lines of stderr.
    fn reason(&self) -> Trouble {
        let told = self.reason.get_or_init(|| {
            let why = self.shared.why.get().map_or(ENDED, String::as_str);
            let how = if why == ENDED { self.process.ended(why) } else { why.to_string() };
            self.process.kill();
            how + &self.process.last_lines()
        });
        Trouble::Broken(told.clone())
    }

    fn send(&self, line: String, until: Instant) -> Result<(), Trouble> {
        let mut left = Some(line);
        while let Some(line) = left.take() {
            let sent = match &*self.shared.stdin() {
                Some(stdin) => stdin.try_send(line),
                None => return Err(self.reason()),
            };
            match sent {
                Ok(()) => {}
                Err(TrySendError::Full(line)) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(1));
                    left = Some(line);
                }
                Err(TrySendError::Full(_)) => {
                    return Err(Trouble::Broken("the server doesn't read its stdin".into()));
                }
                // The thread that writes ends with the process.
                Err(TrySendError::Disconnected(_)) => return Err(self.reason()),
            }
        }
        Ok(())
    }
}

impl Link for Stdio {
    fn ask(&self, method: &str, params: &Value, time: Duration) -> Result<Value, Trouble> {
        let until = Instant::now() + time;
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let (answers, answer) = sync_channel(1);
        match &mut *self.shared.waiting() {
            Some(waiting) => drop(waiting.insert(id, answers)),
            None => return Err(self.reason()),
        }
        self.send(request(id, method, params), until)?;
        match answer.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(outcome) => outcome.map_err(Trouble::Refused),
            Err(RecvTimeoutError::Timeout) => {
                let late = format!("no answer to `{method}` for {} s", time.as_secs_f64());
                Err(Trouble::Broken(late + &self.process.last_lines()))
            }
            Err(RecvTimeoutError::Disconnected) => Err(self.reason()),
        }
    }

    fn tell(&self, method: &str, time: Duration) -> Result<(), Trouble> {
        self.send(notice(method, &serde_json::json!({})), Instant::now() + time)
    }

    fn agree(&self, _: &str) {}

    fn end(&self, reason: &str) {
        self.shared.end(reason);
        self.process.kill();
    }
}

impl Drop for Stdio {
    fn drop(&mut self) {
        // The end of its stdin asks the server to end.
        self.shared.stdin().take();
    }
}

impl Shared {
    fn stdin(&self) -> MutexGuard<'_, Option<SyncSender<String>>> {
        self.stdin.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Option<HashMap<u64, SyncSender<Outcome>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives up all requests, those that wait and those to come.
    fn end(&self, why: &str) {
        // The first reason stays.
        let _ = self.why.set(why.into());
        self.stdin().take();
        // Their receivers wake up.
        self.waiting().take();
    }

    /// Hands answers to their requests. Returns why there are no more.
    fn read(&self, stdout: ChildStdout, log: &Log) -> String {
        let (mut stdout, mut line) = (BufReader::new(stdout), Vec::new());
        loop {
            line.clear();
            match (&mut stdout).take(MAX_MESSAGE).read_until(b'\n', &mut line) {
                Ok(0) => return ENDED.into(),
                Err(error) => return format!("its stdout can't be read: {error}"),
                Ok(_) if line.len() as u64 == MAX_MESSAGE && !line.ends_with(b"\n") => {
                    return format!("a message of more than {MAX_MESSAGE} bytes");
                }
                Ok(_) => {}
            }
            match read(&line) {
                Ok(Some(messages)) => {
                    for message in messages {
                        if let Err(why) = self.hear(message) {
                            return why;
                        }
                    }
                }
                Ok(None) if line.trim_ascii().is_empty() => {}
                Ok(None) => log.add(format!("{}: on stdout, no message: {}", log.place(), shown(&line))),
                Err(why) => return format!("{why}: {}", shown(&line)),
            }
        }
    }

    fn hear(&self, message: Message) -> Result<(), String> {
        match message {
            Message::Answer(id, _) if id >= self.next_id.load(Ordering::Relaxed) => {
                return Err(format!("an answer to the request {id}, which was never asked"));
            }
            Message::Answer(id, outcome) => {
                let asked = self.waiting().as_mut().and_then(|waiting| waiting.remove(&id));
                // A request that was given up waits for nothing.
                if let Some(asked) = asked {
                    let _ = asked.send(outcome);
                }
            }
            Message::Request(id, method) => {
                if let Some(stdin) = &*self.stdin() {
                    // A server that doesn't read gets no reply.
                    let _ = stdin.try_send(reply(&id, &method));
                }
            }
            Message::Notice => {}
        }
        Ok(())
    }
}

/// Returns the start of a line.
fn shown(line: &[u8]) -> String {
    short(&String::from_utf8_lossy(&line[..line.len().min(2000)]))
}

/// Writes messages until there are no more, or the process doesn't read. Then its stdin ends.
fn write(mut stdin: ChildStdin, lines: &Receiver<String>) {
    for line in lines {
        if stdin.write_all(line.as_bytes()).is_err() {
            return;
        }
    }
}
