//! Runs a grid: skips what is recorded, goes on with what was interrupted, and can be stopped at any time.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::plan::{COLD_START, Cell, Experiment, Plan};
use crate::record::{Record, append};

/// Where and how runs are made.
pub(crate) struct Driver<'a> {
    pub(crate) plan: &'a Plan,
    /// The name of the experiment.
    pub(crate) name: &'a str,
    pub(crate) experiment: &'a Experiment,
    /// The binary `turnwise`.
    pub(crate) binary: PathBuf,
    /// Runs and cold starts, while they are needed.
    pub(crate) scratch: PathBuf,
    /// Processes at once, each on one core.
    pub(crate) jobs: usize,
    /// Begin nothing new after this time.
    pub(crate) until: Option<Instant>,
    /// Whether run directories are kept once they are recorded.
    pub(crate) keep: bool,
}

/// What the workers share.
struct Board {
    /// Cells that nobody has begun.
    open: Vec<Cell>,
    /// Families and seeds whose cold start isn't there yet.
    cold: HashSet<(String, u64)>,
    failed: Vec<String>,
}

impl Board {
    /// The next cell that can begin. None: nothing is left, or all that is left waits (then `open` isn't empty).
    fn take(&mut self) -> Option<Cell> {
        let ready =
            |cell: &Cell| cell.method == COLD_START || !self.cold.contains(&(cell.family.clone(), cell.seed));
        let at = self.open.iter().position(ready)?;
        Some(self.open.remove(at))
    }

    /// A cold start that failed takes its runs with it.
    fn give_up(&mut self, cell: &Cell) {
        if cell.method == COLD_START {
            self.open.retain(|other| (&other.family, other.seed) != (&cell.family, cell.seed));
        }
    }
}

impl Driver<'_> {
    /// Runs what isn't recorded. `told` hears a line per run.
    pub(crate) fn run(&self, cells: Vec<Cell>, told: &(dyn Fn(&str) + Sync)) -> Result<()> {
        std::fs::create_dir_all(&self.scratch).with_context(|| self.scratch.display().to_string())?;
        let lock = File::create(self.scratch.join("lock"))?;
        if lock.try_lock().is_err() {
            bail!("{}: another driver runs experiments here", self.scratch.display());
        }
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
                let (board, turn) = (&board, &turn);
                scope.spawn(move || self.work(core, board, turn, told));
            }
        });
        let board = board.into_inner().expect("no worker panicked");
        match board.failed.as_slice() {
            [] => Ok(()),
            failed => bail!(
                "{} runs failed; the same command tries them again:\n  {}",
                failed.len(),
                failed.join("\n  ")
            ),
        }
    }

    /// One worker: takes cells until none is left or time is up.
    fn work(&self, core: usize, board: &Mutex<Board>, turn: &Condvar, told: &(dyn Fn(&str) + Sync)) {
        loop {
            let mut state = board.lock().expect("no worker panicked");
            let cell = loop {
                if state.open.is_empty() || self.until.is_some_and(|end| Instant::now() >= end) {
                    return;
                }
                if let Some(cell) = state.take() {
                    break cell;
                }
                // What is left waits for a cold start that another worker makes.
                state = turn.wait_timeout(state, Duration::from_secs(1)).expect("no worker panicked").0;
            };
            drop(state);
            let began = Instant::now();
            let result = self.make(&cell, core).and_then(|record| self.settle(&cell, &record));
            let mut state = board.lock().expect("no worker panicked");
            let minutes = began.elapsed().as_secs_f64() / 60.0;
            match result {
                Ok(()) => {
                    if cell.method == COLD_START {
                        state.cold.remove(&(cell.family.clone(), cell.seed));
                    }
                    // What it came to is for the page that shows all seeds at once.
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

    /// Records a run and removes what is no longer needed.
    fn settle(&self, cell: &Cell, record: &Record) -> Result<()> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let guard = ONE_AT_A_TIME.lock().expect("no worker panicked");
        if !self.plan.records(self.name)?.iter().any(|known| known.is_of(cell)) {
            append(&self.plan.data(self.name), record)?;
        }
        drop(guard);
        if !self.keep && cell.method != COLD_START {
            std::fs::remove_dir_all(self.run_folder(cell)).context("the recorded run can't be removed")?;
        }
        Ok(())
    }

    /// Makes one run, or goes on with it.
    fn make(&self, cell: &Cell, core: usize) -> Result<Record> {
        let run = self.run_folder(cell);
        if cell.method == COLD_START {
            let out = self.cold_folder(cell);
            if !out.is_dir() {
                let mut sft = self.turnwise(core, "sft");
                sft.arg(self.plan.file(&format!("{}-sft.toml", cell.family))).arg("--out").arg(&out);
                sft.args(["--set", &format!("seed={}", cell.seed), "--set", "eval.tasks=1"]);
                self.finish(sft, cell, "sft")?;
            }
            return Record::harvest(cell, None, &self.evaluate(cell, &out, core)?);
        }
        let mut train = self.turnwise(core, "train");
        train.arg(self.run_file(cell)).arg("--run").arg(&run);
        for set in self.settings(cell) {
            train.args(["--set", &set]);
        }
        self.finish(train, cell, "train")?;
        let last = run.join(format!("checkpoints/step_{:05}", self.plan.updates));
        Record::harvest(cell, Some(&run), &self.evaluate(cell, &last, core)?)
    }

    fn settings(&self, cell: &Cell) -> Vec<String> {
        let mut settings = self.plan.methods[&cell.method].set.clone();
        settings.extend([
            format!("model={:?}", self.cold_folder(cell).display().to_string()),
            format!("train.seed={}", cell.seed),
            format!("optimizer.lr={:e}", cell.rate),
            format!("train.steps={}", self.plan.updates),
            // What an interruption costs at most; the held-out evaluation is a command of its own.
            "train.checkpoint_every=10".into(),
            "train.keep=2".into(),
            "train.keep_best=0".into(),
            "eval.tasks=1".into(),
            "eval.samples=1".into(),
        ]);
        settings
    }

    /// The evaluation of a model folder as JSON.
    fn evaluate(&self, cell: &Cell, model: &Path, core: usize) -> Result<String> {
        let mut eval = self.turnwise(core, "eval");
        eval.arg("--model").arg(model).arg("--config").arg(self.run_file(cell)).arg("--json");
        // All methods of a seed see the same random numbers.
        for set in [
            format!("train.seed={}", cell.seed),
            format!("eval.tasks={}", self.experiment.tasks),
            format!("eval.samples={}", self.experiment.samples),
        ] {
            eval.args(["--set", &set]);
        }
        self.finish(eval, cell, "eval")
    }

    fn run_file(&self, cell: &Cell) -> PathBuf {
        self.plan.file(&format!("{}.toml", cell.family))
    }

    fn run_folder(&self, cell: &Cell) -> PathBuf {
        self.scratch.join(self.name).join(cell.name())
    }

    fn cold_folder(&self, cell: &Cell) -> PathBuf {
        self.scratch.join("cold").join(format!("{}-{}", cell.family, cell.seed))
    }

    /// A command on one core: there the trainer has one worker, and sums come in one order wherever it runs.
    fn turnwise(&self, core: usize, command: &str) -> Command {
        let mut process = Command::new("taskset");
        process.args(["-c", &core.to_string()]).arg(&self.binary).arg(command);
        // Freed pages stay with the process: an eighth less CPU time where page faults are dear.
        process.env("MIMALLOC_PURGE_DELAY", "-1");
        process
    }

    /// Runs a command to its end and returns what it printed. What it said on the way is in a file beside the run.
    fn finish(&self, mut command: Command, cell: &Cell, what: &str) -> Result<String> {
        let folder = self.scratch.join(self.name);
        std::fs::create_dir_all(&folder)?;
        let log = folder.join(format!("{}.{what}.log", cell.name()));
        let output =
            command.stdin(Stdio::null()).stderr(File::create(&log)?).output().with_context(|| {
                format!("{} doesn't start; it needs `taskset` (util-linux)", command.get_program().display())
            })?;
        if !output.status.success() {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            let last = said.lines().last().unwrap_or("nothing").to_string();
            bail!("turnwise {what} ended with {}: {last} ({})", output.status, log.display());
        }
        String::from_utf8(output.stdout).context("the output is no text")
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
