//! The same work on every backend that is compiled in and answers on this machine.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{ArgAction, Args};
use turnwise_benches::cost::{Cost, median};
use turnwise_benches::peer::Peer;
use turnwise_benches::shapes::shape;
use turnwise_benches::workload::{COLUMNS, ROWS, Work};
use turnwise_model::ModelConfig;
use turnwise_trainer::backend;

use crate::picture::picture;
use crate::row::Row;
use crate::serve::Type;

const WORK: [&str; 6] = ["prefill", "decode 1", "decode 8", "loss", "train", "gtpo"];

// A repeated argument replaces the earlier one: bench-cuda.sh puts its defaults first.
#[derive(Args)]
#[command(args_override_self = true)]
pub(crate) struct Backends {
    /// Sizes: tiny, 8.4M, 135M, 0.5B, 1.5B
    #[arg(long, value_delimiter = ',', action = ArgAction::Set, default_value = "8.4M")]
    sizes: Vec<String>,
    /// Devices; all that are compiled in unless named
    #[arg(long, value_delimiter = ',', action = ArgAction::Set)]
    devices: Vec<String>,
    /// A device of another build of this program, measured with these: tch=target/tch/release/turnwise-bench
    #[arg(long, value_name = "DEVICE=PROGRAM", value_parser = elsewhere)]
    also: Vec<(String, PathBuf)>,
    /// Element types of activations
    #[arg(long, value_enum, value_delimiter = ',', action = ArgAction::Set, default_value = "f32")]
    dtypes: Vec<Type>,
    /// A Python with torch and transformers, and trl for the GTPO step, to be measured as one more backend
    #[arg(long)]
    python: Option<PathBuf>,
    /// The program that it runs
    #[arg(long, default_value = "benches/peers/serve.py")]
    script: PathBuf,
    /// Its device
    #[arg(long, default_value = "cpu")]
    python_device: String,
    /// How often each work is done; the median counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds that a piece of work may take; longer ones are stopped, and the rest of that backend is skipped
    #[arg(long, default_value_t = 300.0)]
    patience: f64,
    /// Folder for backends.json, backends.md and backends.svg
    #[arg(long, default_value = "target/backends")]
    out: PathBuf,
}

/// Holds the rates that an idle device reaches.
#[derive(serde::Deserialize, Clone, Copy)]
struct Limits {
    bandwidth: f64,
    rate: f64,
}

/// A program to measure.
struct Candidate {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
    dtype: Type,
    /// The hardware. Programs on the same one share its limits.
    on: &'static str,
}

/// A device of ours, or PyTorch's, by what it computes on.
fn hardware(device: &str) -> &'static str {
    match device {
        "flex" | "tch" | "cpu" => "cpu",
        "cuda" => "cuda",
        _ => "graphics",
    }
}

impl Backends {
    pub(crate) fn run(self) -> Result<()> {
        fs::create_dir_all(&self.out)?;
        let mut rows = Vec::new();
        for size in &self.sizes {
            let config = shape(size).with_context(|| format!("no such size: {size}"))?;
            let (mut measured, mut limits) = (Vec::new(), Vec::new());
            for candidate in self.candidates(size)? {
                eprintln!("{size} on {}", candidate.name);
                let (found, reached) = self.measure(size, &candidate);
                limits.extend(reached.map(|reached| (candidate.on, candidate.dtype, reached)));
                measured.extend(found.into_iter().map(|row| (candidate.on, candidate.dtype, row)));
            }
            for (on, dtype, mut row) in measured {
                let best = best(&limits, on, dtype).filter(|_| row.refused.is_none());
                let shares = best.map(|best| shares(&config, row.work, row.wall, dtype, best));
                (row.share_of_bandwidth, row.share_of_matrix_rate) = shares.unwrap_or_default();
                rows.push(row);
            }
            // After each size: what is measured is kept if the next one is stopped.
            self.write(&rows)?;
        }
        if rows.iter().all(|row| row.refused.is_some()) {
            let why = rows.first().and_then(|row| row.refused.as_deref()).unwrap_or("none was named");
            bail!("no backend could be measured: {why}");
        }
        print!("{}", table(&rows));
        eprintln!("{}", self.out.display());
        Ok(())
    }

    fn write(&self, rows: &[Row]) -> Result<()> {
        let write = |name: &str, text: &str| {
            let path = self.out.join(name);
            fs::write(&path, text).with_context(|| path.display().to_string())
        };
        write("backends.json", &(serde_json::to_string_pretty(rows)? + "\n"))?;
        write("backends.md", &table(rows))?;
        write("backends.svg", &picture(rows))
    }

    fn candidates(&self, size: &str) -> Result<Vec<Candidate>> {
        let named: Vec<&str> = self.devices.iter().map(String::as_str).collect();
        let devices = if named.is_empty() { backend::NAMES.to_vec() } else { named };
        let program = std::env::current_exe()?;
        let here = devices.into_iter().map(|device| (device, &program));
        let there = self.also.iter().map(|(device, program)| (device.as_str(), program));
        let builds: Vec<(&str, &PathBuf)> = here.chain(there).collect();
        let mut all = Vec::new();
        for &dtype in &self.dtypes {
            all.extend(builds.iter().map(|&(device, program)| Candidate {
                name: format!("{device} {}", dtype.name()),
                program: program.clone(),
                arguments:
                    ["serve", size, "--device", device, "--dtype", dtype.name()].map(String::from).into(),
                dtype,
                on: hardware(device),
            }));
            all.extend(self.python.iter().map(|python| {
                Candidate {
                    name: format!("PyTorch {} {}", self.python_device, dtype.name()),
                    program: python.clone(),
                    arguments: [&*self.script.to_string_lossy(), size, &self.python_device, dtype.name()]
                        .map(String::from)
                        .into(),
                    dtype,
                    on: hardware(&self.python_device),
                }
            }));
        }
        Ok(all)
    }

    /// The works on a candidate, and what it reaches at most.
    fn measure(&self, size: &str, candidate: &Candidate) -> (Vec<Row>, Option<Limits>) {
        let row = |work| Row {
            size: size.into(),
            work,
            backend: candidate.name.clone(),
            refused: None,
            first: 0.0,
            wall: 0.0,
            cpu: 0.0,
            tokens_per_second: 0.0,
            share_of_bandwidth: None,
            share_of_matrix_rate: None,
        };
        let refused = |work, why: String| Row { refused: Some(why), ..row(work) };
        let patience = Duration::from_secs_f64(self.patience.clamp(0.0, 1e6));
        let mut peer = match Peer::start(&candidate.program, &candidate.arguments, patience) {
            Ok(peer) => peer,
            Err(error) => return (WORK.map(|work| refused(work, error.to_string())).into(), None),
        };
        let limits = peer.ask("limits").ok().and_then(|answer| serde_json::from_str(&answer).ok());
        let once = |work: &'static str| match self.costs(&mut peer, work) {
            Err(why) => refused(work, why),
            Ok(costs) => {
                let wall = median(costs[1..].iter().map(|cost| cost.wall).collect());
                Row {
                    first: costs[0].wall,
                    wall,
                    cpu: median(costs[1..].iter().map(|cost| cost.cpu).collect()),
                    tokens_per_second: Work::named(work).expect("a name of the table").tokens() as f64 / wall,
                    ..row(work)
                }
            }
        };
        (WORK.map(once).into(), limits)
    }

    fn costs(&self, peer: &mut Peer, work: &str) -> Result<Vec<Cost>, String> {
        (0..=self.rounds.max(1)).map(|_| peer.cost(work)).collect()
    }
}

/// Returns the best rates on this hardware: a library with slow kernels must not look near the limit.
fn best(limits: &[(&str, Type, Limits)], on: &str, dtype: Type) -> Option<Limits> {
    let same =
        limits.iter().filter(|(hardware, of, _)| (*hardware, *of) == (on, dtype)).map(|(.., limits)| *limits);
    same.reduce(|a, b| Limits { bandwidth: a.bandwidth.max(b.bandwidth), rate: a.rate.max(b.rate) })
}

/// `device=program`.
fn elsewhere(text: &str) -> Result<(String, PathBuf), String> {
    let (device, program) = text.split_once('=').ok_or("expected DEVICE=PROGRAM")?;
    Ok((device.into(), program.into()))
}

/// How near a work comes to the bandwidth or the matrix rate of its device, whichever bounds it.
fn shares(
    config: &ModelConfig,
    work: &str,
    wall: f64,
    dtype: Type,
    limits: Limits,
) -> (Option<f64>, Option<f64>) {
    let weights = config.multiplied_weights() as f64;
    let bytes = if dtype == Type::F32 { 4.0 } else { 2.0 };
    let steps = turnwise_benches::workload::NEW as f64;
    let tokens = (ROWS * COLUMNS) as f64;
    match work {
        "decode 1" | "decode 8" => (Some(weights * bytes * steps / wall / limits.bandwidth), None),
        "loss" => (None, Some(2.0 * weights * tokens / wall / limits.rate)),
        "train" => (None, Some(6.0 * weights * tokens / wall / limits.rate)),
        _ => (None, None),
    }
}

fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| size | work | backend | tokens/s | wall | CPU | CPU, of the first backend's | first | of bandwidth | of matrix rate |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    );
    let percent = |share: Option<f64>| share.map_or(String::new(), |share| format!("{:.0} %", 100.0 * share));
    let line = |row: &Row| {
        let start = format!("| {} | {} | {} |", row.size, row.work, row.backend);
        match &row.refused {
            Some(why) => format!("{start} {why} | | | | | | |\n"),
            None => format!(
                "{start} {:.1} | {:.3} s | {:.3} s | {:.2} | {:.1} s | {} | {} |\n",
                row.tokens_per_second,
                row.wall,
                row.cpu,
                row.cpu / first_cpu(rows, row),
                row.first,
                percent(row.share_of_bandwidth),
                percent(row.share_of_matrix_rate)
            ),
        }
    };
    text.extend(rows.iter().map(line));
    text
}

/// CPU time of the same work on the first backend that does it: what neighbours on the machine change least.
fn first_cpu(rows: &[Row], row: &Row) -> f64 {
    let same = |other: &&Row| other.size == row.size && other.work == row.work && other.refused.is_none();
    rows.iter().find(same).map_or(f64::NAN, |first| first.cpu)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_the_part_of_the_limit_that_the_work_needs() {
        let config = shape("135M").unwrap();
        let weights = config.multiplied_weights() as f64;
        let limits = Limits { bandwidth: weights * 4.0 * 128.0, rate: 6.0 * weights * 2048.0 };
        assert_eq!(shares(&config, "decode 1", 2.0, Type::F32, limits).0, Some(0.5));
        assert_eq!(shares(&config, "train", 4.0, Type::F32, limits).1, Some(0.25));
        let other = Limits { bandwidth: 2.0 * limits.bandwidth, rate: 0.5 * limits.rate };
        let all = [
            ("cuda", Type::F32, limits),
            ("cuda", Type::F32, other),
            ("cpu", Type::F32, Limits { rate: 1e99, ..other }),
        ];
        let best = best(&all, "cuda", Type::F32).unwrap();
        assert_eq!((best.bandwidth, best.rate), (other.bandwidth, limits.rate));
        assert!(super::best(&all, "cuda", Type::Bf16).is_none());
    }
}
