//! Estimates the memory of a run before it begins, and refuses a run that can't fit.

use burn::tensor::Device;
use serde::Serialize;
use turnwise_model::{ModelConfig, chunk_rows, left_out, load_config};

use crate::config::{Precision, RolloutConfig, RunConfig};
use crate::device::kind::in_memory;
use crate::device::memory::{available, size};
use crate::device::workers;
use crate::error::TrainError;
use crate::learn::activations::{Kept, is_fused, values_of_blocks};
use crate::play::cache_budget::{CacheBudget, bytes_per_token};
use crate::run_site::RunSite;
use crate::watch::progress::Progress;

const F32: u64 = 4;

/// Holds a run's peak memory by purpose, in bytes. Weights, reference, gradients and moments are certain. The
/// rest is for trajectories and micro-batches as long as the config allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// Weights of the policy, and their copy in the sampler's precision if that is another.
    pub weights: u64,
    /// Weights in the layout that rollouts on the CPU read; freed before the backward pass.
    pub copy: u64,
    /// Weights of the reference policy.
    pub reference: u64,
    /// Gradients of the trained parameters: one sum per worker, and those of `optimizer.shards` that wait.
    pub gradients: u64,
    /// AdamW's two moments.
    pub moments: u64,
    /// The policy of a play beside the update (`rollout.lag`): the weights that the update replaces.
    /// Gradients and the copy for rollouts are held at once then, and the smaller one counts here.
    pub ahead: u64,
    /// Keys and values of all trajectories of a step, or the cache's limit if that is smaller.
    pub kv_cache: u64,
    /// A chunk of logits per worker, with its softmax and gradient, and the gradient of the vocabulary's
    /// weights.
    pub logits: u64,
    /// Activations kept for the backward pass.
    pub activations: u64,
    /// Gaps between freed memory and what took its place, on devices that use the machine's memory. The
    /// programs keep what they free. A quarter of the three parts above; a small run showed 0.3 of them once.
    pub gaps: u64,
}

impl Estimate {
    /// Estimates a run on a device with `workers` micro-batches at once.
    pub fn of(config: &RunConfig, model: &ModelConfig, workers: usize, device: &Device) -> Self {
        let optimizer = &config.optimizer;
        let half = optimizer.precision != Precision::F32;
        let element = element(optimizer.precision);
        let all = model.parameters() as u64;
        // `freeze` names parameters that are only known when the model is loaded, so nothing of them is
        // certain.
        let trained = match &optimizer.lora {
            Some(lora) => lora.parameters(model) as u64,
            None if optimizer.freeze.is_empty() => all,
            None => 0,
        };
        let (layers, hidden) = (model.layers.len() as u64, model.hidden_size as u64);
        let rollout = &config.rollout;
        let length = rollout.max_tokens.min(model.context()) as u64;
        let trajectories = rollout.groups as u64 * rollout.samples as u64;
        let rows = trajectories.div_ceil(optimizer.minibatches.max(1) as u64);
        let step = rows * length;
        // Micro-batches shrink to a single row until every worker has one. A worker without any holds
        // nothing.
        let workers = (workers as u64).min(rows).max(1);
        // Sums of a tree wait for their neighbours, one per height at most.
        let sums = workers + optimizer.shards.map_or(0, |shards| u64::from(shards.max(1).ilog2()));
        let sizes = (optimizer.micro_batch_tokens, length as usize);
        let kept = Kept::of(model, sizes, optimizer.recompute, half, device);
        let micro_batch = (kept.tokens as u64).min(step.div_ceil(workers)).max(length);
        let at_once = step.min(workers * micro_batch);
        let values: Vec<u64> = values_of_blocks(model, length, is_fused(device, half)).collect();
        let (twice, once) = values.split_at(values.len() - kept.blocks);
        let kept = once.iter().sum::<u64>().max(twice.iter().copied().max().unwrap_or(0));
        let vocabulary = model.vocab_size as u64;
        let copy =
            if is_fused(device, half) { rollout.precision.bytes(model.parameters()) as u64 } else { 0 };
        let gradients = sums * trained * F32;
        let logit_rows = at_once.min(workers * chunk_rows(model.vocab_size) as u64);
        let kv_cache = (trajectories * length)
            .saturating_mul(bytes_per_token(model, element.min(rollout.precision.cache_bytes() as u64)))
            .min(rollout.cache_mib.map_or(u64::MAX, |mib| mib.saturating_mul(1 << 20)));
        let logits = 3 * logit_rows * vocabulary * F32 + workers * vocabulary * hidden * F32;
        let activations = at_once.saturating_mul((kept + layers * hidden) * element);
        let come_and_go = kv_cache.saturating_add(logits).saturating_add(activations);
        Self {
            weights: all * (F32 + if half { element } else { 0 }),
            copy,
            reference: if config.needs_reference() { all * F32 } else { 0 },
            gradients,
            moments: 2 * trained * F32,
            ahead: if rollout.lag > 0 { trained * F32 + gradients.min(copy) } else { 0 },
            kv_cache,
            logits,
            activations,
            gaps: if in_memory(device) { come_and_go / 4 } else { 0 },
        }
    }

    /// Returns the part that the run certainly needs.
    pub fn certain(&self) -> u64 {
        self.weights + self.reference + self.moments + self.gradients.max(self.copy)
    }

    /// Returns the most that the run may need.
    pub fn total(&self) -> u64 {
        let uncertain = [self.ahead, self.kv_cache, self.logits, self.activations, self.gaps];
        uncertain.into_iter().fold(self.certain(), u64::saturating_add)
    }
}

impl std::fmt::Display for Estimate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [
            ("weights", self.weights),
            ("their copy for rollouts", self.copy),
            ("reference", self.reference),
            ("gradients", self.gradients),
            ("moments", self.moments),
            ("the policy of the play ahead up to", self.ahead),
            ("KV cache up to", self.kv_cache),
            ("logits up to", self.logits),
            ("activations up to", self.activations),
            ("gaps up to", self.gaps),
        ];
        let parts = parts.iter().filter(|(_, bytes)| *bytes > 0);
        let parts: Vec<String> = parts.map(|(name, bytes)| format!("{name} {}", size(*bytes))).collect();
        f.write_str(&parts.join(", "))
    }
}

/// Estimates a run on a device. Reads only the model's `config.json`.
pub fn estimate(config: &RunConfig, device: &Device) -> Result<Estimate, TrainError> {
    Ok(Estimate::of(config, &load_config(&config.model)?, workers::count(device), device))
}

/// Refuses a run whose certain part exceeds the memory that is left, and warns of one that may exceed it. The
/// memory of devices other than the CPU is unknown; the run then logs the estimate.
pub(crate) fn check(
    config: &RunConfig,
    site: &RunSite,
    progress: &mut dyn Progress,
) -> Result<(), TrainError> {
    let model = load_config(&config.model)?;
    let others = left_out(&config.model)?;
    if !others.is_empty() {
        progress.line(&format!("model: the text model is trained, without {}", others.join(", ")));
    }
    check_cache(&model, &config.rollout, config.optimizer.precision, &site.device)?;
    let estimate = Estimate::of(config, &model, workers::count(&site.device), &site.device);
    let Some(left) = in_memory(&site.device).then(available).flatten() else {
        progress.line(&format!("memory: {estimate}"));
        return Ok(());
    };
    let (certain, total) = (size(estimate.certain()), size(estimate.total()));
    if estimate.certain() > left {
        let hint = match &config.optimizer.lora {
            Some(_) => "\n  hint: take a smaller model",
            None => "\n  hint: take a smaller model, or train an adapter (optimizer.lora)",
        };
        return Err(TrainError::Input(format!(
            "{}: training needs at least {certain} of memory, {} are left ({estimate}){hint}",
            config.model.display(),
            size(left)
        )));
    }
    if estimate.total() > left {
        progress.line(&format!(
            "memory: may need {total}, {} are left ({estimate})\n  \
             hint: lower optimizer.micro_batch_tokens, rollout.cache_mib or rollout.max_tokens; or optimizer.recompute",
            size(left)
        ));
    }
    Ok(())
}

/// Refuses a new model whose weights, gradients and moments exceed the memory that is left.
pub(crate) fn check_new(model: &ModelConfig, device: &Device) -> Result<(), TrainError> {
    let needed = (model.parameters() as u64).saturating_mul(4 * F32);
    match in_memory(device).then(available).flatten() {
        Some(left) if needed > left => Err(TrainError::Input(format!(
            "model.scratch: training needs at least {} of memory, {} are left\n  hint: take a smaller model",
            size(needed),
            size(left)
        ))),
        _ => Ok(()),
    }
}

/// Refuses rollouts if the cache can't hold a single trajectory.
pub(crate) fn check_cache(
    model: &ModelConfig,
    rollout: &RolloutConfig,
    precision: Precision,
    device: &Device,
) -> Result<(), TrainError> {
    let cache = CacheBudget::new(rollout.cache_mib, device);
    let element = element(precision).min(rollout.precision.cache_bytes() as u64);
    cache.sequences(model, element, rollout.max_tokens).map_err(TrainError::Input)?;
    Ok(())
}

/// Returns the bytes of a number that the sampler computes with.
fn element(precision: Precision) -> u64 {
    if precision == Precision::F32 { F32 } else { 2 }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use burn::module::Module;
    use turnwise_model::{LoraConfig, Transformer};

    use super::*;
    use crate::config::load;
    use crate::learn::activations::KEPT;
    use crate::learn::micro_batch;

    fn repository() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    #[test]
    fn parameters_are_those_that_models_have() {
        let device = crate::device::backend::device(Some("flex")).unwrap();
        for folder in [
            "models/tiny",
            "tests/golden/model/llama",
            "tests/golden/model/llama-bias",
            "tests/golden/model/qwen2",
            "tests/golden/model/qwen3",
            "tests/golden/model/olmo2",
            "tests/golden/model/gemma3",
            "tests/golden/model/phi3",
            "tests/golden/model/glm4",
            "tests/golden/model/hunyuan",
            "tests/golden/model/qwen3_moe",
            "tests/golden/model/olmoe",
        ] {
            let config = load_config(&repository().join(folder)).unwrap();
            let model = Transformer::random(&config, 0, &device);
            assert_eq!(config.parameters(), model.num_params(), "{folder}");
            let lora = LoraConfig { rank: 3, ..LoraConfig::default() };
            let adapted = model.clone().with_adapter(&lora, 0);
            let more = adapted.num_params() - model.num_params();
            assert_eq!(lora.parameters(&config), more, "{folder}");
        }
    }

    #[test]
    fn what_changes_memory_changes_the_estimate() {
        let file = repository().join("configs/tiny.toml");
        let model = load_config(&repository().join("models/tiny")).unwrap();
        let device = crate::device::backend::device(Some("flex")).unwrap();
        let estimate = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
            Estimate::of(&load(Some(&file), &[], &sets).unwrap(), &model, 2, &device)
        };
        let base = estimate(&[]);
        assert_eq!((base.gradients, base.moments), (2 * base.weights, 2 * base.weights));
        // At most one worker per micro-batch holds gradients.
        let config: RunConfig = load(Some(&file), &[], &[]).unwrap();
        for workers in [3, 100, 1000] {
            let batches = micro_batch::plan(&[320; 128], config.optimizer.micro_batch_tokens, workers, true);
            let busy = batches.len().min(workers) as u64;
            let found = Estimate::of(&config, &model, workers, &device);
            assert_eq!(found.gradients, busy * base.weights, "{workers} workers");
        }
        assert_eq!(base.reference, 0);
        // 128 trajectories of 320 tokens, 3 layers, keys and values of one head of 32, in f32.
        assert_eq!(base.kv_cache, 128 * 320 * 3 * 2 * 32 * 4);
        assert_eq!(estimate(&["loss.clip.beta=0.1"]).reference, base.weights);
        let lagged = |sets: &[&str]| estimate(&[sets, &["rollout.lag=1"]].concat());
        assert_eq!((base.ahead, lagged(&[]).ahead), (0, base.weights + base.copy));
        assert_eq!(lagged(&[]).certain(), base.certain(), "the play may end before there is a gradient");
        assert_eq!(lagged(&[]).total(), base.total() + base.weights + base.copy);
        let lora = ["optimizer.lora.rank=2"];
        let adapter = estimate(&lora);
        assert_eq!(lagged(&lora).ahead, adapter.moments / 2 + adapter.gradients, "the base is shared");
        let smaller = |sets: &[&str], part: fn(&Estimate) -> u64| {
            assert!(part(&estimate(sets)) < part(&base), "{sets:?}");
        };
        smaller(&["optimizer.lora.rank=2"], Estimate::certain);
        smaller(&["optimizer.recompute=true"], |e| e.activations);
        smaller(&["optimizer.micro_batch_tokens=512"], |e| e.logits + e.activations);
        // Unless set, a small model recomputes nothing, and a deep one keeps what fits.
        let activations = |recompute: Option<bool>, layers: usize| {
            let mut config: RunConfig = load(Some(&file), &[], &[]).unwrap();
            config.optimizer.recompute = recompute;
            let model = ModelConfig { layers: vec![model.layers.clone(); layers].concat(), ..model.clone() };
            Estimate::of(&config, &model, 2, &device).activations
        };
        assert_eq!(activations(None, 1), activations(Some(false), 1));
        let (some, [none, all]) =
            (activations(None, 200), [true, false].map(|each| activations(Some(each), 200)));
        assert!(none < some && some < all, "{none}, {some} and {all} bytes");
        assert!(some - none <= 2 * KEPT, "{} more than nothing kept", some - none);
        smaller(&["rollout.samples=4"], |e| e.kv_cache);
        smaller(&["rollout.precision=bf16"], |e| e.copy);
        smaller(&["rollout.precision=bf16"], |e| e.kv_cache);
        assert_eq!(estimate(&["rollout.cache_mib=3"]).kv_cache, 3 << 20);
        assert!(available().unwrap() > 1 << 20, "this machine has memory");
    }
}
