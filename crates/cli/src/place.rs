//! Where a run happens: the device, and the state of the source that is around it.

use std::process::Command;

use anyhow::Result;
use turnwise_rollout::chat::Moment;
use turnwise_trainer::backend;
use turnwise_trainer::runs::Place;

/// The place of a run on the named device, or on the default one, which must compute what it should.
pub(crate) fn place(device: Option<&str>) -> Result<Place> {
    Ok(Place {
        device: backend::checked(device)?,
        device_name: backend::chosen(device),
        git_commit: git_commit(),
        now: Moment::now(),
    })
}

/// The commit of the current directory. None outside a repository, or without git.
fn git_commit() -> Option<String> {
    let output = Command::new("git").args(["rev-parse", "HEAD"]).output().ok()?;
    let commit = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !commit.trim().is_empty()).then(|| commit.trim().to_string())
}
