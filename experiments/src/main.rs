//! Runs the grids of `plan.toml`, chooses learning rates from the tuning runs, and writes the evidence from
//! the committed records: `just experiment NAME`, `just choose-rates` and `just evidence`.

mod cell;
mod choose;
mod diagnosis;
mod drive;
mod evidence;
mod fields;
mod held_out;
mod make;
mod moved;
mod plan;
mod record;
mod stop;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};

use drive::Driver;
use plan::Plan;
use stop::Stop;

#[derive(Parser)]
#[command(about = "Pre-registered experiments")]
struct Arguments {
    /// The folder of plan.toml
    #[arg(long, default_value = "experiments", global = true)]
    folder: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run what isn't recorded of an experiment
    Run(Grid),
    /// Add to rates.toml the best learning rate for each family and method of a tuning experiment
    ChooseRates {
        /// The experiment's name in plan.toml
        #[arg(default_value = "tune")]
        name: String,
    },
    /// Write docs/evidence.md, its tables and its figures from the records
    Evidence {
        /// The folder of evidence.md and evidence/
        #[arg(long, default_value = "docs")]
        out: PathBuf,
    },
}

#[derive(Args)]
struct Grid {
    /// The experiment's name in plan.toml
    name: String,
    /// Processes at a time, each on a separate core; by default all cores
    #[arg(long)]
    jobs: Option<usize>,
    /// Begin no run after this many hours
    #[arg(long)]
    hours: Option<f64>,
    /// Keep run directories once they are recorded
    #[arg(long)]
    keep: bool,
    /// Print the runs that are missing and stop
    #[arg(long)]
    dry_run: bool,
    /// The binary
    #[arg(long, default_value = "target/release/turnwise")]
    binary: PathBuf,
    /// Folder of run directories and cold starts
    #[arg(long, default_value = "runs/experiments")]
    scratch: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let plan = Plan::read(&arguments.folder)?;
    match arguments.command {
        Command::Run(run) => execute(&plan, run),
        Command::ChooseRates { name } => choose::write(&plan, &name),
        Command::Evidence { out } => evidence(&plan, &out),
    }
}

fn execute(plan: &Plan, run: Grid) -> Result<()> {
    let experiment = plan.experiment(&run.name)?;
    let cells = plan.cells(experiment, &plan.rates()?)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = run.jobs.unwrap_or(cores);
    if jobs == 0 || jobs > cores {
        bail!("--jobs {jobs}: this machine has {cores} cores, and each process wants one");
    }
    let hours = |hours: f64| {
        let span = Duration::try_from_secs_f64(hours * 3600.0).context("--hours is no time span")?;
        Instant::now().checked_add(span).context("--hours is too long")
    };
    if run.dry_run {
        let known = plan.records(&run.name)?;
        for cell in cells.iter().filter(|cell| !known.iter().any(|record| record.is_of(cell))) {
            tell(&cell.name());
        }
        return Ok(());
    }
    let driver = Driver {
        plan,
        name: &run.name,
        experiment,
        binary: run.binary,
        scratch: run.scratch,
        jobs,
        until: run.hours.map(hours).transpose()?,
        keep: run.keep,
        stop: Stop::on_signals()?,
    };
    driver.run(cells, &say)
}

/// Prints a line of data. A failure means that the reader has gone.
fn tell(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Reports progress. A failure doesn't stop the work.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn evidence(plan: &Plan, out: &Path) -> Result<()> {
    for (name, text) in evidence::pages(plan)? {
        let path = out.join(name);
        std::fs::create_dir_all(path.parent().context("a file has a folder")?)?;
        std::fs::write(&path, text).with_context(|| format!("{}: cannot write", path.display()))?;
        tell(&path.display().to_string());
    }
    Ok(())
}
