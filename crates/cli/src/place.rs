//! The site of a run: its device, and the commit of the current directory.

use std::process::Command;

use anyhow::Result;
use turnwise_rollout::chat::Moment;
use turnwise_trainer::RunSite;
use turnwise_trainer::backend;

/// Returns the site of a run on the named device, or on the default one. The device must pass its check.
pub(crate) fn place(device: Option<&str>) -> Result<RunSite> {
    Ok(RunSite {
        device: backend::checked(device)?,
        device_name: backend::chosen(device),
        git_commit: git_commit(),
        now: Moment::now(),
    })
}

/// Returns the commit of the current directory. None outside a repository, or without git.
fn git_commit() -> Option<String> {
    let output = Command::new("git").args(["rev-parse", "HEAD"]).output().ok()?;
    let commit = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !commit.trim().is_empty()).then(|| commit.trim().to_string())
}
