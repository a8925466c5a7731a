//! Runs cells in one child: sends them, drains the output, watches the clocks, ends the child.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use turnwise_trajectory::ToolOutput;

use super::clocks::Clocks;
use super::config::PythonConfig;
use super::isolation::Hello;
use super::outcome::{Answer, End, Hard, MAX_OUTPUT, judge};
use super::sys::{self, Listener, Process};
use super::threads::ThreadLimit;
use super::zygote::{Lifetime, Zygote};
use crate::executor::capture::Capture;
use crate::executor::frames::{self, Incoming, Progress};

/// Time in which a child must restrict itself or accept a cell. Taking longer is a fault.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Maximum of messages per cell that answer another cell. Reading them delays the clocks.
const MAX_FORGED: usize = 100;
/// Kinds of file descriptors that a child announces (see `zygote.py`).
const WITH_LISTENER: u8 = 1;
const WITH_SCRATCH: u8 = 2;

/// Holds a running child.
#[derive(Debug)]
pub(super) struct Child {
    process: Process,
    cell: UnixStream,
    output: PipeReader,
    threads: Option<ThreadLimit>,
    /// The scratch space, to measure what it holds.
    scratch: Option<OwnedFd>,
    /// CPU time already charged to cells.
    charged: Duration,
    /// Bytes in memory before the first cell, if the system tells.
    bytes_before: Option<u64>,
}

impl Child {
    /// Forks a child and waits until it has restricted itself. Returns its report about its layers.
    pub(super) fn open(zygote: &mut Zygote, lifetime: Lifetime) -> io::Result<(Self, Hello)> {
        let (cell, their_cell) = UnixStream::pair()?;
        let (output, their_output) = io::pipe()?;
        sys::set_nonblocking(output.as_fd())?;
        cell.set_read_timeout(Some(TIMEOUT))?;
        cell.set_write_timeout(Some(TIMEOUT))?;
        let process = zygote.fork(lifetime, their_cell.as_fd(), their_output.as_fd())?;
        drop((their_cell, their_output));
        let (with, fds) = sys::receive_with_fds(&cell)?;
        let mut fds = fds.into_iter();
        let mut handed = |bit| (with & bit != 0).then(|| fds.next()).flatten();
        let threads = handed(WITH_LISTENER).map(|fd| ThreadLimit::new(Listener::new(fd)));
        let scratch = handed(WITH_SCRATCH);
        let hello = serde_json::from_slice(&frames::receive(&cell, 1 << 12)?).map_err(io::Error::other)?;
        let charged = process.cpu_time();
        let bytes_before = (lifetime == Lifetime::Session).then(|| resident(&process)).flatten();
        Ok((Self { process, cell, output, threads, scratch, charged, bytes_before }, hello))
    }

    /// Ends a child that this process may not be able to kill. An idle child ends when its channel does.
    pub(super) fn let_go(self) {
        let Self { process, cell, .. } = self;
        drop(cell);
        drop(process);
    }

    /// Fails if this process can't send it signals.
    pub(super) fn can_be_signalled(&self) -> io::Result<()> {
        self.process.signal(0)
    }

    /// Returns a descriptor by which another owner can kill the child.
    pub(super) fn pidfd(&self) -> io::Result<OwnedFd> {
        self.process.ended_fd().try_clone()
    }

    /// Returns the bytes that its cells have added, or none if the system doesn't tell.
    pub(super) fn bytes(&self) -> Option<u64> {
        let grown = resident(&self.process)?.saturating_sub(self.bytes_before?);
        let scratch = self.scratch.as_ref().and_then(|scratch| sys::bytes_in_use(scratch.as_fd()).ok());
        Some(grown + scratch.unwrap_or(0))
    }

    /// Runs one cell, then ends the child.
    pub(super) fn run_once(mut self, code: &str, config: &PythonConfig) -> io::Result<ToolOutput> {
        let clocks = Clocks::start(config, self.charged);
        let mut capture = Capture::new(config.output_bytes);
        let end = self.watch(code, config, &clocks, &mut capture)?;
        let wall = clocks.wall();
        let (end, cpu) = self.end(end, &mut capture)?;
        Ok(output(end, capture, wall, cpu, config))
    }

    /// Runs one cell of a session. Returns false if the child has ended. Between cells its threads are
    /// stopped.
    pub(super) fn run_cell(&mut self, code: &str, config: &PythonConfig) -> io::Result<(ToolOutput, bool)> {
        self.discard_stale()?;
        self.process.signal(libc::SIGCONT)?;
        let before = self.charged;
        let clocks = Clocks::start(config, before);
        let mut capture = Capture::new(config.output_bytes);
        let end = self.watch(code, config, &clocks, &mut capture)?;
        let wall = clocks.wall();
        if let End::Answer(answer) = end {
            self.process.signal(libc::SIGSTOP)?;
            self.charged = self.process.cpu_time();
            let cpu = self.charged.saturating_sub(before);
            return Ok((output(End::Answer(answer), capture, wall, cpu, config), true));
        }
        let (end, total) = self.end(end, &mut capture)?;
        Ok((output(end, capture, wall, total.saturating_sub(before), config), false))
    }

    /// Drops what an earlier cell left: output of its threads and forged answers. The threads are stopped, so
    /// it's finite.
    fn discard_stale(&mut self) -> io::Result<()> {
        self.drain(&mut Capture::new(1))?;
        self.cell.set_nonblocking(true)?;
        let mut buffer = [0; 4096];
        for _ in 0..1024 {
            if !matches!((&self.cell).read(&mut buffer), Ok(count) if count > 0) {
                break;
            }
        }
        Ok(())
    }

    /// Sends a cell and waits for its end. Meanwhile it drains the output and answers requests for threads.
    fn watch(
        &mut self,
        code: &str,
        config: &PythonConfig,
        clocks: &Clocks,
        capture: &mut Capture,
    ) -> io::Result<End> {
        self.threads.iter_mut().for_each(ThreadLimit::begin);
        self.cell.set_nonblocking(false)?;
        // A child that doesn't take the cell is dead or dying, and the loop below notices.
        let key = fresh_key();
        let _ = frames::send(&self.cell, &[&key, code.as_bytes()].concat());
        self.cell.set_nonblocking(true)?;

        let mut expected =
            Expected { key, max: max_answer(config), incoming: Incoming::default(), forged: 0 };
        loop {
            let wait = match clocks.look(&self.process) {
                Ok(wait) => wait,
                Err(hard) => return Ok(End::Stopped(hard)),
            };
            let fds = [
                Some(self.output.as_fd()),
                expected.incoming.is_open().then(|| self.cell.as_fd()),
                Some(self.process.ended_fd().as_fd()),
                self.threads.as_ref().map(ThreadLimit::as_fd),
            ];
            let [printed, answered, ended, asked] = sys::wait_readable(fds, wait)?;
            if printed && self.drain(capture)? && !ended && !answered && !asked {
                // The child has closed its side, and a ready descriptor would spin here.
                std::thread::sleep(Duration::from_millis(1));
            }
            if capture.total() > MAX_OUTPUT {
                return Ok(End::Stopped(Hard::Output));
            }
            if asked && let Some(threads) = &mut self.threads {
                threads.answer(&self.process)?;
            }
            if answered && let Some(answer) = expected.read(&self.cell)? {
                // Output that the child flushed before its answer.
                self.drain(capture)?;
                return Ok(answer.map_or_else(End::Stopped, End::Answer));
            }
            if ended {
                let (ended, _) = (self.process.peek()?, self.drain(capture)?);
                return Ok(End::Ended(ended));
            }
        }
    }

    /// Takes printed output. Returns true at the end of the stream.
    fn drain(&mut self, capture: &mut Capture) -> io::Result<bool> {
        let mut buffer = [0; 1 << 14];
        // The bound keeps an endless printer from delaying the clocks.
        for _ in 0..256 {
            match self.output.read(&mut buffer) {
                Ok(0) => return Ok(true),
                Ok(count) => capture.push(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Kills the child if it lives, and reaps it. Returns its CPU time.
    fn end(&mut self, end: End, capture: &mut Capture) -> io::Result<(End, Duration)> {
        self.process.kill();
        let cpu = self.process.reap()?;
        self.drain(capture)?;
        Ok((end, cpu))
    }
}

/// Receives the answer to one cell.
#[derive(Debug)]
struct Expected {
    key: [u8; 8],
    max: usize,
    incoming: Incoming,
    forged: usize,
}

impl Expected {
    /// Returns the answer once it has arrived. Other messages are an earlier cell's or forged, and are
    /// dropped.
    fn read(&mut self, cell: &UnixStream) -> io::Result<Option<Result<Answer, Hard>>> {
        while self.forged < MAX_FORGED {
            match self.incoming.read(cell, self.max)? {
                Progress::Waiting | Progress::Closed => return Ok(None),
                Progress::TooLong => break,
                Progress::Message(body) => match serde_json::from_slice::<Answer>(&body) {
                    Ok(answer) if answer.is_for(self.key) => return Ok(Some(Ok(answer))),
                    Ok(_) => self.forged += 1,
                    Err(_) => break,
                },
            }
        }
        Ok(Some(Err(Hard::Protocol)))
    }
}

/// Returns the maximum of bytes in an answer. JSON may write a character of four bytes as twelve.
fn max_answer(config: &PythonConfig) -> usize {
    config.output_bytes.saturating_mul(12) + (1 << 16)
}

/// Returns the bytes of a process in memory.
fn resident(process: &Process) -> Option<u64> {
    let pages = fs::read_to_string(format!("/proc/{}/statm", process.pid())).ok()?;
    Some(pages.split(' ').nth(1)?.parse::<u64>().ok()? * sys::page_size())
}

/// Returns a number that no earlier cell can know.
fn fresh_key() -> [u8; 8] {
    RandomState::new().build_hasher().finish().to_le_bytes()
}

fn output(end: End, capture: Capture, wall: Duration, cpu: Duration, config: &PythonConfig) -> ToolOutput {
    let (status, value, error) = judge(end, config);
    let (stdout, truncated) = capture.finish();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    ToolOutput {
        status,
        stdout,
        value,
        error,
        truncated,
        wall_ms: milliseconds(wall),
        cpu_ms: milliseconds(cpu),
    }
}
