//! Runs a program for its answer, within a time limit.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::sys::{self, Process};

/// Maximum of bytes that are read of an answer.
const MAX_BYTES: usize = 1 << 16;

/// Holds the output of a program that has ended.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

/// Runs a program without input. Its processes are killed when it has ended or its time is over.
pub(super) fn ask(program: &Path, arguments: &[&str], timeout: Duration) -> Result<Said, String> {
    let mut command = Command::new(program);
    command.args(arguments).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    // Killed and reaped when dropped. Until then no other process gets its number.
    let process = Process::adopt(child.id().cast_signed()).map_err(|error| error.to_string())?;
    let answer = listen(&mut child, &process, timeout);
    process.kill_group();
    match answer {
        Ok(Some(said)) => Ok(said),
        Ok(None) => Err(format!("didn't answer within {} s", timeout.as_secs_f64())),
        Err(error) => Err(error.to_string()),
    }
}

/// Returns the output once the program has ended, or none if its time was over first.
fn listen(child: &mut Child, process: &Process, timeout: Duration) -> io::Result<Option<Said>> {
    let started = Instant::now();
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    for fd in [out.as_ref().map(AsFd::as_fd), err.as_ref().map(AsFd::as_fd)].into_iter().flatten() {
        sys::set_nonblocking(fd)?;
    }
    let mut said = Said::default();
    loop {
        let left = timeout.saturating_sub(started.elapsed());
        if left.is_zero() {
            return Ok(None);
        }
        let fds =
            [out.as_ref().map(AsFd::as_fd), err.as_ref().map(AsFd::as_fd), Some(process.ended_fd().as_fd())];
        let [_, _, ended] = sys::wait_readable(fds, left)?;
        take(&mut out, &mut said.stdout)?;
        take(&mut err, &mut said.stderr)?;
        // A process that it left behind may hold its output open.
        if ended {
            return Ok(Some(said));
        }
    }
}

/// Reads what has arrived, and closes the stream at its end or above the maximum.
fn take(stream: &mut Option<impl Read>, said: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0; 4096];
    while let Some(open) = stream {
        match open.read(&mut buffer) {
            Ok(0) => *stream = None,
            Ok(count) => said.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if said.len() > MAX_BYTES {
            *stream = None;
        }
    }
    Ok(())
}
