//! The site of a run: its device, and the commit of the current directory.

use std::process::Command;

use anyhow::Result;
use turnwise_rollout::chat::Moment;
use turnwise_trainer::RunSite;
use turnwise_trainer::backend;

use crate::failure::Usage;

/// Returns the site of a run on the named device, or on the default one. The device must pass its check.
pub(crate) fn run_site(device: Option<&str>) -> Result<RunSite> {
    Ok(RunSite {
        device: backend::checked(device)?,
        device_name: backend::chosen(device),
        git_commit: git_commit(),
        now: Moment::now(),
        server_key: server_key()?,
    })
}

/// Returns the key of a server, without white space around it.
pub(crate) fn server_key() -> Result<Option<String>> {
    let key = std::env::var("TURNWISE_API_KEY").unwrap_or_default().trim().to_string();
    if !key.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
        let message = "the environment variable TURNWISE_API_KEY holds a character that no key has";
        return Err(Usage(message.into()).into());
    }
    Ok(Some(key).filter(|key| !key.is_empty()))
}

/// Returns the commit of the current directory. None outside a repository, or without git.
fn git_commit() -> Option<String> {
    let output = Command::new("git").args(["rev-parse", "HEAD"]).output().ok()?;
    let commit = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !commit.trim().is_empty()).then(|| commit.trim().to_string())
}
