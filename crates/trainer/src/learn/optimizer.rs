//! AdamW (arXiv:1711.05101) with warm-up and clipping by the gradient's global norm.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use turnwise_files::own;
use turnwise_model::Transformer;
use turnwise_ranks::{Alone, Ranks};
use turnwise_run::checkpoint::OPTIMIZER;

use crate::config::OptimizerConfig;
use crate::learn::exchange::{share_weights, sum_at_owners};
use crate::learn::gradients::{global_norm, root_of_sum, scale, squares, take, weight_norm};
use crate::learn::slots::{Parameter, owner, parameters, used};

/// Holds the optimizer's state and schedule.
pub struct Optimizer {
    /// The moments of this rank's slots, by slot.
    adamw: BTreeMap<usize, ModuleOptimizer>,
    config: OptimizerConfig,
    ranks: Arc<dyn Ranks>,
    /// Time of talking to other ranks since it was last asked for.
    exchange: Duration,
    /// Updates made so far.
    updates: usize,
    /// Updates over which a cosine lowers the learning rate to a tenth; unset, it stays constant.
    horizon: Option<usize>,
}

/// Holds the norms and the learning rate of an update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Update {
    /// Global norm of the gradient before clipping.
    pub grad_norm: f64,
    /// Learning rate used.
    pub lr: f64,
    /// Global norm of the weights after the update.
    pub weight_norm: f64,
}

impl Optimizer {
    /// Returns a new optimizer, whose learning rate is constant after warm-up.
    pub fn new(config: &OptimizerConfig) -> Self {
        let (adamw, ranks) = (BTreeMap::new(), Arc::new(Alone));
        let exchange = Duration::ZERO;
        Self { adamw, config: config.clone(), ranks, exchange, updates: 0, horizon: None }
    }

    /// Shares its work with other ranks: each has the moments of some parameters.
    #[must_use]
    pub fn among(self, ranks: Arc<dyn Ranks>) -> Self {
        Self { ranks, ..self }
    }

    /// Lets the learning rate fall to a tenth along a cosine that ends after `updates`.
    #[must_use]
    pub fn with_cosine(mut self, updates: usize) -> Self {
        self.horizon = Some(updates);
        self
    }

    /// Returns the learning rate of the next update.
    pub fn lr(&self) -> f64 {
        let warm = ((self.updates + 1) as f64 / self.config.warmup.max(1) as f64).min(1.0);
        let decay = self.horizon.map_or(1.0, |horizon| {
            let done = (self.updates as f64 / horizon.max(1) as f64).min(1.0);
            0.55 + 0.45 * (std::f64::consts::PI * done).cos()
        });
        self.config.lr * warm * decay
    }

    /// Clips the gradient and updates the weights. A gradient with NaN or infinity changes nothing: weights
    /// and moments would never recover. `gradients` are those of this rank's micro-batches, and the weights
    /// are those of all ranks.
    pub fn step(&mut self, model: Transformer, mut gradients: GradientsParams) -> (Transformer, Update) {
        let parameters = self.parameters(&model);
        if self.ranks.size() > 1 {
            let clock = Instant::now();
            gradients = sum_at_owners(&*self.ranks, &parameters, &model, gradients);
            self.exchange += clock.elapsed();
        }
        let grad_norm = self.norm(&parameters, &model, &gradients);
        let limit = self.config.clip_norm;
        if limit > 0.0 && grad_norm > limit {
            scale(&model, &mut gradients, limit / grad_norm);
        }
        let lr = self.lr();
        let model = if grad_norm.is_finite() {
            self.updates += 1;
            self.update(&parameters, model, gradients, lr)
        } else {
            model
        };
        let weight_norm = weight_norm(&model);
        (model, Update { grad_norm, lr, weight_norm })
    }

    /// Returns the norm of the whole gradient. A rank has the part of its parameters.
    fn norm(&self, parameters: &[Parameter], model: &Transformer, gradients: &GradientsParams) -> f64 {
        if self.ranks.size() == 1 {
            return global_norm(model, gradients);
        }
        let places: HashMap<_, _> = parameters.iter().enumerate().map(|(at, p)| (p.id, at as u32)).collect();
        let of_mine = |(id, square): (_, f32)| [places[&id].to_le_bytes(), square.to_le_bytes()].concat();
        let mine = squares(model, gradients).into_iter().flat_map(of_mine).collect();
        let all = self.ranks.gather_all(mine);
        let read = |pair: &[u8; 8]| {
            let [a, b, c, d, e, f, g, h] = *pair;
            (u32::from_le_bytes([a, b, c, d]), f32::from_le_bytes([e, f, g, h]))
        };
        let mut all: Vec<(u32, f32)> = all.iter().flat_map(|part| part.as_chunks().0).map(read).collect();
        all.sort_by_key(|(place, _)| *place);
        root_of_sum(all.into_iter().map(|(_, square)| square))
    }

    fn update(
        &mut self,
        parameters: &[Parameter],
        mut model: Transformer,
        mut gradients: GradientsParams,
        lr: f64,
    ) -> Transformer {
        let slot_of: HashMap<_, _> = parameters.iter().map(|p| (p.id, p.slot)).collect();
        for slot in self.mine(parameters) {
            let part = take(&model, &mut gradients, |id| slot_of.get(&id) == Some(&slot));
            let adamw = self.adamw.entry(slot).or_insert_with(|| adamw(&self.config));
            model = adamw.step(lr, model, part);
        }
        assert!(gradients.is_empty(), "every trained parameter has a slot of this rank");
        if self.ranks.size() > 1 {
            let clock = Instant::now();
            model = share_weights(&*self.ranks, parameters, model);
            self.exchange += clock.elapsed();
        }
        model
    }

    fn parameters(&self, model: &Transformer) -> Vec<Parameter> {
        parameters(model, self.slots(), self.config.lora.is_some())
    }

    fn slots(&self) -> usize {
        self.config.shards.unwrap_or(1)
    }

    /// Returns this rank's slots.
    fn mine(&self, parameters: &[Parameter]) -> Vec<usize> {
        let (rank, size) = (self.ranks.rank(), self.ranks.size());
        used(parameters).filter(|&slot| owner(slot, size) == rank).collect()
    }

    /// Returns the time of talking to other ranks since the last call; none without them.
    pub(crate) fn take_exchange(&mut self) -> Option<Duration> {
        let exchange = std::mem::take(&mut self.exchange);
        (self.ranks.size() > 1).then_some(exchange)
    }

    /// Returns the number of updates so far.
    pub fn updates(&self) -> usize {
        self.updates
    }

    /// Restores the moments of a checkpoint that was written after `updates` updates of `model`, by any
    /// number of ranks.
    ///
    /// # Errors
    /// If a file can't be read, or the moments are in other slots.
    pub fn resume(mut self, folder: &Path, model: &Transformer, updates: usize) -> Result<Self, String> {
        for slot in self.mine(&self.parameters(model)) {
            let path = folder.join(file(slot, self.slots()));
            if !path.exists() {
                return Err(format!(
                    "{}: is missing: the moments in {} were written with other optimizer.shards\n  \
                     hint: a run keeps the shards that it began with",
                    path.display(),
                    folder.display()
                ));
            }
            let failed = |e| format!("{}: cannot read optimizer state: {e:?}", path.display());
            self.adamw.insert(slot, adamw(&self.config).load(&path).map_err(failed)?);
        }
        self.updates = updates;
        Ok(self)
    }

    /// Writes the moments of `model` for a checkpoint, a file for each slot. All ranks call it together, and
    /// only rank 0 writes: `folder` is none elsewhere, and where nothing can be written any more.
    ///
    /// # Errors
    /// If a file can't be written.
    pub fn save(&self, model: &Transformer, folder: Option<&Path>) -> Result<(), String> {
        let mut result = Ok(());
        for slot in used(&self.parameters(model)) {
            let owner = owner(slot, self.ranks.size());
            let mine = owner == self.ranks.rank();
            let path = folder.map(|folder| folder.join(file(slot, self.slots())));
            let failed = |path: &Path, e: &dyn std::fmt::Display| {
                format!("{}: cannot write optimizer state: {e}", path.display())
            };
            let fresh = adamw(&self.config);
            let moments = self.adamw.get(&slot).unwrap_or(&fresh);
            if owner == 0 {
                if let (Some(path), Ok(())) = (path, &result) {
                    result = moments.save(&path).map_err(|e| failed(&path, &format!("{e:?}")));
                }
                continue;
            }
            // A rank whose moments can't be told tells nothing, and rank 0 says so.
            let told = if mine { moments.into_bytes().map(|bytes| bytes.to_vec()).ok() } else { None };
            let bytes = self.ranks.hand_over(owner, told.unwrap_or_default());
            if let (Some(path), Ok(())) = (path, &result) {
                let written = if bytes.is_empty() {
                    Err(std::io::Error::other(format!("rank {owner} has none")))
                } else {
                    own::write(&path, &bytes)
                };
                result = written.map_err(|e| failed(&path, &e));
            }
        }
        result
    }
}

fn adamw(config: &OptimizerConfig) -> ModuleOptimizer {
    AdamWConfig::new()
        .with_beta_1(config.beta1 as f32)
        .with_beta_2(config.beta2 as f32)
        .with_epsilon(1e-8)
        .with_weight_decay(config.weight_decay as f32)
        .init()
}

/// Returns the name of a slot's file.
fn file(slot: usize, slots: usize) -> String {
    if slots == 1 { OPTIMIZER.into() } else { format!("optimizer-{:05}-of-{slots:05}.bpk", slot + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_up_then_cosine_to_a_tenth() {
        let config = OptimizerConfig { lr: 1.0, warmup: 4, ..OptimizerConfig::default() };
        let mut optimizer = Optimizer::new(&config).with_cosine(100);
        assert!((optimizer.lr() - 0.25).abs() < 1e-9);
        optimizer.updates = 50;
        assert!((optimizer.lr() - 0.55).abs() < 1e-9);
        optimizer.updates = 100;
        assert!((optimizer.lr() - 0.1).abs() < 1e-9);
    }
}
