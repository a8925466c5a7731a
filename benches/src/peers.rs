//! Ours and PyTorch's in turns, a process each, so that a busy machine is busy for both.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, anyhow};
use clap::Args;
use turnwise_benches::cost::{Cost, median};
use turnwise_benches::peer::Peer;
use turnwise_benches::workload::Work;

/// Time limit of a single piece of work.
const PATIENCE: Duration = Duration::from_hours(1);

/// The works that are measured for each size.
const WORK: [(&str, &[&str]); 5] = [
    ("8.4M", &["decode 1", "decode 32", "turns 8", "train"]),
    ("135M", &["decode 1", "decode 8", "turns 8", "train"]),
    ("lfm2-206M", &["decode 1", "decode 8", "train"]),
    ("qwen3_5-210M", &["decode 1", "decode 8", "train"]),
    ("gemma3-268M", &["decode 1", "decode 8", "train"]),
];

#[derive(Args)]
pub(crate) struct Peers {
    /// A Python with torch and transformers
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// The program that it runs
    #[arg(long, default_value = "benches/peers/serve.py")]
    script: PathBuf,
    /// A folder of SmolLM2-135M; without one its shape gets random weights
    #[arg(long)]
    smollm2: Option<String>,
    /// Only work whose name begins so
    #[arg(long, default_value = "")]
    only: String,
    /// Only this size
    #[arg(long)]
    size: Option<String>,
    /// How often each side does it; the median counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

struct Side {
    costs: Vec<Cost>,
    peak: f64,
}

impl Side {
    fn median(&self, of: impl Fn(&Cost) -> f64) -> f64 {
        median(self.costs.iter().map(of).collect())
    }
}

impl Peers {
    pub(crate) fn run(self) -> Result<()> {
        println!(
            "| work | tokens/CPU-s, ours | PyTorch | ours/PyTorch | tokens/s, ours | PyTorch | peak, ours | PyTorch | ours/PyTorch |"
        );
        println!("|---|---|---|---|---|---|---|---|---|");
        for (size, works) in WORK {
            if self.size.as_deref().is_some_and(|only| only != size) {
                continue;
            }
            let model = self.smollm2.as_deref().filter(|_| size == "135M").unwrap_or(size);
            for work in works.iter().filter(|work| work.starts_with(&self.only)) {
                self.row(size, model, work)?;
            }
        }
        Ok(())
    }

    fn row(&self, size: &str, model: &str, work: &str) -> Result<()> {
        let [ours, theirs] = self.measure(model, work)?;
        let tokens = Work::named(work).expect("a name of the table").tokens() as f64;
        let speed = |side: &Side, of: fn(&Cost) -> f64| tokens / side.median(of);
        let [our_cpu, their_cpu] = [&ours, &theirs].map(|side| speed(side, |cost| cost.cpu));
        let [our_wall, their_wall] = [&ours, &theirs].map(|side| speed(side, |cost| cost.wall));
        let gib = |side: &Side| side.peak / f64::from(1 << 30);
        println!(
            "| {size}, {work} | {our_cpu:.1} | {their_cpu:.1} | {:.2} | {our_wall:.1} | {their_wall:.1} | {:.2} GiB | \
             {:.2} GiB | {:.2} |",
            our_cpu / their_cpu,
            gib(&ours),
            gib(&theirs),
            ours.peak / theirs.peak
        );
        Ok(())
    }

    fn measure(&self, model: &str, work: &str) -> Result<[Side; 2]> {
        let ours = std::env::current_exe()?;
        let script = self.script.to_string_lossy();
        let mut peers = [start(&ours, &["serve", model])?, start(&self.python, &[&*script, model])?];
        let mut sides = [(); 2].map(|()| Side { costs: Vec::new(), peak: 0.0 });
        // The first round warms up.
        for round in 0..=self.rounds {
            for (peer, side) in peers.iter_mut().zip(&mut sides) {
                let cost = peer.cost(work).map_err(|error| anyhow!(error))?;
                if round > 0 {
                    side.costs.push(cost);
                }
            }
        }
        for (peer, side) in peers.iter_mut().zip(&mut sides) {
            let peak = peer.ask("peak").map_err(|error| anyhow!(error))?;
            side.peak = peak.parse()?;
        }
        Ok(sides)
    }
}

fn start(program: &Path, arguments: &[&str]) -> Result<Peer> {
    Peer::start(program, arguments, PATIENCE).map_err(|error| anyhow!("{}: {error}", program.display()))
}
