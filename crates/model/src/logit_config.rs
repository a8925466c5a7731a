//! The settings of the arithmetic between the output matrix and the logits.

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
