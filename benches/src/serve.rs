//! One model on one device in a process of its own, so that its memory is its own and a driver's crash ends nothing else.

use std::io::{BufRead, Write, stdin, stdout};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use burn::tensor::{DType, Device, Distribution, FloatDType, Tensor};
use clap::{Args, ValueEnum};
use serde_json::json;
use turnwise_benches::cost::{cost, median, peak_memory};
use turnwise_benches::shapes::shape;
use turnwise_benches::workload::{Work, Workload};
use turnwise_model::load;
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
    /// A size (8.4M, 135M, 0.5B, 1.5B; random weights) or a model folder
    model: String,
    /// The device
    #[arg(long)]
    device: Option<String>,
    /// Element type of activations
    #[arg(long, value_enum, default_value = "f32")]
    dtype: Type,
}

impl Serve {
    pub(crate) fn run(self) -> Result<()> {
        let device = backend::device(self.device.as_deref())?;
        let precision = match self.dtype {
            Type::F32 => Precision::F32,
            Type::Bf16 => Precision::Bf16,
        };
        let supported = self.dtype == Type::F32 || device.supports_dtype(FloatDType::BF16);
        ensure!(supported, "this device has no {}", self.dtype.name());
        let mut workload = if let Some(config) = shape(&self.model) {
            Workload::random(&config, precision, &device)
        } else {
            let folder = Path::new(&self.model);
            let model =
                load(folder, &device.clone().autodiff()).context("neither a size nor a model folder")?;
            Workload::of(model, precision)
        };
        for line in stdin().lock().lines() {
            let line = line?;
            let answer = match line.as_str() {
                "peak" => json!(peak_memory()),
                "limits" => limits(&device, self.dtype),
                name => {
                    let work = Work::named(name).with_context(|| format!("no such work: {name}"))?;
                    let mut done = Ok(());
                    let cost = cost(|| done = workload.run(work));
                    done?;
                    serde_json::to_value(cost)?
                }
            };
            writeln!(stdout(), "{answer}")?;
        }
        Ok(())
    }
}

/// What the device reaches with nothing else to do: bytes per second through memory, and operations per second in a
/// product of large square matrices. Sizes grow until the work is long enough to be measured.
fn limits(device: &Device, dtype: Type) -> serde_json::Value {
    let (dtype, size) = if dtype == Type::F32 { (DType::F32, 4.0) } else { (DType::BF16, 2.0) };
    let random = |shape: [usize; 2]| Tensor::<2>::random(shape, Distribution::Default, device).cast(dtype);
    let mut length = 1 << 22;
    let pass = loop {
        let line = random([1, length]);
        let seconds = seconds(&|| line.clone().add_scalar(1.0));
        if seconds > 0.005 || length == 1 << 27 {
            break 2.0 * size * length as f64 / seconds;
        }
        length *= 2;
    };
    let mut side = 512;
    let rate = loop {
        let square = random([side, side]);
        let seconds = seconds(&|| square.clone().matmul(square.clone()));
        if seconds > 0.02 || side == 8192 {
            break 2.0 * (side as f64).powi(3) / seconds;
        }
        side *= 2;
    };
    json!({ "bandwidth": pass, "rate": rate })
}

/// Median wall time of three, after one that warms up.
fn seconds(work: &dyn Fn() -> Tensor<2>) -> f64 {
    let once = || {
        let spent = cost(|| {
            // Reading one number waits for all of it.
            work().slice([0..1, 0..1]).cast(DType::F32).into_data();
        });
        spent.wall
    };
    once();
    median((0..3).map(|_| once()).collect())
}
