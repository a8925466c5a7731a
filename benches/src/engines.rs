//! Engines on the CPU in turns, a process each, so that a busy machine is busy for all: the sampler's types
//! of weights, and other programs that answer the same lines.

use std::time::Duration;

use anyhow::{Result, anyhow};
use clap::Args;
use turnwise_benches::peer::Peer;
use turnwise_benches::tries::Tries;
use turnwise_benches::workload::Work;
use turnwise_trajectory::TokenId;

/// Time limit of a single piece of work.
const PATIENCE: Duration = Duration::from_hours(1);

/// The sampler's types of weights, the one that all engines are compared with first.
const WEIGHTS: [&str; 3] = ["f32", "bf16", "int8"];

/// The works that are measured.
const WORK: [&str; 5] = ["prefill", "decode 1", "decode 8", "decode 32", "turns 8"];

/// Greedy tokens after a fixed prompt that are compared.
const GREEDY: usize = 64;

#[derive(Args)]
pub(crate) struct Engines {
    /// A size, or a model folder
    #[arg(default_value = "135M")]
    model: String,
    /// A further program, which `sh` starts and which answers the lines of `turnwise-bench serve`; repeatable
    #[arg(long = "peer", value_name = "NAME=COMMAND", value_parser = peer)]
    peers: Vec<(String, String)>,
    /// Only work whose name begins so
    #[arg(long, default_value = "")]
    only: String,
    /// How often each engine does it; the median counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// Parses a peer's name and command.
fn peer(text: &str) -> Result<(String, String), String> {
    let (name, command) = text.split_once('=').ok_or("no `=` between a name and a command")?;
    Ok((name.into(), command.into()))
}

/// A program that runs.
struct Engine {
    name: String,
    peer: Peer,
    tries: Tries,
    /// It has answered that it doesn't know the work.
    refuses: bool,
}

impl Engine {
    fn failed(&self, error: &str) -> anyhow::Error {
        anyhow!("{}: {error}", self.name)
    }

    /// Does the work once, which warms up.
    fn warm_up(&mut self, work: &str) -> Result<()> {
        match self.peer.cost(work) {
            Ok(_) => Ok(()),
            Err(answer) if answer.starts_with("unknown") => {
                self.refuses = true;
                Ok(())
            }
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn measure(&mut self, work: &str) -> Result<()> {
        if self.refuses {
            return Ok(());
        }
        self.tries.add(&mut self.peer, work).map_err(|error| self.failed(&error))
    }

    /// Returns the most memory that it has held, in bytes.
    fn peak(&mut self) -> Result<f64> {
        let answer = self.peer.ask("peak").map_err(|error| self.failed(&error))?;
        answer.parse().map_err(|_| self.failed(&format!("answers {answer} to \"peak\"")))
    }
}

impl Engines {
    pub(crate) fn run(self) -> Result<()> {
        self.compare_text()?;
        println!(
            "| work | engine | tokens/CPU-s | ratio | tokens/s | ratio | cores busy | peak | undisturbed tries |"
        );
        println!("|---|---|---|---|---|---|---|---|---|");
        for work in WORK.into_iter().filter(|work| work.starts_with(&self.only)) {
            let mut engines = self.start()?;
            engines.iter_mut().try_for_each(|engine| engine.warm_up(work))?;
            for _ in 0..self.rounds {
                engines.iter_mut().try_for_each(|engine| engine.measure(work))?;
            }
            rows(work, &mut engines)?;
        }
        Ok(())
    }

    /// Starts all programs. Each work has fresh ones: their peaks belong to it.
    fn start(&self) -> Result<Vec<Engine>> {
        let ours = std::env::current_exe()?;
        let started = |name: &str, peer: std::io::Result<Peer>| -> Result<Engine> {
            let peer = peer.map_err(|error| anyhow!("{name}: {error}"))?;
            Ok(Engine { name: name.into(), peer, tries: Tries::default(), refuses: false })
        };
        let own = WEIGHTS.into_iter().map(|weights| {
            let arguments = ["serve", &self.model, "--weights", weights];
            started(weights, Peer::start(&ours, &arguments, PATIENCE))
        });
        let others = self.peers.iter().map(|(name, command)| {
            // The shell's process becomes the program's, so that the program is what a failure ends.
            started(name, Peer::start("sh", &["-c", &format!("exec {command}")], PATIENCE))
        });
        own.chain(others).collect()
    }

    /// Prints how many greedy tokens are those of our f32 before the first that differs; a dash stands for an
    /// engine that gives none.
    fn compare_text(&self) -> Result<()> {
        let question = format!("greedy {GREEDY}");
        let mut ours: Option<Vec<TokenId>> = None;
        println!("| engine | of {GREEDY} greedy tokens as f32 |\n|---|---|");
        for engine in &mut self.start()? {
            let answer = engine.peer.ask(&question).map_err(|error| engine.failed(&error))?;
            let Ok(text) = serde_json::from_str::<Vec<TokenId>>(&answer) else {
                println!("| {} | - |", engine.name);
                continue;
            };
            let ours = ours.get_or_insert_with(|| text.clone());
            println!("| {} | {} |", engine.name, ours.iter().zip(&text).take_while(|(a, b)| a == b).count());
        }
        println!();
        Ok(())
    }
}

/// Prints a row for each engine; a dash stands for work that it doesn't know.
fn rows(work: &str, engines: &mut [Engine]) -> Result<()> {
    let tokens = Work::named(work).expect("a name of the table").tokens() as f64;
    let full = engines[0].tries.cost();
    for engine in engines {
        let name = engine.name.clone();
        if engine.refuses {
            println!("| {work} | {name} | - | - | - | - | - | - | - |");
            continue;
        }
        let (cost, [calm, all]) = (engine.tries.cost(), engine.tries.counts());
        let peak = engine.peak()?;
        println!(
            "| {work} | {name} | {:.1} | {:.2} | {:.1} | {:.2} | {:.2} | {:.2} GiB | {calm} of {all} |",
            tokens / cost.cpu,
            full.cpu / cost.cpu,
            tokens / cost.wall,
            full.wall / cost.wall,
            cost.cpu / cost.wall,
            peak / f64::from(1 << 30)
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(script: &str) -> Engine {
        let peer = Peer::start("sh", &["-c", script], Duration::from_mins(1)).unwrap();
        Engine { name: "other".into(), peer, tries: Tries::default(), refuses: false }
    }

    #[test]
    fn unknown_work_is_left_out_and_other_refusals_are_errors() {
        let mut small = engine("while read a; do echo '\"unknown: turns\"'; done");
        small.warm_up("turns 8").unwrap();
        small.measure("turns 8").unwrap();
        assert_eq!((small.refuses, small.tries.counts()), (true, [0, 0]));
        let error = engine("read a; echo '\"no memory\"'").warm_up("turns 8").unwrap_err();
        assert_eq!(error.to_string(), "other: no memory");
    }

    #[test]
    fn a_peer_has_a_name_and_a_command() {
        let named = peer("llama.cpp F32=env A=1 program").unwrap();
        assert_eq!(named, ("llama.cpp F32".into(), "env A=1 program".into()));
        assert!(peer("program").unwrap_err().contains("no `=`"));
    }
}
