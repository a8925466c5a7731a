//! `turnwise doctor`: what this binary and this machine can do.

use std::io::Write;

use anyhow::{Result, anyhow};
use clap::Args;
use serde::Serialize;
use turnwise_tools::ExecutorInfo;
use turnwise_tools::executor::ExecutorConfig;
use turnwise_trainer::backend;
use turnwise_trainer::self_check::self_check;

use crate::device_check::{self, Checked};
use crate::output;

#[derive(Args)]
pub(crate) struct Doctor {
    /// Print JSON on stdout instead of a table on stderr
    #[arg(long)]
    json: bool,
    /// Check one device and print what was found; `doctor` runs this in a process of its own
    #[arg(long, hide = true)]
    check: Option<String>,
}

#[derive(Serialize)]
struct Findings {
    version: &'static str,
    /// Backends compiled in; the first is the default.
    devices: &'static [&'static str],
    /// What each of them can do on this machine.
    checks: Vec<Checked>,
    cores: usize,
    executor: Option<ExecutorInfo>,
    /// Why there is no executor.
    executor_error: Option<String>,
}

impl Doctor {
    pub(crate) fn run(self) -> Result<()> {
        if let Some(name) = &self.check {
            let found =
                self_check(&backend::device(Some(name))?).map_err(|what| anyhow!("device {name}: {what}"))?;
            return Ok(output::line(&found)?);
        }
        let executor = ExecutorConfig::default().build().map(|executor| executor.describe());
        let findings = Findings {
            version: env!("CARGO_PKG_VERSION"),
            devices: backend::NAMES,
            checks: backend::NAMES.iter().map(|name| device_check::of(name)).collect(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            executor_error: executor.as_ref().err().map(ToString::to_string),
            executor: executor.ok(),
        };
        if self.json {
            output::line(&findings)?;
        } else {
            // Nobody reads a table on a closed stderr.
            let _ = std::io::stderr().write_all(findings.table().as_bytes());
        }
        Ok(())
    }
}

/// What to do about a missing layer.
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
        _ => return None,
    })
}

impl Findings {
    fn table(&self) -> String {
        let mut rows = vec![
            ("turnwise", self.version.to_string()),
            (
                "devices",
                format!("{} (default {})", self.devices.join(", "), self.devices.first().unwrap_or(&"none")),
            ),
        ];
        rows.extend(self.checks.iter().map(|checked| ("", checked.to_string())));
        rows.push(("cores", self.cores.to_string()));
        if let Some(error) = &self.executor_error {
            rows.push(("executor", error.clone()));
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
        for layer in ["rlimits", "seccomp", "landlock", "namespaces", "pid_namespace"] {
            assert!(advice(&format!("{layer}: Operation not permitted")).is_some(), "{layer}");
        }
        assert_eq!(advice("nonsense"), None);
    }
}
