//! Checks of `turnwise doctor --server`: a line for each, as soon as it is known.

use std::path::Path;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use turnwise_runfile::Conflict;
use turnwise_trainer::config::{Consistent, RunConfig, load};
use turnwise_trainer::{ServerCheck, check_servers};

use crate::run_site::run_site;
use crate::{output, progress};

/// One check, as JSON has it.
#[derive(Serialize)]
struct Line<'a> {
    check: &'a str,
    /// `ok`, `warning` or `failed`.
    status: &'a str,
    found: &'a str,
}

/// A run file that names servers.
#[derive(Deserialize)]
#[serde(transparent)]
struct Served(RunConfig);

impl Consistent for Served {
    fn conflict(&self) -> Option<Conflict> {
        self.0.conflict().or_else(|| self.0.no_servers())
    }
}

/// Checks the servers of a run file. Fails if a check does.
pub(crate) fn run(file: &Path, device: Option<&str>, json: bool) -> Result<()> {
    let Served(config) = load(Some(file), &[], &[])?;
    let (mut failed, mut told) = (0, Ok(()));
    let site = run_site(device)?;
    check_servers(&config, &site, &mut |ServerCheck { name, ok, found }| {
        let status = match ok {
            Some(true) => "ok",
            None => "warning",
            Some(false) => "failed",
        };
        failed += usize::from(ok == Some(false));
        if json {
            let line = output::line(&Line { check: name, status, found: &found });
            told = std::mem::replace(&mut told, Ok(())).and(line);
        } else {
            progress::on_stderr().line(&format!("{status:<8} {name:<18} {found}"));
        }
    })?;
    told?;
    if failed > 0 {
        bail!("{}: {failed} checks of its servers failed", file.display());
    }
    Ok(())
}
