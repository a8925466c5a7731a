//! Runs the process of a server: its environment, its group, and its end.

use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use turnwise_envs::outside::group::Group;
use turnwise_envs::outside::stderr::{Log, Stderr};
use turnwise_envs::outside::unstarted::unstarted;

/// Variables that a server inherits: those of the official SDKs, and what encodings and temporary files need.
const INHERITED: [&str; 9] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TMPDIR", "TERM"];
/// How long a process may take to end when its stdin has.
const GRACE: Duration = Duration::from_secs(2);
/// How long a process that has closed its stdout may take to end, for its status.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Holds a process in a group with whatever it starts.
pub(crate) struct Process {
    /// None once it is reaped.
    group: Mutex<Option<Group>>,
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
        let mut start = Command::new(program);
        start.args(arguments).env_clear().envs(inherited);
        start.envs(env.iter().map(|(name, value)| (name, value)));
        start.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = Group::start(&mut start);
        let mut group = started.map_err(|error| format!("mcp = {}", unstarted(command, &error)))?;
        let leader = group.leader();
        let stdin = leader.stdin.take().expect("it is piped");
        let stdout = leader.stdout.take().expect("it is piped");
        let stderr = leader.stderr.take().expect("it is piped");
        let stderr = Stderr::read(stderr, log.place().into(), log.clone());
        let process = Self { group: Mutex::new(Some(group)), stderr, endings: endings.clone() };
        Ok((process, stdin, stdout))
    }

    fn group(&self) -> MutexGuard<'_, Option<Group>> {
        self.group.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns `what` with the exit status of a process that has just ended.
    pub(crate) fn ended(&self, what: &str) -> String {
        let ended = self.group().take_if(|group| group.ends_within(LAST_WORDS));
        match ended.and_then(|mut group| group.kill()) {
            Some(status) => format!("{what} ({status})"),
            None => what.into(),
        }
    }

    /// Kills the group at once.
    pub(crate) fn kill(&self) {
        drop(self.group().take());
    }

    /// Returns the last lines of stderr, as the end of a message.
    pub(crate) fn last_lines(&self) -> String {
        self.stderr.last()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut group) = self.group().take() {
            self.endings.run(move || {
                group.ends_within(GRACE);
                group.kill();
            });
        }
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
