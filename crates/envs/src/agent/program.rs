//! Runs a program to its end: in a process group, within a time, with bounded output.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::process::{ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::outside::program::Program;
use crate::outside::stderr::Log;

/// Most bytes of stdout that are kept, from its end.
pub(super) const KEPT: usize = 1 << 20;
/// Time between two looks at a program whose stdout is open.
const LOOK: Duration = Duration::from_millis(50);
/// Time for the last output of a program that has ended: a process that left its group may hold the pipe.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// Holds a program that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// The end of its stdout.
    pub stdout: String,
    /// Why it failed, if it did: its status, its time limit, or that it didn't start.
    pub failure: Option<String>,
    /// Whether it exited in time, with any status. A signal is no exit.
    pub exited: bool,
}

impl Ran {
    /// Returns whether the beginning of its last line is gone.
    pub fn lost_its_line(&self) -> bool {
        self.stdout.len() >= KEPT && !self.stdout.trim_end().contains('\n')
    }
}

/// Names what is run.
#[derive(Debug, Clone, Copy)]
pub(super) struct What<'a> {
    /// Its key in the run file, and the program with its arguments.
    pub(super) command: (&'a str, &'a [String]),
    /// A command for a hint.
    pub(super) example: &'a str,
    /// Its name in errors.
    pub(super) noun: &'a str,
    /// Its name in the log.
    pub(super) name: &'a str,
    pub(super) limit: Duration,
}

/// Runs a program. `input` is its stdin, and `prepare` sets its variables.
pub(super) fn run(what: What<'_>, input: Vec<u8>, log: &Arc<Log>, prepare: impl FnOnce(&mut Command)) -> Ran {
    let What { command, example, noun, name, limit } = what;
    let started = Instant::now();
    let program = Program::start(command, example, name.into(), log.clone(), |command| {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        prepare(command);
        Ok(())
    });
    let mut program = match program {
        Ok(program) => program,
        Err(failure) => return Ran { stdout: String::new(), failure: Some(failure), exited: false },
    };
    let (mut stdin, stdout) = program.pipes().expect("both are piped");
    // A program that doesn't read its input has no use for it.
    thread::spawn(move || stdin.write_all(&input));
    let (said, ended) = Said::read(stdout);
    let in_time = wait(&program, &ended, started + limit);
    let status = program.end();
    let _ = ended.recv_timeout(LAST_WORDS);
    let stdout = said.text();
    let failure = match status {
        _ if !in_time => Some(format!("the {noun} took longer than {} s", limit.as_secs_f64())),
        Some(status) if status.success() => None,
        Some(status) => Some(format!("the {noun} failed ({status})")),
        None => Some(format!("the {noun} has no status")),
    };
    let exited = in_time && status.is_some_and(|status| status.code().is_some());
    Ran { stdout, failure: failure.map(|failure| failure + &program.last_words()), exited }
}

/// Waits until a program ends. Returns whether it did in time.
fn wait(program: &Program, ended: &Receiver<()>, until: Instant) -> bool {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match ended.recv_timeout(left.min(LOOK)) {
            // Its stdout is closed, so it is about to end, or works on in silence.
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                return program.ends_within(until.saturating_duration_since(Instant::now()));
            }
            Err(RecvTimeoutError::Timeout) if program.ends_within(Duration::ZERO) => return true,
            Err(RecvTimeoutError::Timeout) if left.is_zero() => return false,
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Keeps the end of a stdout while a thread reads it.
struct Said(Arc<Mutex<VecDeque<u8>>>);

impl Said {
    /// Begins to read. The receiver hears of the end.
    fn read(mut stdout: ChildStdout) -> (Self, Receiver<()>) {
        let kept: Arc<Mutex<VecDeque<u8>>> = Arc::default();
        let (shared, (tell, ended)) = (kept.clone(), channel());
        thread::spawn(move || {
            let mut part = [0; 8192];
            while let Ok(length @ 1..) = stdout.read(&mut part) {
                let mut kept = shared.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend(&part[..length]);
                let over = kept.len().saturating_sub(KEPT);
                kept.drain(..over);
            }
            // The receiver may be gone.
            let _ = tell.send(());
        });
        (Self(kept), ended)
    }

    fn text(&self) -> String {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(kept.make_contiguous()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(script: &str, input: &str, seconds: f64) -> Ran {
        let command = ["sh", "-c", script].map(String::from);
        let limit = Duration::from_secs_f64(seconds);
        let what = What { command: ("command", &command), example: "", noun: "program", name: "test", limit };
        run(what, input.into(), &Arc::new(Log::new("env.agent")), |_| {})
    }

    #[test]
    fn a_program_ends_with_its_status_and_its_output() {
        let ran = |stdout: &str, failure: Option<&str>| Ran {
            stdout: stdout.into(),
            failure: failure.map(String::from),
            exited: failure.is_none_or(|failure| failure.contains("exit status")),
        };
        assert_eq!(check("cat; echo more", "given\n", 10.0), ran("given\nmore\n", None));
        assert_eq!(check("true", &"x".repeat(1 << 20), 10.0), ran("", None), "it reads nothing");
        let failed = "the program failed (exit status: 3); the end of its stderr: oh";
        assert_eq!(check("echo said; echo oh >&2; exit 3", "", 10.0), ran("said\n", Some(failed)));
        assert_eq!(check("kill -9 $$", "", 10.0), ran("", Some("the program failed (signal: 9 (SIGKILL))")));
        let slow = "the program took longer than 0.3 s";
        assert_eq!(check("echo began; sleep 60", "", 0.3), ran("began\n", Some(slow)));
        assert_eq!(check("exec >&-; sleep 60", "", 0.3), ran("", Some(slow)));
        let command = [String::from("/no/such/program")];
        let what = What { command: ("check", &command), example: "", noun: "", name: "", limit: LOOK };
        let absent = run(what, Vec::new(), &Arc::new(Log::new("env.agent")), |_| {});
        assert!(absent.failure.unwrap().starts_with("check = [\"/no/such/program\"] doesn't start"));
    }

    #[test]
    fn what_a_program_leaves_behind_ends_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        let script = format!("sleep 60 & echo $! > {}; echo done", path.display());
        let before = Instant::now();
        assert_eq!(check(&script, "", 30.0).stdout, "done\n");
        assert!(before.elapsed() < Duration::from_secs(20), "it doesn't wait for the pipe");
        let pid = std::fs::read_to_string(path).unwrap();
        let gone = || !std::path::Path::new("/proc").join(pid.trim()).join("exe").exists();
        let until = Instant::now() + Duration::from_secs(20);
        while !gone() && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
        assert!(gone(), "its children are killed");
    }

    #[test]
    fn only_the_end_of_a_long_output_is_kept() {
        let ran = check("yes rubbish | head -c 3000000; echo; echo last", "", 60.0);
        assert!(!ran.lost_its_line());
        assert_eq!((ran.stdout.len(), ran.failure), (KEPT, None));
        let line = check("head -c 3000000 /dev/zero | tr '\\0' x; echo", "", 30.0);
        assert!(line.lost_its_line(), "{}", line.stdout.len());
        assert!(ran.stdout.ends_with("\nlast\n"));
        assert_eq!(check("printf '\\377\\n'", "", 10.0).stdout, "\u{fffd}\n");
    }
}
