//! Runs a grid: skips recorded runs, resumes interrupted ones, and can be stopped at any time.

use std::collections::HashSet;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

use crate::cell::{COLD_START, Cell};
use crate::plan::{Experiment, Plan};
use crate::stop::Stop;

/// Settings of the driver.
pub(crate) struct Driver<'a> {
    pub(crate) plan: &'a Plan,
    /// The name of the experiment.
    pub(crate) name: &'a str,
    pub(crate) experiment: &'a Experiment,
    /// The binary `turnwise`.
    pub(crate) binary: PathBuf,
    /// Folder of runs and cold starts, while they are needed.
    pub(crate) scratch: PathBuf,
    /// Processes at a time, each on one core.
    pub(crate) jobs: usize,
    /// Time after which no run begins.
    pub(crate) until: Option<Instant>,
    /// Whether run directories are kept once they are recorded.
    pub(crate) keep: bool,
    pub(crate) stop: Arc<Stop>,
}

/// State that the workers share.
struct Board {
    /// Cells that no worker has begun.
    open: Vec<Cell>,
    /// Families and seeds whose cold start is still missing.
    cold: HashSet<(String, u64)>,
    failed: Vec<String>,
}

impl Board {
    /// Returns the next cell that can begin. None if nothing is left, or if all that is left waits (then
    /// `open` isn't empty).
    fn take(&mut self) -> Option<Cell> {
        let ready =
            |cell: &Cell| cell.method == COLD_START || !self.cold.contains(&(cell.family.clone(), cell.seed));
        let at = self.open.iter().position(ready)?;
        Some(self.open.remove(at))
    }

    /// Removes the runs of a cold start that failed.
    fn give_up(&mut self, cell: &Cell) {
        if cell.method == COLD_START {
            self.open.retain(|other| (&other.family, other.seed) != (&cell.family, cell.seed));
        }
    }
}

impl Driver<'_> {
    /// Makes the runs without a record. `told` gets a line per run.
    pub(crate) fn run(&self, cells: Vec<Cell>, told: &(dyn Fn(&str) + Sync)) -> Result<()> {
        std::fs::create_dir_all(&self.scratch).with_context(|| self.scratch.display().to_string())?;
        let lock = File::create(self.scratch.join("lock"))?;
        if lock.try_lock().is_err() {
            bail!("{}: another driver runs experiments here", self.scratch.display());
        }
        let program = self.registered_program()?;
        let known = self.plan.records(self.name)?;
        let recorded = |cell: &Cell| known.iter().any(|record| record.is_of(cell));
        let there = cells.iter().filter(|cell| recorded(cell)).count();
        told(&format!("{}: {there} of {} runs are recorded", self.name, cells.len()));
        // A recorded cold start is made again if runs still need its weights.
        let waiting: HashSet<(String, u64)> =
            cells.iter().filter(|c| !recorded(c)).map(|c| (c.family.clone(), c.seed)).collect();
        let missing = |cell: &Cell| {
            let key = (cell.family.clone(), cell.seed);
            waiting.contains(&key) && !self.cold_folder(cell).is_dir()
        };
        let open: Vec<Cell> = cells
            .into_iter()
            .filter(|cell| !recorded(cell) || (cell.method == COLD_START && missing(cell)))
            .collect();
        let starts = open.iter().filter(|cell| cell.method == COLD_START && !self.cold_folder(cell).is_dir());
        let cold = starts.map(|cell| (cell.family.clone(), cell.seed)).collect();
        let board = Mutex::new(Board { open, cold, failed: Vec::new() });
        let turn = Condvar::new();
        std::thread::scope(|scope| {
            for core in 0..self.jobs {
                let (board, turn, program) = (&board, &turn, &program);
                scope.spawn(move || self.work(core, program, board, turn, told));
            }
        });
        let board = board.into_inner().expect("no worker panicked");
        if self.stop.asked() {
            bail!("stopped; the same command goes on");
        }
        match board.failed.as_slice() {
            [] => Ok(()),
            failed => bail!(
                "{} runs failed; the same command tries them again:\n  {}",
                failed.len(),
                failed.join("\n  ")
            ),
        }
    }

    /// Returns the digest of the program. If the plan registers digests, it must be one of them.
    fn registered_program(&self) -> Result<String> {
        let path = self.binary.display();
        let bytes = std::fs::read(&self.binary).with_context(|| format!("{path}: cannot read"))?;
        let digest = format!("{:x}", Sha256::digest(&bytes));
        let registered = &self.experiment.programs;
        ensure!(
            registered.is_empty() || registered.contains(&digest),
            "{path}: {digest} is none of the programs that plan.toml registers for {}",
            self.name
        );
        Ok(digest[..16].into())
    }

    /// Works until no cell is left, time is up or the driver is stopped.
    fn work(
        &self,
        core: usize,
        program: &str,
        board: &Mutex<Board>,
        turn: &Condvar,
        told: &(dyn Fn(&str) + Sync),
    ) {
        loop {
            let mut state = board.lock().expect("no worker panicked");
            let cell = loop {
                let late = self.until.is_some_and(|end| Instant::now() >= end);
                if state.open.is_empty() || late || self.stop.asked() {
                    return;
                }
                if let Some(cell) = state.take() {
                    break cell;
                }
                // The remaining cells wait for a cold start that another worker makes.
                state = turn.wait_timeout(state, Duration::from_secs(1)).expect("no worker panicked").0;
            };
            drop(state);
            let began = Instant::now();
            let made = self.make(&cell, core).and_then(|mut record| {
                record.program = program.into();
                self.settle(&cell, &record)
            });
            let mut state = board.lock().expect("no worker panicked");
            let minutes = began.elapsed().as_secs_f64() / 60.0;
            match made {
                // A program that was stopped hasn't failed.
                Err(_) if self.stop.asked() => return,
                Ok(()) => {
                    if cell.method == COLD_START {
                        state.cold.remove(&(cell.family.clone(), cell.seed));
                    }
                    // The result is left to the page that shows all seeds at once.
                    told(&format!("{}: {minutes:.1} min; {} to go", cell.name(), state.open.len()));
                }
                Err(error) => {
                    state.give_up(&cell);
                    let line = format!("{}: {error:#}", cell.name());
                    told(&line);
                    state.failed.push(line);
                }
            }
            turn.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(method: &str, seed: u64) -> Cell {
        Cell { family: "f".into(), method: method.into(), seed, rate: 0.0 }
    }

    #[test]
    fn runs_wait_for_their_cold_start_and_fall_with_it() {
        let open = vec![cell("a", 0), cell(COLD_START, 0), cell("a", 1)];
        let mut board = Board { open, cold: HashSet::from([("f".into(), 0)]), failed: vec![] };
        assert_eq!(board.take(), Some(cell(COLD_START, 0)));
        assert_eq!(board.take(), Some(cell("a", 1)));
        assert_eq!(board.take(), None);
        assert_eq!(board.open, [cell("a", 0)]);
        board.give_up(&cell(COLD_START, 0));
        assert!(board.open.is_empty());
    }
}
