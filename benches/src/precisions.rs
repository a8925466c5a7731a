//! The sampler's types of weights in turns, a process each, so that a busy machine is busy for all.

use std::time::Duration;

use anyhow::{Result, anyhow};
use clap::Args;
use turnwise_benches::cost::{Cost, median};
use turnwise_benches::peer::Peer;
use turnwise_benches::workload::Work;

/// Time limit of a single piece of work.
const PATIENCE: Duration = Duration::from_hours(1);

/// The types, the one that others are compared with first.
const WEIGHTS: [&str; 3] = ["f32", "bf16", "int8"];

/// The works that are measured.
const WORK: [&str; 4] = ["decode 1", "decode 8", "decode 32", "prefill"];

#[derive(Args)]
pub(crate) struct Precisions {
    /// A size, or a model folder
    #[arg(default_value = "135M")]
    model: String,
    /// Only work whose name begins so
    #[arg(long, default_value = "")]
    only: String,
    /// How often each type does it; the median counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

impl Precisions {
    pub(crate) fn run(self) -> Result<()> {
        println!("| work | weights | tokens/CPU-s | ratio | tokens/s | ratio | peak |");
        println!("|---|---|---|---|---|---|---|");
        let program = std::env::current_exe()?;
        for work in WORK.into_iter().filter(|work| work.starts_with(&self.only)) {
            let mut sides = Vec::new();
            for weights in WEIGHTS {
                let arguments = ["serve", &self.model, "--weights", weights];
                let peer = Peer::start(&program, &arguments, PATIENCE);
                sides.push((peer.map_err(|error| anyhow!("{weights}: {error}"))?, Vec::<Cost>::new()));
            }
            // The first round warms up.
            for round in 0..=self.rounds {
                for (peer, costs) in &mut sides {
                    let cost = peer.cost(work).map_err(|error| anyhow!(error))?;
                    if round > 0 {
                        costs.push(cost);
                    }
                }
            }
            let tokens = Work::named(work).expect("a name of the table").tokens() as f64;
            let speed =
                |costs: &[Cost], of: fn(&Cost) -> f64| tokens / median(costs.iter().map(of).collect());
            let speeds = |costs: &[Cost]| [speed(costs, |cost| cost.cpu), speed(costs, |cost| cost.wall)];
            let [full_cpu, full_wall] = speeds(&sides[0].1);
            for ((peer, costs), weights) in sides.iter_mut().zip(WEIGHTS) {
                let [cpu, wall] = speeds(costs);
                let peak: f64 = peer.ask("peak").map_err(|error| anyhow!(error))?.parse()?;
                println!(
                    "| {work} | {weights} | {cpu:.1} | {:.2} | {wall:.1} | {:.2} | {:.2} GiB |",
                    cpu / full_cpu,
                    wall / full_wall,
                    peak / f64::from(1 << 30)
                );
            }
        }
        Ok(())
    }
}
