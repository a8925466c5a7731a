//! Checks the environment of a run file before a run: whether it can be played, and is deterministic.

use turnwise_envs::{EnvConfig, difference};

use crate::config::RunConfig;
use crate::error::TrainError;

/// Holds what is known of an environment before a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EnvironmentCheck {
    /// Whether it was played. An agent's programs aren't run.
    pub played: bool,
    /// The first difference between plays of the same tasks with the same turns, if there is one.
    pub difference: Option<String>,
    /// Tools of servers. They were listed and not called, because a call may change files.
    pub listed: Vec<String>,
}

/// Opens the environment of a run file and plays its first tasks several times.
///
/// # Errors
/// The reason, if it or a server of tools can't be opened, or a task can't be played. A second line is a
/// hint.
pub fn check_environment(config: &RunConfig) -> Result<EnvironmentCheck, String> {
    let (sandbox, told) = (&config.rollout.executor, |error: TrainError| error.to_string());
    // One process: state that sessions share is noticed where they share it.
    let mut env = config.env.clone();
    if let EnvConfig::Process(process) = &mut env {
        process.workers = 1;
    }
    let open = || env.open(sandbox).map_err(|error| told(error.into()));
    let one = open()?;
    let mut check = EnvironmentCheck::default();
    if !config.tools.is_empty() {
        let all = config.offer().open(sandbox).map_err(told)?;
        let of_servers =
            all.tools().iter().filter(|tool| one.tools().iter().all(|own| own.name != tool.name));
        check.listed = of_servers.map(|tool| tool.name.clone()).collect();
    }
    check.played = one.agent().is_none();
    if check.played {
        let executor = sandbox.build().map_err(|error| error.to_string())?;
        check.difference = difference(&*one, &*open()?, &*executor)?;
    }
    Ok(check)
}
