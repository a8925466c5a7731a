//! Launches of a decoding step on a device and its time, on Burn's operations and with our kernels.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use burn::tensor::DType;
use clap::{ArgAction, Args};
use turnwise_benches::shapes::shape;
use turnwise_model::{GpuDecoder, HostPrecision, KvCache, TokenBatch, Transformer, count_launches};
use turnwise_sampler::{GenerationRequest, Generator, Sampling, SequenceId, StopRule};
use turnwise_trainer::{backend, generator_in};

use crate::serve::Type;

/// Tokens of a prompt, and decoding steps after it.
const TOKENS: usize = 64;

#[derive(Args)]
pub(crate) struct Launches {
    /// Sizes: tiny, 8.4M, 135M, 0.5B, 1.5B
    #[arg(long, value_delimiter = ',', action = ArgAction::Set, default_value = "8.4M")]
    sizes: Vec<String>,
    /// The device
    #[arg(long)]
    device: Option<String>,
    /// Element types of weights and activations
    #[arg(long, value_enum, value_delimiter = ',', action = ArgAction::Set, default_value = "f32")]
    dtypes: Vec<Type>,
    /// Sequences that are decoded together
    #[arg(long, default_value_t = 8)]
    batch: usize,
    /// Fails above this many launches a layer, and this many beside them, where our kernels decode
    #[arg(long, num_args = 2, value_names = ["LAYER", "BESIDE"])]
    most: Vec<usize>,
}

impl Launches {
    pub(crate) fn run(self) -> Result<()> {
        let device = backend::device(self.device.as_deref())?;
        println!(
            "| size | type | layers | path | launches of a step | time of a step |\n|---|---|---|---|---|---|"
        );
        for size in &self.sizes {
            let config = shape(size).with_context(|| format!("no such size: {size}"))?;
            for &dtype in &self.dtypes {
                let model = Transformer::random(&config, 0, &device);
                let model = if dtype == Type::F32 { model } else { model.cast(DType::BF16) };
                let row = |path: &str, (launches, ms): (f64, f64)| {
                    let (dtype, layers) = (dtype.name(), config.layers.len());
                    println!("| {size} | {dtype} | {layers} | {path} | {launches:.1} | {ms:.2} ms |");
                };
                row("Burn's operations", graph(&model, self.batch));
                if GpuDecoder::of(&model).is_none() {
                    continue;
                }
                let generator = generator_in(&model, HostPrecision::F32, Sampling::default());
                let found = kernels(generator, self.batch)?;
                row("our kernels", found);
                if let [layer, beside] = self.most[..] {
                    let most = layer * config.layers.len() + beside;
                    ensure!(found.0 <= most as f64, "{} launches of a step, more than {most}", found.0);
                }
            }
        }
        Ok(())
    }
}

/// Returns the mean of launches and of milliseconds over the steps after a prompt and one step that compiles
/// kernels.
fn measure(mut step: impl FnMut(usize) -> Result<()>) -> Result<(f64, f64)> {
    step(0)?;
    step(1)?;
    let started = Instant::now();
    let (done, launches) = count_launches(|| (2..2 + TOKENS).try_for_each(step));
    done?;
    let per_step = |number: f64| number / TOKENS as f64;
    Ok((per_step(launches as f64), per_step(started.elapsed().as_secs_f64() * 1e3)))
}

/// Returns the prompt of a row. No two begin alike, so all of them are read in the first step.
fn prompt(row: usize) -> Vec<u32> {
    (0..TOKENS).map(|at| ((row + at) % 100) as u32).collect()
}

fn kernels(mut generator: Generator, batch: usize) -> Result<(f64, f64)> {
    for row in 0..batch {
        let id = SequenceId { seed: 0, step: 0, task: 0, occurrence: 0, sample: row as u32, turn: 0 };
        let (tokens, max_new) = (prompt(row), 2 * TOKENS);
        generator.submit(GenerationRequest { key: row as u64, tokens: &tokens, max_new, rng: id.rng() });
    }
    let stop = StopRule { tokens: &[], strings: &[], decode: None };
    measure(|_| Ok(generator.step(&stop, &mut |_, _| false).map(|_| ())?))
}

/// Measures the steps that the generator would take on the graph, with logits that are read and not sampled.
fn graph(model: &Transformer, batch: usize) -> (f64, f64) {
    let mut cache = KvCache::new(model.config(), batch);
    let step = |at: usize| {
        let rows: Vec<Vec<u32>> =
            (0..batch).map(|row| if at == 0 { prompt(row) } else { vec![1 + row as u32] }).collect();
        let hidden = model.extend(&TokenBatch::new(&rows), &mut cache);
        model.logits(hidden).cast(DType::F32).into_data();
        Ok(())
    };
    measure(step).expect("nothing is sampled")
}
