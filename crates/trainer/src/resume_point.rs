//! The checkpoint that a run goes on from, as rank 0 finds it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use turnwise_ranks::Ranks;
use turnwise_rollout::chat::Moment;
use turnwise_run::{Checkpoint, RunDir, State};

use crate::config::RunConfig;
use crate::error::TrainError;
use crate::ranks::agree::said;
use crate::resume;
use crate::run_site::RunSite;
use crate::watch::progress::Progress;

/// Holds what rank 0 finds in the directory of a run.
#[derive(Serialize, Deserialize)]
struct Found {
    began: i64,
    checkpoint: Option<(PathBuf, State)>,
}

/// Returns when the run began and its newest checkpoint, as rank 0 finds them.
pub(crate) fn resume_point(
    ranks: &dyn Ranks,
    run: Option<&RunDir>,
    (config, site, path): (&RunConfig, &RunSite, &Path),
    progress: &mut dyn Progress,
) -> Result<(Moment, Option<Checkpoint>), TrainError> {
    let found = said(ranks, || {
        let run = run.expect("rank 0 has the directory");
        let found = resume::checkpoint(run, progress)?;
        if let Some(found) = &found {
            resume::refuse_other_model(path, config, found)?;
        }
        // Runs of older versions didn't record when they began.
        let began = run.began().unwrap_or(site.now.unix());
        Ok(Found { began, checkpoint: found.map(|Checkpoint { path, state }| (path, state)) })
    })?;
    let began = Moment::from_unix(found.began);
    let found = found.checkpoint.map(|(path, state)| Checkpoint { path, state });
    Ok((began, found))
}
