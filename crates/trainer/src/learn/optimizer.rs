//! AdamW (arXiv:1711.05101) with warm-up and clipping by the gradient's global norm.

use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use turnwise_model::Transformer;

use crate::config::OptimizerConfig;
use crate::learn::gradients::{global_norm, scale, weight_norm};

/// Holds the optimizer's state and schedule.
pub struct Optimizer {
    adamw: ModuleOptimizer,
    config: OptimizerConfig,
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
        let adamw = AdamWConfig::new()
            .with_beta_1(config.beta1 as f32)
            .with_beta_2(config.beta2 as f32)
            .with_epsilon(1e-8)
            .with_weight_decay(config.weight_decay as f32)
            .init();
        Self { adamw, config: config.clone(), updates: 0, horizon: None }
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
    /// and moments would never recover.
    pub fn step(&mut self, model: Transformer, mut gradients: GradientsParams) -> (Transformer, Update) {
        let grad_norm = global_norm(&model, &gradients);
        let limit = self.config.clip_norm;
        if limit > 0.0 && grad_norm > limit {
            scale(&model, &mut gradients, limit / grad_norm);
        }
        let lr = self.lr();
        let model = if grad_norm.is_finite() {
            self.updates += 1;
            self.adamw.step(lr, model, gradients)
        } else {
            model
        };
        let weight_norm = weight_norm(&model);
        (model, Update { grad_norm, lr, weight_norm })
    }

    /// Returns the number of updates so far.
    pub fn updates(&self) -> usize {
        self.updates
    }

    /// Restores the moments of a checkpoint that was written after `updates` updates.
    pub fn resume(mut self, path: &std::path::Path, updates: usize) -> Result<Self, String> {
        let failed = |e| format!("{}: cannot read optimizer state: {e:?}", path.display());
        self.adamw = self.adamw.load(path).map_err(failed)?;
        self.updates = updates;
        Ok(self)
    }

    /// Writes the moments for a checkpoint.
    pub fn save(&self, path: &std::path::Path) -> Result<(), String> {
        self.adamw.save(path).map_err(|e| format!("{}: cannot write optimizer state: {e:?}", path.display()))
    }
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
