//! The arithmetic between the output matrix and the logits.

use burn::tensor::Tensor;

use crate::cpu::simd::bound;
use crate::logit_config::LogitConfig;

impl LogitConfig {
    /// Computes the logits of scores.
    pub(crate) fn apply(&self, scores: Tensor<2>) -> Tensor<2> {
        let scores = if self.divisor == 1.0 { scores } else { scores.div_scalar(self.divisor) };
        match self.softcap {
            Some(cap) => scores.div_scalar(cap).tanh().mul_scalar(cap),
            None => scores,
        }
    }

    /// Computes the logits of scores in place.
    pub(crate) fn apply_to(&self, scores: &mut [f32]) {
        if self.divisor != 1.0 {
            for score in &mut *scores {
                *score /= self.divisor as f32;
            }
        }
        if let Some(cap) = self.softcap.map(|cap| cap as f32) {
            bound(scores, cap);
        }
    }

    /// Returns the slopes of the bound where `logits` are its results, divided by `temperature`; none without
    /// a bound.
    pub(crate) fn slopes(&self, logits: &Tensor<2>, temperature: f64) -> Option<Tensor<2>> {
        let cap = self.softcap?;
        let bounded = logits.clone().mul_scalar(temperature / cap);
        Some(bounded.square().neg().add_scalar(1.0))
    }
}
