//! Chooses the directory of a run without `--run`.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use turnwise_trainer::config::RunConfig;
use turnwise_trainer::is_unfinished;

/// Returns the run directory of a run file. It is `runs/NAME`, or the last existing one of `runs/NAME-2`,
/// `runs/NAME-3`, …, if that holds an unfinished run of this config and is free. Otherwise the next number
/// begins a new run, in a folder that this call makes: runs that start at once get a folder each.
///
/// # Errors
/// The system's, if it makes no folder.
pub(crate) fn claim(file: &Path, config: &RunConfig) -> Result<PathBuf> {
    let name = file.file_stem().unwrap_or("run".as_ref()).to_string_lossy();
    choose(Path::new("runs"), &name, |run| is_unfinished(run, config))
}

fn choose(runs: &Path, name: &str, goes_on: impl Fn(&Path) -> bool) -> Result<PathBuf> {
    std::fs::create_dir_all(runs).with_context(|| format!("{}: cannot write", runs.display()))?;
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    let mut last: Option<PathBuf> = None;
    for name in std::iter::once(name.to_string()).chain(numbered) {
        let path = runs.join(name);
        if !path.exists()
            && let Some(last) = last.filter(|last| goes_on(last))
        {
            return Ok(last);
        }
        match std::fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = Some(path),
            Err(error) => return Err(error).with_context(|| format!("{}: cannot write", path.display())),
        }
    }
    unreachable!("there is always another number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfinished_run_goes_on_and_a_finished_one_has_a_successor() {
        let folder = tempfile::tempdir().unwrap();
        let check = |unfinished: &str, expect: &str| {
            let chosen = choose(folder.path(), "a", |run| run.ends_with(unfinished)).unwrap();
            assert_eq!(chosen, folder.path().join(expect));
        };
        check("none", "a");
        check("a", "a");
        check("none", "a-2");
        check("a-2", "a-2");
        check("a", "a-3");
    }

    #[test]
    fn runs_that_start_at_once_get_a_folder_each() {
        let folder = tempfile::tempdir().unwrap();
        let chosen: Vec<PathBuf> = std::thread::scope(|scope| {
            let start = || choose(folder.path(), "a", |_| false).unwrap();
            let started: Vec<_> = (0..16).map(|_| scope.spawn(start)).collect();
            started.into_iter().map(|run| run.join().unwrap()).collect()
        });
        let different: std::collections::BTreeSet<&PathBuf> = chosen.iter().collect();
        assert_eq!(different.len(), 16);
    }
}
