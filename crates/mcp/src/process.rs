//! The process of a server: its environment, its group, and its end.

use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use turnwise_envs::outside::stderr::{Log, Stderr};
use turnwise_envs::outside::watch::Watch;

/// Variables that a server inherits: those of the official SDKs, and what encodings and temporary files need.
const INHERITED: [&str; 9] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TMPDIR", "TERM"];
/// How long a process may take to end when its stdin has.
const GRACE: Duration = Duration::from_secs(2);
/// How long a process that has closed its stdout may take to end, for its status.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A process in a group with whatever it starts.
pub(crate) struct Process {
    /// None once it is reaped.
    child: Mutex<Option<Watched>>,
    stderr: Arc<Stderr>,
    endings: Arc<Endings>,
}

impl Process {
    /// Starts a command with the variables that servers inherit, and those of `env`.
    ///
    /// # Errors
    /// If it doesn't start.
    pub(crate) fn start(
        command: &[String],
        env: &[(String, String)],
        log: &Arc<Log>,
        endings: &Arc<Endings>,
    ) -> Result<(Self, ChildStdin, ChildStdout), String> {
        let (program, arguments) = command.split_first().ok_or("a command without a program")?;
        let inherited = INHERITED.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(inherited)
            .envs(env.iter().map(|(name, value)| (name, value)))
            // Signals of the terminal are for the run, which ends its servers when it has done with them.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{program:?} doesn't start: {error}"))?;
        let stdin = child.stdin.take().expect("it is piped");
        let stdout = child.stdout.take().expect("it is piped");
        let stderr = child.stderr.take().expect("it is piped");
        let stderr = Stderr::read(stderr, log.place().into(), log.clone());
        let child = Watched { watch: Watch::over(child.id()), child };
        let process = Self { child: Mutex::new(Some(child)), stderr, endings: endings.clone() };
        Ok((process, stdin, stdout))
    }

    fn child(&self) -> MutexGuard<'_, Option<Watched>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns `what` with the exit status of a process that has just ended.
    pub(crate) fn ended(&self, what: &str) -> String {
        let mut held = self.child();
        let Some(child) = held.take_if(|child| child.ends_within(LAST_WORDS)) else {
            return what.into();
        };
        match child.kill() {
            Ok(status) => format!("{what} ({status})"),
            Err(_) => what.into(),
        }
    }

    /// Kills the group at once.
    pub(crate) fn kill(&self) {
        if let Some(child) = self.child().take() {
            // It can't fail in a way that matters here.
            let _ = child.kill();
        }
    }

    /// Returns the last lines of stderr, as the end of a message.
    pub(crate) fn last_lines(&self) -> String {
        self.stderr.last()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = self.child().take() {
            self.endings.run(move || {
                child.ends_within(GRACE);
                let _ = child.kill();
            });
        }
    }
}

/// A process that isn't reaped, and the watch over its group.
struct Watched {
    child: Child,
    watch: Watch,
}

impl Watched {
    /// Waits until it has ended. Returns whether it has; its number stays taken until it is reaped.
    fn ends_within(&self, patience: Duration) -> bool {
        let (id, start) = (WaitId::Pid(Pid::from_child(&self.child)), Instant::now());
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        loop {
            match waitid(id.clone(), options) {
                Ok(None) if start.elapsed() < patience => std::thread::sleep(Duration::from_millis(2)),
                Ok(None) => return false,
                Ok(Some(_)) | Err(_) => return true,
            }
        }
    }

    /// Kills its group and reaps it.
    fn kill(mut self) -> std::io::Result<std::process::ExitStatus> {
        // An error says that nothing is left of the group.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        drop(self.watch);
        self.child.wait()
    }
}

/// Holds sessions that are ending. Dropping the last reference waits for them.
#[derive(Debug, Default)]
pub(crate) struct Endings(Mutex<Vec<JoinHandle<()>>>);

impl Endings {
    /// Runs the end of a session in a thread, so that nobody waits for it meanwhile.
    pub(crate) fn run(&self, end: impl FnOnce() + Send + 'static) {
        let mut threads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|thread| !thread.is_finished());
        threads.push(std::thread::spawn(end));
    }
}

impl Drop for Endings {
    fn drop(&mut self) {
        for thread in self.0.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // An end that panicked has nothing left to do.
            let _ = thread.join();
        }
    }
}
