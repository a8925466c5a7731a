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
    /// NTK-aware with a fixed base, `θ·alpha^(D/(D-2))` (Hunyuan).
    FixedNtk {
        /// The factor `alpha`.
        alpha: f64,
    },
    /// YaRN (arXiv:2309.00071 eq. 22-24).
    Yarn(Yarn),
    /// LongRoPE (arXiv:2402.13753): a divisor for every frequency, in two sets.
    LongRope(LongRope),
}

/// Configures LongRoPE. A sequence has one set of divisors, chosen by its length, so the sampler stays within
/// the original context: cached keys would keep the shorter set.
#[derive(Debug, Clone, PartialEq)]
pub struct LongRope {
    /// Divisors of sequences within the original context.
    pub short: Vec<f64>,
    /// Divisors of longer sequences.
    pub long: Vec<f64>,
    /// Context length of pre-training, in tokens.
    pub original_max_position: usize,
    /// Factor of cosines and sines.
    pub attention_factor: f64,
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

/// Configures the rotary position embedding (arXiv:2104.09864).
#[derive(Debug, Clone, PartialEq)]
pub struct RopeConfig {
    /// Numbers at the beginning of each head that are rotated, an even number. At 0 the layer has no
    /// positions (NoPE).
    pub rotated: usize,
    /// Whether a pair is two neighbours, instead of entries of the first and of the second half.
    pub interleaved: bool,
    /// Scales queries by their position, if any does.
    pub query_growth: Option<QueryGrowth>,
    /// Base of the geometric frequency series.
    pub theta: f64,
    /// Stretching beyond the trained context, if any.
    pub scaling: Option<RopeScaling>,
}

/// Multiplies the query at position `t` by `1 + beta·ln(1 + ⌊t / period⌋)` (Ministral 3).
#[derive(Debug, Clone, PartialEq)]
pub struct QueryGrowth {
    /// The factor `beta`.
    pub beta: f64,
    /// Tokens after which the factor grows.
    pub period: usize,
}

impl QueryGrowth {
    /// Returns the factor at a position.
    pub(crate) fn at(&self, position: usize) -> f64 {
        1.0 + self.beta * ((1 + position / self.period) as f64).ln()
    }
}

impl RopeConfig {
    /// Describes the rotation of the first `rotated` numbers of each head, with the base `theta`.
    pub fn new(rotated: usize, theta: f64) -> Self {
        Self { rotated, interleaved: false, query_growth: None, theta, scaling: None }
    }

    /// Checks that every frequency is a finite number above 0.
    pub(crate) fn check(&self, head_dim: usize) -> Result<(), String> {
        let rotated = self.rotated;
        if rotated > head_dim {
            return Err(format!("{rotated} rotated numbers are more than head_dim = {head_dim}"));
        }
        if !rotated.is_multiple_of(2) {
            return Err(format!("partial_rotary_factor rotates {rotated} numbers, which are no pairs"));
        }
        if self.query_growth.as_ref().is_some_and(|growth| growth.period == 0 || !growth.beta.is_finite()) {
            return Err("llama_4_scaling_beta needs a finite number and a context of at least 1".into());
        }
        if !(self.theta > 1.0 && self.theta.is_finite()) {
            return Err(format!("rope_theta = {} is not a finite number above 1", self.theta));
        }
        self.scaling.as_ref().map_or(Ok(()), |scaling| scaling.check(rotated))
    }
}

impl RopeScaling {
    /// Checks the numbers of a scaling of `rotated` dimensions.
    fn check(&self, rotated: usize) -> Result<(), String> {
        let factor = |factor: f64| {
            if factor >= 1.0 && factor.is_finite() {
                Ok(())
            } else {
                Err(format!("rope scaling: factor = {factor} is not a finite number of at least 1"))
            }
        };
        match self {
            Self::Linear { factor: by } => factor(*by),
            Self::Dynamic { factor: by, .. } => {
                if rotated == 2 {
                    return Err("rope scaling \"dynamic\" needs a head_dim above 2".into());
                }
                factor(*by)
            }
            Self::FixedNtk { alpha } => {
                if rotated == 2 {
                    return Err("rope scaling \"dynamic\" needs a head_dim above 2".into());
                }
                positive("alpha", *alpha)
            }
            Self::LongRope(long) => long.check(rotated / 2),
            Self::Llama3 {
                factor: by,
                low_freq_factor: low,
                high_freq_factor: high,
                original_max_position,
            } => {
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
            Self::Yarn(yarn) => {
                factor(yarn.factor)?;
                positive("beta_fast", yarn.beta_fast)?;
                positive("beta_slow", yarn.beta_slow)?;
                positive("attention_factor", yarn.attention_factor)?;
                positive("original_max_position_embeddings", yarn.original_max_position as f64)
            }
        }
    }
}

impl LongRope {
    /// Checks the numbers for this many pairs of rotated dimensions.
    fn check(&self, pairs: usize) -> Result<(), String> {
        for (name, divisors) in [("short_factor", &self.short), ("long_factor", &self.long)] {
            if divisors.len() != pairs {
                let count = divisors.len();
                return Err(format!("rope scaling: {name} has {count} numbers for {pairs} pairs"));
            }
            divisors.iter().try_for_each(|divisor| positive(name, *divisor))?;
        }
        positive("attention_factor", self.attention_factor)?;
        positive("original_max_position_embeddings", self.original_max_position as f64)
    }
}

fn positive(name: &str, value: f64) -> Result<(), String> {
    if value > 0.0 && value.is_finite() {
        Ok(())
    } else {
        Err(format!("rope scaling: {name} = {value} is not a finite number above 0"))
    }
}
