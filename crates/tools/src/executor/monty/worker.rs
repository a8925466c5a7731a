//! Serves as a worker: this program, started again to run code and nothing else.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use monty::MontyRepl;
use monty_types::{
    CompileOptions, ExcType, MontyException, MontyObject, PrintWriter, PrintWriterCallback, ResourceLimits,
    ResourceTracker,
};
use serde::{Deserialize, Serialize};
use turnwise_trajectory::{OutputStatus, ToolOutput};

use super::lock;
use super::message::{Answer, Asked, Settings};
use super::watch::{Watch, cpu_time};
use crate::executor::capture::{Capture, shortened};
use crate::executor::frames;

/// The environment variable that makes a program a worker.
pub(super) const WORKER: &str = "TURNWISE_MONTY_WORKER";

/// Turns this process into a worker if it was started as one, and then doesn't return.
///
/// A program that uses [`MontyExecutor`](super::MontyExecutor) calls it first thing in `main`.
pub fn serve_if_asked() {
    if std::env::var_os(WORKER).is_some() {
        let status = i32::from(serve().is_err());
        std::process::exit(status);
    }
}

fn serve() -> io::Result<()> {
    let channel = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let settings: Settings = receive(&channel)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    // Opened before the lock, because no file can be opened after it.
    let resident = lock::Resident::open();
    let limit = Duration::from_secs_f64(settings.cpu_seconds);
    let watch = Watch::start(limit, resident)?;
    let hello = lock::lock(settings.memory_bytes, version());
    send(&channel, &hello)?;
    let mut repl = None;
    while let Some(Asked { code, fresh }) = receive(&channel)? {
        if fresh {
            repl = None;
        }
        let repl = repl.get_or_insert_with(|| new_repl(settings.memory_bytes));
        let output = run(repl, &code, settings.output_bytes, &watch);
        send(&channel, &Answer { cpu_ms: output.cpu_ms, output })?;
    }
    Ok(())
}

fn new_repl(memory_bytes: u64) -> MontyRepl {
    let limits = ResourceLimits::default().max_memory(memory_bytes as usize);
    MontyRepl::new("<cell>", ResourceTracker::new(limits), CompileOptions::default())
}

/// Returns the version of Python that the interpreter reports.
fn version() -> String {
    match new_repl(1 << 30).feed_run("import sys\nsys.version", vec![], PrintWriter::Disabled) {
        Ok(MontyObject::String(version)) => version.split(' ').next().unwrap_or_default().into(),
        other => format!("{other:?}"),
    }
}

fn run(repl: &mut MontyRepl, code: &str, room: usize, watch: &Watch) -> ToolOutput {
    let mut printed = Printed(Capture::new(room));
    let before = cpu_time();
    watch.begin();
    let result = repl.feed_run(code, vec![], PrintWriter::Callback(&mut printed));
    // Showing a value takes time too.
    let result = result.map(|value| (value != MontyObject::None).then(|| shortened(value.py_repr(), room)));
    let out_of_time = watch.end();
    let cpu_ms = cpu_time().saturating_sub(before).as_secs_f64() * 1e3;
    let (stdout, truncated) = printed.0.finish();
    let (status, value, error) = match result {
        Ok(value) => (OutputStatus::Ok, value, None),
        Err(_) if out_of_time => (OutputStatus::Timeout, None, None),
        Err(error) if error.exc_type() == ExcType::MemoryError => (OutputStatus::OutOfMemory, None, None),
        Err(error) => (OutputStatus::Error, None, Some(shortened(last_line(&error), room))),
    };
    ToolOutput { stdout, value, error, truncated, cpu_ms, ..ToolOutput::of(status) }
}

/// Returns the last line of the traceback, such as `ValueError: no`.
fn last_line(error: &MontyException) -> String {
    error.summary().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Bounded output of the code.
struct Printed(Capture);

impl PrintWriterCallback for Printed {
    fn stdout_write(&mut self, text: Cow<'_, str>) -> Result<(), MontyException> {
        self.0.push(text.as_bytes());
        Ok(())
    }

    fn stdout_push(&mut self, end: char) -> Result<(), MontyException> {
        self.0.push(end.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }
}

fn send(mut channel: &File, message: &impl Serialize) -> io::Result<()> {
    let body = serde_json::to_vec(message).map_err(io::Error::other)?;
    channel.write_all(&frames::framed(&body)?)
}

/// Returns the next message, or none if the supervisor has gone.
fn receive<T: for<'de> Deserialize<'de>>(channel: &File) -> io::Result<Option<T>> {
    match frames::receive(channel, usize::MAX) {
        Ok(body) => serde_json::from_slice(&body).map(Some).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}
