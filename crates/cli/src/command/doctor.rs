//! `turnwise doctor`: abilities of this binary and this machine.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use clap::Args;
use serde::Serialize;
use turnwise_tools::ExecutorInfo;
use turnwise_tools::executor::{ExecutorConfig, Isolation, PythonConfig};
use turnwise_trainer::backend;
use turnwise_trainer::check_environment;
use turnwise_trainer::config::{Precision, RunConfig, load};
use turnwise_trainer::memory;
use turnwise_trainer::memory_estimate::{self, Estimate};
use turnwise_trainer::precisions;
use turnwise_trainer::self_check::self_check;

use crate::device_check::{self, Checked};
use crate::{output, server_check, several, terminal};

#[derive(Args)]
pub(crate) struct Doctor {
    /// A run file: estimates the memory of its run, and plays its environment in several orders; fails if
    /// that can't be played or isn't deterministic
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The device to check [default: that of a run without --device]
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// A run file: checks the servers of its [rollout.server] with its model, and nothing else; they get
    /// other weights and the model's again
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    server: Option<PathBuf>,
    /// Print JSON on stdout instead of a table on stderr
    #[arg(long)]
    json: bool,
    /// Check one device and print what was found; `doctor` runs this in a separate process
    #[arg(long, hide = true)]
    check: Option<String>,
}

#[derive(Serialize)]
struct Findings {
    version: &'static str,
    /// Version of the tensor library.
    burn: &'static str,
    /// Backends compiled in; the first is the default.
    devices: &'static [&'static str],
    /// Name of the checked device.
    device: String,
    /// The reason why it can't be used.
    device_error: Option<String>,
    /// Element types that activations can be computed in (`optimizer.precision`).
    precisions: Vec<&'static str>,
    /// Abilities of each device on this machine.
    checks: Vec<Checked>,
    cores: usize,
    /// Bytes that a process may still allocate, where the system reports it.
    memory_left: Option<u64>,
    /// Memory that the run of `--config` needs, in bytes.
    run: Option<Estimate>,
    /// Its environment.
    environment: Option<Determinism>,
    /// The executor of tool calls; with `executor_error`, the one that lower isolation would allow.
    executor: Option<ExecutorInfo>,
    /// Why tool calls are not run by default.
    executor_error: Option<String>,
}

/// How several plays of the same tasks with the same turns compare.
#[derive(Serialize)]
struct Determinism {
    /// Whether they are equal; none if the environment can't be played, or an agent's programs play.
    deterministic: Option<bool>,
    /// The first difference, or why it can't be played.
    reason: Option<String>,
    /// Tools of servers, which were not called.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    listed: Vec<String>,
}

impl Determinism {
    fn of(config: &RunConfig) -> Self {
        match check_environment(config) {
            Ok(found) => {
                let deterministic = found.played.then_some(found.difference.is_none());
                Self { deterministic, reason: found.difference, listed: found.listed }
            }
            Err(reason) => Self { deterministic: None, reason: Some(reason), listed: Vec::new() },
        }
    }

    fn row(&self) -> &'static str {
        match (self.deterministic, &self.reason) {
            (Some(true), _) => "deterministic: plays of the same tasks with the same turns are equal",
            (Some(false), _) => "isn't deterministic in its seed",
            (None, Some(_)) => "can't be played",
            (None, None) => "an agent: its programs aren't run here",
        }
    }

    /// Returns the failure of the check, with its reason.
    fn failure(&self) -> Option<String> {
        self.reason.as_ref().map(|reason| format!("the environment {}: {reason}", self.row()))
    }
}

impl Doctor {
    pub(crate) fn run(self) -> Result<()> {
        if let Some(name) = &self.check {
            let found =
                self_check(&backend::device(Some(name))?).map_err(|what| anyhow!("device {name}: {what}"))?;
            return Ok(output::line(&found)?);
        }
        if let Some(file) = &self.server {
            several::refuse("doctor --server")?;
            return server_check::run(file, self.device.as_deref(), self.json);
        }
        let device = match backend::device(self.device.as_deref()) {
            // A device that doesn't answer is a finding; an unknown name is a mistake.
            Err(error @ backend::DeviceError::Unusable { .. }) => Err(error.to_string()),
            other => Ok(other?),
        };
        let config: Option<RunConfig> =
            self.config.as_deref().map(|file| load(Some(file), &[], &[])).transpose()?;
        let run = match (&config, &device) {
            (Some(config), Ok(device)) => Some(memory_estimate::estimate(config, device)?),
            _ => None,
        };
        let executor = ExecutorConfig::default().build();
        let findings = Findings {
            version: env!("CARGO_PKG_VERSION"),
            burn: backend::BURN,
            devices: backend::NAMES,
            device: backend::chosen(self.device.as_deref()),
            precisions: device.iter().flat_map(precisions).map(Precision::name).collect(),
            device_error: device.err().map(|error| error.lines().next().unwrap_or_default().to_string()),
            memory_left: memory::available(),
            run,
            environment: config.as_ref().map(Determinism::of),
            checks: backend::NAMES.iter().map(|name| device_check::of(name)).collect(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            executor_error: executor.as_ref().err().map(ToString::to_string),
            executor: executor.or_else(|_| without_isolation().build()).ok().map(|found| found.describe()),
        };
        if self.json {
            output::line(&findings)?;
        } else {
            terminal::conclude(&findings.table());
        }
        if let Some(failure) = findings.environment.and_then(|played| played.failure()) {
            bail!("{}: {failure}", self.config.as_deref().unwrap_or(Path::new("")).display());
        }
        Ok(())
    }
}

/// Returns Python without a demand for isolation, only to list its layers.
fn without_isolation() -> ExecutorConfig {
    ExecutorConfig::Python(PythonConfig { isolation: Isolation::None, ..PythonConfig::default() })
}

/// Returns remedies for missing layers.
fn advice(missing: &str) -> Option<&'static str> {
    let (layer, _) = missing.split_once(':')?;
    Some(match layer {
        "namespaces" | "pid_namespace" => {
            "containers and some distributions deny user namespaces: allow them with the sysctls \
             kernel.unprivileged_userns_clone=1 and kernel.apparmor_restrict_unprivileged_userns=0, or run the \
             container with --security-opt seccomp=unconfined; the level `files` does without"
        }
        "landlock" => "needs Linux 5.13 or later with landlock in /sys/kernel/security/lsm",
        "seccomp" => "needs x86-64 or AArch64 and a kernel with seccomp filters",
        "rlimits" => "see `ulimit -a`",
        "threads" => "something else listens to this process's seccomp filters, as container managers do",
        "oom_score" => "needs /proc: mount it, so that code ends before the trainer when memory runs out",
        "dropped_root" => "allow CAP_SETUID, CAP_SETGID and CAP_KILL, or run as an ordinary user",
        _ => return None,
    })
}

impl Findings {
    fn table(&self) -> String {
        let mut rows = vec![
            ("turnwise", format!("{} on burn {}", self.version, self.burn)),
            (
                "devices",
                format!("{} (default {})", self.devices.join(", "), self.devices.first().unwrap_or(&"none")),
            ),
            match &self.device_error {
                Some(error) => ("refused", error.clone()),
                None => ("precisions", format!("{} on {}", self.precisions.join(", "), self.device)),
            },
            ("cores", self.cores.to_string()),
        ];
        rows.extend(self.checks.iter().map(|checked| ("", checked.to_string())));
        rows.extend(self.memory_left.map(|left| ("memory", format!("{} left", memory::size(left)))));
        rows.extend(self.run.map(|run| {
            let (certain, total) = (memory::size(run.certain()), memory::size(run.total()));
            ("the run", format!("needs {certain}, and up to {total} ({run})"))
        }));
        if let Some(played) = &self.environment {
            rows.push(("the env", played.row().into()));
            if !played.listed.is_empty() {
                rows.push(("tools", format!("listed, and not called: {}", played.listed.join(", "))));
            }
        }
        if let Some(error) = &self.executor_error {
            let (error, hint) = error.split_once("; hint: ").unwrap_or((error, ""));
            rows.push(("refused", error.into()));
            rows.push(("hint", hint.into()));
        }
        if let Some(info) = &self.executor {
            let version = info.python_version.as_deref().map_or(String::new(), |v| format!(" {v}"));
            rows.push(("executor", format!("{}{version}", info.backend)));
            let isolation = if info.isolation.is_empty() { "none".into() } else { info.isolation.join(", ") };
            rows.push(("isolation", isolation));
            if let Some(level) = info.level {
                rows.push(("level", format!("{level}: {}", level.meaning())));
            }
            for missing in &info.missing {
                rows.push(("missing", missing.clone()));
                rows.extend(advice(missing).map(|advice| ("hint", advice.to_string())));
            }
        }
        rows.iter().map(|(name, value)| format!("{name:<10} {value}\n")).collect::<Vec<_>>().concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_layer_comes_with_advice() {
        let layers =
            ["rlimits", "seccomp", "landlock", "namespaces", "pid_namespace", "threads", "oom_score"];
        for layer in layers.into_iter().chain(["dropped_root"]) {
            assert!(advice(&format!("{layer}: Operation not permitted")).is_some(), "{layer}");
        }
        assert_eq!(advice("nonsense"), None);
    }
}
