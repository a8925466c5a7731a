//! Removes the checkpoints of a run that aren't kept.

use std::path::Path;

use crate::checkpoint::{Checkpoint, list};
use crate::error::RunDirError;
use crate::whole_folder;

/// Removes all checkpoints but the newest `keep` and the `keep_best` of highest held-out accuracy.
///
/// With `keep` 0 all stay, and so do folders that aren't whole checkpoints. A folder is renamed before it is
/// emptied: an interrupted removal leaves no half checkpoint.
///
/// # Errors
/// The system's, with the folder.
pub fn prune(folder: &Path, keep: usize, keep_best: usize) -> Result<(), RunDirError> {
    if keep == 0 {
        return Ok(());
    }
    // Their files were checked when they were written or opened; here the state is enough.
    let states: Vec<_> =
        list(folder).into_iter().filter_map(|(_, path)| Some((Checkpoint::state(&path)?, path))).collect();
    let scores: Vec<(usize, Option<f64>)> =
        states.iter().map(|(state, _)| (state.step, state.held_out_accuracy)).collect();
    let kept = kept(&scores, keep, keep_best);
    for (state, path) in &states {
        if !kept.contains(&state.step) {
            whole_folder::remove(path)?;
        }
    }
    Ok(())
}

/// Returns the steps of the newest `keep` checkpoints and of the `best` most accurate ones.
///
/// Among equals the later one counts.
fn kept(checkpoints: &[(usize, Option<f64>)], keep: usize, best: usize) -> Vec<usize> {
    let mut measured: Vec<(f64, usize)> =
        checkpoints.iter().filter_map(|(step, score)| Some(((*score)?, *step))).collect();
    measured.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
    let newest = checkpoints.iter().rev().take(keep).map(|(step, _)| *step);
    newest.chain(measured.into_iter().take(best).map(|(_, step)| step)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::State;
    use crate::checkpoint::tests::{state, write};

    #[test]
    fn the_newest_and_the_best_stay() {
        let check = |keep, best, expect: &[usize]| {
            let all = [(10, Some(0.5)), (20, Some(0.9)), (30, None), (40, Some(0.9)), (50, Some(0.1))];
            let mut kept = kept(&all, keep, best);
            kept.sort_unstable();
            kept.dedup();
            assert_eq!(kept, expect);
        };
        check(1, 0, &[50]);
        check(2, 0, &[40, 50]);
        check(1, 1, &[40, 50]);
        check(1, 2, &[20, 40, 50]);
        check(9, 9, &[10, 20, 30, 40, 50]);
    }

    #[test]
    fn the_others_are_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for (step, score) in [(1, Some(0.9)), (2, None), (3, None), (4, None)] {
            write(folder.path(), &State { held_out_accuracy: score, ..state(step) });
        }
        std::fs::create_dir(folder.path().join("step_00000")).unwrap();
        let names = || list(folder.path()).into_iter().map(|(step, _)| step).collect::<Vec<_>>();
        prune(folder.path(), 0, 0).unwrap();
        assert_eq!(names(), [0, 1, 2, 3, 4], "by default everything stays");
        prune(folder.path(), 2, 1).unwrap();
        assert_eq!(names(), [0, 1, 3, 4], "what is no checkpoint isn't ours to remove");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4);
    }
}
