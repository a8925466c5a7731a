//! Runs the command: sends a question, receives a verdict, one after the other.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::outside::group::Group;
use crate::outside::unstarted::unstarted;

/// Event of the command.
enum Event {
    /// It wrote a line. The flag tells whether more came with it.
    Said(String, bool),
    /// Its stdout ended.
    Ended,
    /// Its stdin is closed.
    Deaf(std::io::Error),
    /// Its stdout can't be read as text.
    Mute(std::io::Error),
}

/// Limits the time of the command.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TimeLimits {
    /// For its start, before the time of its first answer begins.
    pub(super) start: Duration,
    /// Time for one answer.
    pub(super) answer: Duration,
}

/// The longest line that can be a verdict, in bytes.
const LONGEST_LINE: u64 = 1 << 16;

/// Runs a command that checks answers, and restarts it after each failure.
pub(super) struct Checker {
    command: Vec<String>,
    time_limits: TimeLimits,
    running: Option<Running>,
}

impl Checker {
    pub(super) fn start(command: &[String], time_limits: TimeLimits) -> Result<Self, String> {
        let running = Some(Running::start(command)?);
        Ok(Self { command: command.to_vec(), time_limits, running })
    }

    /// Sends a question and waits for its verdict, both within the limit. After an error another command is
    /// started, because a late verdict would be taken for the next question's.
    pub(super) fn ask(&mut self, question: &str) -> Result<bool, String> {
        let mut running = match self.running.take() {
            Some(running) => running,
            None => Running::start(&self.command)?,
        };
        let verdict = running.ask(question, self.time_limits)?;
        self.running = Some(running);
        Ok(verdict)
    }
}

/// The running command. Separate threads read and write, so no command can block the caller beyond its limit.
/// They end with the command.
struct Running {
    group: Group,
    /// Lines for its stdin.
    questions: Option<Sender<String>>,
    events: Receiver<Event>,
    started: Instant,
    /// It has given a verdict, so its start is over.
    answered: bool,
}

impl Running {
    fn start(command: &[String]) -> Result<Self, String> {
        let (program, arguments) =
            command.split_first().ok_or("check = [] names no command; hint: [\"python3\", \"check.py\"]")?;
        let mut start = Command::new(program);
        start.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut group =
            Group::start(&mut start).map_err(|error| format!("check = {}", unstarted(command, &error)))?;
        let stdin = group.leader().stdin.take().expect("it is piped");
        let stdout = group.leader().stdout.take().expect("it is piped");
        let (questions, asked) = channel();
        let (tell, events) = channel();
        let tell_too = tell.clone();
        thread::spawn(move || write(stdin, &asked, &tell_too));
        thread::spawn(move || read(stdout, &tell));
        let started = Instant::now();
        Ok(Self { group, questions: Some(questions), events, started, answered: false })
    }

    fn ask(&mut self, question: &str, time_limits: TimeLimits) -> Result<bool, String> {
        #[derive(Deserialize)]
        struct Reply {
            correct: bool,
        }
        if let Ok(event) = self.events.try_recv() {
            return Err(unasked(&event));
        }
        if let Some(questions) = &self.questions {
            // It fails only if the thread has ended, which gives the reason.
            let _ = questions.send(format!("{question}\n"));
        }
        // The end of a start can't be seen, except by the first answer.
        let start = if self.answered { Duration::ZERO } else { time_limits.start };
        let timeout = time_limits.answer + start.saturating_sub(self.started.elapsed());
        let (line, more) = match self.events.recv_timeout(timeout) {
            Ok(Event::Said(line, more)) => (line, more),
            Ok(event) => return Err(unasked(&event)),
            Err(RecvTimeoutError::Timeout) => {
                let seconds = time_limits.answer.as_secs_f64();
                let starting = if self.answered { "" } else { " after its time to start" };
                return Err(format!("the checker said nothing for {seconds} s{starting}"));
            }
            Err(RecvTimeoutError::Disconnected) => return Err("the checker has ended".into()),
        };
        let reply: Reply = serde_json::from_str(&line).map_err(|_| {
            format!("the checker said {:?}, which isn't {{\"correct\": true}} or false", short(&line))
        })?;
        if more {
            return Err(format!("the checker said more than {:?} to one question", short(&line)));
        }
        self.answered = true;
        Ok(reply.correct)
    }
}

/// Returns the start of its line, for an error message.
fn short(line: &str) -> String {
    line.chars().take(200).collect()
}

/// Returns why an event is no verdict.
fn unasked(event: &Event) -> String {
    match event {
        Event::Said(line, _) => format!("the checker said {:?} without being asked", short(line)),
        Event::Ended => "the checker has ended".into(),
        Event::Deaf(error) => format!("the checker doesn't read: {error}"),
        Event::Mute(error) => format!("the checker can't be read: {error}"),
    }
}

/// Writes questions until there are no more, and then ends the command's stdin.
fn write(mut stdin: ChildStdin, questions: &Receiver<String>, tell: &Sender<Event>) {
    for question in questions {
        if let Err(error) = stdin.write_all(question.as_bytes()) {
            // The receiver may be gone.
            let _ = tell.send(Event::Deaf(error));
            return;
        }
    }
}

/// Sends every line until stdout ends or the receiver is gone.
fn read(stdout: ChildStdout, tell: &Sender<Event>) {
    let mut stdout = BufReader::new(stdout);
    loop {
        let mut line = String::new();
        let event = match (&mut stdout).take(LONGEST_LINE).read_line(&mut line) {
            Ok(0) => Event::Ended,
            Ok(_) => {
                Event::Said(line.trim_end_matches(['\n', '\r']).to_string(), !stdout.buffer().is_empty())
            }
            Err(error) => Event::Mute(error),
        };
        let last = !matches!(event, Event::Said(..));
        if tell.send(event).is_err() || last {
            return;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The end of its stdin asks it to end, and killing makes sure. A failure of either has no effect.
        drop(self.questions.take());
        self.group.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Starts a command with `answer` as the limit of its start and of each answer.
    fn python(script: &str, answer: Duration) -> Checker {
        let command = ["python3", "-u", "-c", script].map(String::from);
        Checker::start(&command, TimeLimits { start: answer, answer }).unwrap()
    }

    /// Returns the fault of a command that fails repeatedly.
    fn failure(script: &str) -> String {
        let mut checker = python(script, SECOND * 5);
        let failed = (0..10).find_map(|_| {
            let error = checker.ask("{}").err();
            // Time for a line without a question.
            thread::sleep(SECOND / 5);
            error
        });
        failed.expect("it fails")
    }

    #[test]
    fn a_verdict_that_nobody_asked_for_answers_no_question() {
        const YES: &str = "import os, sys, time\nyes = '{\"correct\": true}'\n";
        // Whether the next question was already sent depends on timing.
        const TOO_MUCH: &[&str] = &["the checker said more than", "without being asked"];
        for (script, expect) in [
            ("for line in sys.stdin: print(yes + '\\n' + yes)", TOO_MUCH),
            ("for line in sys.stdin: print(yes), time.sleep(0.05), print(yes)", TOO_MUCH),
            ("print(yes)\nfor line in sys.stdin: print(yes)", TOO_MUCH),
            ("input()\nos.close(0)\nprint(yes)\ntime.sleep(60)", &["the checker doesn't read: "]),
            ("input()\nprint(yes)\nos.close(1)\ntime.sleep(60)", &["the checker has ended"]),
            ("input()\nprint('x' * 10 ** 6)\ntime.sleep(60)", &["which isn't"]),
        ] {
            let error = failure(&format!("{YES}{script}"));
            assert!(expect.iter().any(|expect| error.contains(expect)), "{script}: {error}");
        }
    }

    /// A pipe holds some 64 KiB. The rest waits for the command to read.
    #[test]
    fn a_command_that_reads_nothing_is_given_up_in_time() {
        let start = std::time::Instant::now();
        let mut checker = python("import time; time.sleep(60)", SECOND);
        for _ in 0..2 {
            let error = checker.ask(&"x".repeat(1 << 20)).unwrap_err();
            assert_eq!(error, "the checker said nothing for 1 s after its time to start");
        }
        drop(checker);
        assert!(start.elapsed() < SECOND * 20);
    }
}
