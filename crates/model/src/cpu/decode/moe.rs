//! A mixture of experts (arXiv:1701.06538 eq. 1).

use super::kernels::add_scaled;
use super::mlp::HostMlp;
use super::precision::HostPrecision;
use super::weights::{Affine, affine};
use crate::block::{ExpertsConfig, MlpConfig};
use crate::cpu::simd::Cpu;
use crate::layers::moe::Moe;

/// Holds the weights of a router and its experts. The router's are f32: rounding would choose other experts.
#[derive(Debug)]
pub(super) struct HostMoe {
    config: ExpertsConfig,
    router: Affine,
    experts: Vec<HostMlp>,
}

impl HostMoe {
    pub(super) fn new(mlp: &MlpConfig, config: &ExpertsConfig, moe: &Moe, precision: HostPrecision) -> Self {
        let experts = moe.experts.iter().map(|expert| HostMlp::new(mlp, expert, precision)).collect();
        Self { config: *config, router: affine(&moe.gate, HostPrecision::F32), experts }
    }

    /// Feeds every expert its tokens together. The experts add to a token in their order, so its sum doesn't
    /// depend on other tokens.
    ///
    /// # Shapes
    /// - `h`: `[N, hidden]` → the same
    pub(super) fn forward(&self, cpu: Cpu, h: &[f32]) -> Vec<f32> {
        let scores = self.router.apply(cpu, h);
        let width = h.len() * self.config.count / scores.len();
        let mut pairs: Vec<Vec<(usize, f32)>> = vec![Vec::new(); self.config.count];
        for (token, scores) in scores.chunks_exact(self.config.count).enumerate() {
            for (expert, weight) in self.weights(scores) {
                pairs[expert].push((token * width, weight));
            }
        }
        let mut y = vec![0.0; h.len()];
        for (expert, pairs) in self.experts.iter().zip(pairs).filter(|(_, pairs)| !pairs.is_empty()) {
            let fed: Vec<&[f32]> = pairs.iter().map(|(at, _)| &h[*at..][..width]).collect();
            let outputs = expert.forward(cpu, &fed.concat());
            for ((at, weight), output) in pairs.into_iter().zip(outputs.chunks_exact(width)) {
                add_scaled(&mut y[at..][..width], output, f64::from(weight));
            }
        }
        y
    }

    /// Returns the experts of a token and their weights.
    fn weights(&self, scores: &[f32]) -> Vec<(usize, f32)> {
        let chosen = self.config.choose(scores);
        let highest = scores[chosen[0]];
        let exp = |score: f32| (score - highest).exp();
        let sum: f32 = if self.config.normalised {
            chosen.iter().map(|&expert| exp(scores[expert])).sum()
        } else {
            scores.iter().map(|&score| exp(score)).sum()
        };
        chosen.into_iter().map(|expert| (expert, exp(scores[expert]) / sum)).collect()
    }
}
