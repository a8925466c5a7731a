//! One process of several: how it joins the others, and how it ends with all of them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, anyhow};
use turnwise_ranks::{Ranks, launched};
use turnwise_run::manifest::file_sha256;

use crate::failure::{self, Usage};
use crate::{stop, terminal};

/// Set once the ranks are connected.
static RANKS: OnceLock<Arc<dyn Ranks>> = OnceLock::new();

/// Time that rank 0 has for its message before another rank tells the same failure.
const FIRST: Duration = Duration::from_secs(3);

/// Returns whether a launcher has started several processes.
pub(crate) fn is_one() -> bool {
    launched().is_some()
}

/// Connects the ranks of a run.
pub(crate) fn begin() -> Result<Arc<dyn Ranks>> {
    let ranks = turnwise_ranks::begin()?;
    Ok(RANKS.get_or_init(|| ranks).clone())
}

/// Fails if this is one of several processes, for a command that works alone.
pub(crate) fn refuse(command: &str) -> Result<()> {
    let Some(launched) = launched() else { return Ok(()) };
    Err(Usage(format!(
        "{} = {}: this is one of several processes, and `turnwise {command}` works in one\n  hint: start it without mpirun or srun; `turnwise train` runs in several",
        launched.variable, launched.size
    ))
    .into())
}

/// Fails if another rank has another program or another directory of the run than rank 0. `run`: the
/// directory that the command line names.
pub(crate) fn same(ranks: &dyn Ranks, run: Option<&Path>) -> Result<()> {
    if ranks.size() == 1 {
        return Ok(());
    }
    let program = std::env::current_exe().context("this program has no path")?;
    // A file that was replaced meanwhile is another program.
    let program = file_sha256(&program).map_err(|error| anyhow!("{}: {error}", program.display()))?;
    let run = run.map_or(String::new(), |run| run.display().to_string());
    let all = ranks.gather_all(format!("{program}\n{run}").into_bytes());
    let text = |rank: usize| String::from_utf8_lossy(&all[rank]).into_owned();
    let Some(other) = (1..all.len()).find(|rank| all[*rank] != all[0]) else { return Ok(()) };
    let (ours, theirs) = (text(0), text(other));
    let is_same_program = ours.split('\n').next() == theirs.split('\n').next();
    let (what, hint) = if is_same_program {
        ("--run", "give every rank the same command line")
    } else {
        ("program", "copy one turnwise to every machine")
    };
    Err(Usage(format!("rank {other}: its {what} differs from that of rank 0\n  hint: {hint}")).into())
}

/// Returns the path that rank 0 chooses.
pub(crate) fn path(ranks: &dyn Ranks, choose: impl FnOnce() -> Result<PathBuf>) -> Result<PathBuf> {
    let mine = if ranks.leads() { choose()? } else { PathBuf::new() };
    let said = ranks.say(mine.to_str().context("the path of the run isn't UTF-8")?.into());
    Ok(String::from_utf8(said)?.into())
}

/// Runs a command and returns its exit status. A failure of one rank ends them all.
pub(crate) fn status(command: impl FnOnce() -> Result<()>) -> ExitCode {
    let Err(error) = command() else { return ExitCode::SUCCESS };
    let status = report(error);
    terminal::flush();
    if let Some(ranks) = RANKS.get().filter(|ranks| ranks.size() > 1) {
        ranks.abort(status.into());
    }
    status.into()
}

/// Writes the failure to stderr. Ranks that failed alike leave that to rank 0.
fn report(error: Error) -> u8 {
    let rank = launched().map_or(0, |launched| launched.rank);
    if rank == 0 {
        return failure::report(&error);
    }
    let start = Instant::now();
    while start.elapsed() < FIRST {
        // The launcher ends this process once rank 0 has ended.
        std::thread::sleep(Duration::from_millis(20));
    }
    if stop::asked() {
        return 1;
    }
    failure::report(&error.context(format!("rank {rank}")))
}
