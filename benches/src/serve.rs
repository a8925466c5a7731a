//! Runs one model on one device in a separate process: its memory is measured alone, and a driver's crash
//! ends nothing else.

use std::io::{BufRead, Write, stdin, stdout};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use burn::tensor::{DType, Device, Distribution, FloatDType, Tensor};
use clap::{Args, ValueEnum};
use serde_json::json;
use turnwise_benches::cost::{cost, median, peak_memory};
use turnwise_benches::shapes::shape;
use turnwise_benches::workload::{Work, Workload};
use turnwise_model::{HostPrecision, load};
use turnwise_trainer::backend;
use turnwise_trainer::config::Precision;

/// Element types of activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Type {
    F32,
    Bf16,
}

impl Type {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }
}

#[derive(Args)]
pub(crate) struct Serve {
    /// A size (8.4M, 135M, lfm2-206M, 0.5B and others; random weights) or a model folder
    model: String,
    /// The device
    #[arg(long)]
    device: Option<String>,
    /// Element type of activations
    #[arg(long, value_enum, default_value = "f32")]
    dtype: Type,
    /// Type of the weights from which the CPU samples: f32, bf16 or int8
    #[arg(long, value_name = "TYPE", default_value = "f32", value_parser = weights)]
    weights: HostPrecision,
}

/// Parses the name of a type of weights.
fn weights(name: &str) -> Result<HostPrecision, serde_json::Error> {
    serde_json::from_value(json!(name))
}

impl Serve {
    pub(crate) fn run(self) -> Result<()> {
        let mut opened = self.open();
        for line in stdin().lock().lines() {
            let answer = match &mut opened {
                Ok((device, workload)) => answer(&line?, device, workload, self.dtype)?,
                // Work that can't be measured stays a row of the table, with its reason.
                Err(error) => json!(format!("{error:#}").lines().next()),
            };
            writeln!(stdout(), "{answer}")?;
        }
        Ok(())
    }

    /// The device, and the model on it.
    fn open(&self) -> Result<(Device, Workload)> {
        let device = backend::device(self.device.as_deref())?;
        let precision = match self.dtype {
            Type::F32 => Precision::F32,
            Type::Bf16 => Precision::Bf16,
        };
        let supported = self.dtype == Type::F32 || device.supports_dtype(FloatDType::BF16);
        ensure!(supported, "this device has no {}", self.dtype.name());
        if let Some(config) = shape(&self.model) {
            return Ok((
                device.clone(),
                Workload::random(&config, precision, &device).sampling_from(self.weights),
            ));
        }
        let folder = Path::new(&self.model);
        let model = load(folder, &device.clone().autodiff()).context("neither a size nor a model folder")?;
        Ok((device, Workload::of(model, precision).sampling_from(self.weights)))
    }
}

fn answer(line: &str, device: &Device, workload: &mut Workload, dtype: Type) -> Result<serde_json::Value> {
    Ok(match line {
        "peak" => json!(peak_memory()),
        "limits" => limits(device, dtype),
        name if name.starts_with("greedy ") => {
            let new = name["greedy ".len()..].parse().with_context(|| format!("no number: {name}"))?;
            json!(workload.greedy(new))
        }
        name => {
            let work = Work::named(name).with_context(|| format!("no such work: {name}"))?;
            let mut done = Ok(());
            let cost = cost(|| done = workload.run(work));
            done?;
            serde_json::to_value(cost)?
        }
    })
}

/// Elements of a pass over memory: too many for any cache, and no more than every driver gives to one buffer.
const PASS: usize = 1 << 25;
/// Rows of the largest product that is tried.
const SIDE: usize = 4096;

/// Measures an idle device: bytes per second through memory, and operations per second in a
/// product of square matrices, which grow until one takes long enough to be measured.
fn limits(device: &Device, dtype: Type) -> serde_json::Value {
    let (dtype, size) = if dtype == Type::F32 { (DType::F32, 4.0) } else { (DType::BF16, 2.0) };
    let random = |shape: [usize; 2]| Tensor::<2>::random(shape, Distribution::Default, device).cast(dtype);
    let line = random([1, PASS]);
    let pass = 2.0 * size * PASS as f64 / seconds(device, &|| line.clone().add_scalar(1.0));
    let mut side = 512;
    let rate = loop {
        let square = random([side, side]);
        let seconds = seconds(device, &|| square.clone().matmul(square.clone()));
        if seconds > 0.02 || side == SIDE {
            break 2.0 * (side as f64).powi(3) / seconds;
        }
        side *= 2;
    };
    json!({ "bandwidth": pass, "rate": rate })
}

/// Wall time of the work: the median of three, each long enough for a clock, after one that warms up.
fn seconds(device: &Device, work: &dyn Fn() -> Tensor<2>) -> f64 {
    let spent = |times: u32| {
        let spent = cost(|| {
            for _ in 0..times {
                work();
            }
            // Not read back: a fused kernel may then compute only what is read.
            device.sync().expect("the device has answered before");
        });
        spent.wall
    };
    spent(1);
    let times = (0.02 / spent(1)).ceil().clamp(1.0, 1000.0) as u32;
    median((0..3).map(|_| spent(times) / f64::from(times)).collect())
}
