//! Settings of the rotary position embedding.

/// Stretches positions beyond the trained context.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    /// Divides every frequency by the factor.
    Linear {
        /// The factor.
        factor: f64,
    },
    /// Llama 3.1: divides low frequencies by the factor and keeps high ones, with a ramp between.
    Llama3 {
        /// The factor.
        factor: f64,
        /// Wavelengths above `original / low_freq_factor` are scaled.
        low_freq_factor: f64,
        /// Wavelengths below `original / high_freq_factor` are kept.
        high_freq_factor: f64,
        /// Context length of pre-training, in tokens.
        original_max_position: usize,
    },
    /// NTK-aware: the base grows with the length of the sequence beyond the trained context. The sampler
    /// stays within that context, because cached keys would keep the frequencies of a shorter sequence.
    Dynamic {
        /// The factor.
        factor: f64,
        /// Context length of pre-training, in tokens.
        original_max_position: usize,
    },
    /// YaRN (arXiv:2309.00071 eq. 22-24).
    Yarn(Yarn),
}

/// Configures YaRN: high frequencies stay, low ones are divided by the factor, and attention is sharpened.
#[derive(Debug, Clone, PartialEq)]
pub struct Yarn {
    /// The factor.
    pub factor: f64,
    /// Keeps dimensions that turn more often than this over the original context.
    pub beta_fast: f64,
    /// Divides dimensions that turn less often than this over the original context.
    pub beta_slow: f64,
    /// Context length of pre-training, in tokens.
    pub original_max_position: usize,
    /// Factor of cosines and sines: `0.1·ln(factor) + 1` unless the file says otherwise.
    pub attention_factor: f64,
    /// Whether the ramp begins and ends at whole dimensions.
    pub truncate: bool,
}

/// Configures the rotary position embedding (arXiv:2104.09864), rotate-half layout.
#[derive(Debug, Clone, PartialEq)]
pub struct RopeConfig {
    /// Base of the geometric frequency series.
    pub theta: f64,
    /// Stretching beyond the trained context, if any.
    pub scaling: Option<RopeScaling>,
}

impl RopeConfig {
    /// Checks that every frequency is a finite number above 0.
    pub(crate) fn check(&self, head_dim: usize) -> Result<(), String> {
        if !(self.theta > 1.0 && self.theta.is_finite()) {
            return Err(format!("rope_theta = {} is not a finite number above 1", self.theta));
        }
        let positive = |name: &str, value: f64| {
            if value > 0.0 && value.is_finite() {
                Ok(())
            } else {
                Err(format!("rope scaling: {name} = {value} is not a finite number above 0"))
            }
        };
        let factor = |factor: f64| {
            if factor >= 1.0 && factor.is_finite() {
                Ok(())
            } else {
                Err(format!("rope scaling: factor = {factor} is not a finite number of at least 1"))
            }
        };
        match &self.scaling {
            None => Ok(()),
            Some(RopeScaling::Linear { factor: by }) => factor(*by),
            Some(RopeScaling::Dynamic { factor: by, .. }) => {
                if head_dim == 2 {
                    return Err("rope scaling \"dynamic\" needs a head_dim above 2".into());
                }
                factor(*by)
            }
            Some(RopeScaling::Llama3 {
                factor: by,
                low_freq_factor: low,
                high_freq_factor: high,
                original_max_position,
            }) => {
                factor(*by)?;
                positive("low_freq_factor", *low)?;
                positive("high_freq_factor", *high)?;
                if low >= high {
                    return Err(format!(
                        "rope scaling: low_freq_factor = {low} is not below high_freq_factor = {high}"
                    ));
                }
                positive("original_max_position_embeddings", *original_max_position as f64)
            }
            Some(RopeScaling::Yarn(yarn)) => {
                factor(yarn.factor)?;
                positive("beta_fast", yarn.beta_fast)?;
                positive("beta_slow", yarn.beta_slow)?;
                positive("attention_factor", yarn.attention_factor)?;
                positive("original_max_position_embeddings", yarn.original_max_position as f64)
            }
        }
    }
}
