//! The arithmetic between the output matrix and the logits.

use burn::tensor::Tensor;

use crate::cpu::simd::bound;

/// Divides scores over the vocabulary and bounds them: `logits = cap·tanh(score / divisor / cap)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogitConfig {
    /// The divisor, 1 in most families (Granite's `logits_scaling`).
    pub divisor: f64,
    /// The bound, if there is one (Gemma 2, arXiv:2408.00118 §2).
    pub softcap: Option<f64>,
}

impl Default for LogitConfig {
    fn default() -> Self {
        Self { divisor: 1.0, softcap: None }
    }
}

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

    /// Checks the numbers. Returns the fault, with the value.
    pub(crate) fn check(&self) -> Result<(), String> {
        let positive = |name: &str, number: f64| {
            if number.is_finite() && number > 0.0 {
                return Ok(());
            }
            Err(format!("{name} = {number} is not a finite number above 0"))
        };
        positive("logits_scaling", self.divisor)?;
        self.softcap.map_or(Ok(()), |cap| positive("final_logit_softcapping", cap))
    }
}
