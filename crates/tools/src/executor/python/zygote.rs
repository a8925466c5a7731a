//! Runs one zygote: a Python process that forks children for the supervisor.

use std::io::{self, Read};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child as Spawned, Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::config::PythonConfig;
use super::interpreter::Interpreter;
use super::keeper::Keeper;
use super::sys::{self, Process, Setup, Step};
use crate::executor::frames;
use crate::executor::seccomp::{self, Allowed};

const SOURCE: &str = concat!(include_str!("cell.py"), include_str!("scratch.py"), include_str!("zygote.py"));

/// Imports of heavy modules take seconds, and more on a loaded machine.
const START_TIMEOUT: Duration = Duration::from_mins(2);
const FORK_TIMEOUT: Duration = Duration::from_secs(20);

/// Environment of every zygote. The order of sets must not differ between runs, one execution is one core's
/// work, and an arena per thread would take more address space than its stack.
const ALWAYS: [(&str, &str); 4] = [
    ("PYTHONHASHSEED", "0"),
    ("OMP_NUM_THREADS", "1"),
    ("OPENBLAS_NUM_THREADS", "1"),
    ("MALLOC_ARENA_MAX", "1"),
];

/// Holds the settings with which every zygote of an executor starts.
#[derive(Debug)]
pub(super) struct Recipe {
    pub(super) interpreter: Interpreter,
    pub(super) setup: Setup,
    pub(super) ruleset: Option<OwnedFd>,
    pub(super) settings: Settings,
}

/// Tells a zygote its settings, which `zygote.py` reads.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Settings {
    cpu_seconds: f64,
    wall_seconds: f64,
    memory_bytes: u64,
    scratch_bytes: u64,
    output_bytes: usize,
    imports: Vec<String>,
    warm_up: Vec<String>,
    /// Folders from which a child can import.
    readable: Vec<PathBuf>,
    namespaces: bool,
    seccomp: Option<Programs>,
}

/// Holds seccomp programs as the kernel reads them.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Programs {
    /// Denials that the zygote survives.
    inherited: Vec<u8>,
    /// Asks the supervisor before each thread.
    asks: Vec<u8>,
    /// The allow-list with threads, for a child whose supervisor can be asked.
    list: Vec<u8>,
    /// The allow-list without threads, for other children.
    without_threads: Vec<u8>,
}

impl Settings {
    pub(super) fn new(config: &PythonConfig, readable: &[PathBuf], seccomp: Option<Programs>) -> Self {
        Self {
            cpu_seconds: config.cpu_seconds,
            wall_seconds: config.wall_seconds,
            memory_bytes: config.memory_mib << 20,
            scratch_bytes: config.scratch_mib << 20,
            output_bytes: config.output_bytes,
            imports: config.imports.clone(),
            warm_up: config.warm_up.clone(),
            readable: readable.to_vec(),
            namespaces: true,
            seccomp,
        }
    }

    /// Records whether the zygote has separate namespaces.
    pub(super) fn namespaces(&mut self, of_its_own: bool) {
        self.namespaces = of_its_own;
    }
}

impl Programs {
    pub(super) fn new(allowed: impl Fn(bool) -> Allowed) -> Result<Self, String> {
        let [inherited, list] = seccomp::programs(allowed(true))?.map(|program| seccomp::bytes(&program));
        let [_, without_threads] = seccomp::programs(allowed(false))?.map(|program| seccomp::bytes(&program));
        let asks = seccomp::bytes(&seccomp::asks_for_threads());
        Ok(Self { inherited, asks, list, without_threads })
    }
}

/// Says why a zygote is missing or unusable.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotStarted {
    /// A layer was refused.
    #[error("{}: {}", .0.name(), .1)]
    Step(Step, io::Error),
    /// The supervisor can't end a child that runs as another user.
    #[error("signals to another user: {0}")]
    Signal(io::Error),
    /// Python's message, for example about a missing module.
    #[error("{0}")]
    Python(String),
    /// Any other failure.
    #[error("{0}")]
    Other(String),
}

/// Says whether a child runs one cell or many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lifetime {
    Once,
    Session,
}

/// Holds a running zygote.
#[derive(Debug)]
pub(super) struct Zygote {
    process: Spawned,
    control: UnixStream,
    /// The version of its Python.
    pub(super) version: String,
    forks: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Greeting {
    Version(String),
    Error(String),
}

impl Zygote {
    /// Starts one, and waits until it's ready to fork.
    pub(super) fn start(keeper: &Keeper, recipe: &Recipe) -> Result<Self, NotStarted> {
        let other = |error: io::Error| NotStarted::Other(error.to_string());
        let (control, theirs) = UnixStream::pair().map_err(other)?;
        let mut command = Command::new(&recipe.interpreter.executable);
        command
            .args(["-s", "-B", "-X", "utf8", "-c", SOURCE])
            .env_clear()
            .envs(ALWAYS)
            .envs(Interpreter::library_path().map(|path| ("LD_LIBRARY_PATH", path)))
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let failed = sys::prepare(&mut command, recipe.setup).map_err(other)?;
        let process = keeper.spawn(command).map_err(|error| match failed.step() {
            Some(step) => NotStarted::Step(step, error),
            None => other(error),
        })?;
        let mut zygote = Self { process, control, version: String::new(), forks: 0 };
        match zygote.greet(recipe) {
            Ok(Greeting::Version(version)) => zygote.version = version,
            Ok(Greeting::Error(line)) => return Err(NotStarted::Python(line)),
            Err(error) => return Err(NotStarted::Other(zygote.last_words(&error))),
        }
        zygote.control.set_read_timeout(Some(FORK_TIMEOUT)).map_err(other)?;
        Ok(zygote)
    }

    fn greet(&self, recipe: &Recipe) -> io::Result<Greeting> {
        self.control.set_read_timeout(Some(START_TIMEOUT))?;
        self.control.set_write_timeout(Some(START_TIMEOUT))?;
        let ruleset: Vec<BorrowedFd> = recipe.ruleset.iter().map(AsFd::as_fd).collect();
        sys::send_with_fds(&self.control, b'r', &ruleset)?;
        let settings = serde_json::to_vec(&recipe.settings).map_err(io::Error::other)?;
        frames::send(&self.control, &settings)?;
        let greeting = frames::receive(&self.control, 1 << 16)?;
        serde_json::from_slice(&greeting).map_err(io::Error::other)
    }

    /// Returns the last output of a zygote that didn't start.
    fn last_words(&mut self, error: &io::Error) -> String {
        self.end();
        let mut said = Vec::new();
        if let Some(stderr) = self.process.stderr.take() {
            let _ = stderr.take(1 << 16).read_to_end(&mut said);
        }
        String::from_utf8_lossy(&said).lines().last().map_or_else(|| error.to_string(), str::to_string)
    }

    /// Ends it, even where the supervisor may send no signals to its user.
    fn end(&mut self) {
        // An error says that it's gone already. One that waits for work ends with its socket.
        let _ = self.control.shutdown(Shutdown::Both);
        let _ = self.process.kill();
    }

    /// Forks a child that answers on `cell` and prints to `output`.
    pub(super) fn fork(
        &mut self,
        lifetime: Lifetime,
        cell: BorrowedFd,
        output: BorrowedFd,
    ) -> io::Result<Process> {
        let kind = match lifetime {
            Lifetime::Once => b'o',
            Lifetime::Session => b's',
        };
        sys::send_with_fds(&self.control, kind, &[cell, output])?;
        let mut pid = [0; 4];
        self.control.read_exact(&mut pid)?;
        self.forks += 1;
        match i32::from_le_bytes(pid) {
            pid if pid > 0 => Process::adopt(pid),
            errno => Err(io::Error::from_raw_os_error(-errno)),
        }
    }

    /// Returns whether it has forked so often that a fresh one is due, which bounds anything that piles up in
    /// it.
    pub(super) fn is_worn(&self) -> bool {
        self.forks >= 20_000
    }
}

impl Drop for Zygote {
    fn drop(&mut self) {
        self.end();
        let _ = self.process.wait();
    }
}
