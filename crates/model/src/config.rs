//! Shape and switches of the transformer, independent of the family they came from.

use serde::{Deserialize, Serialize};

/// How positions are stretched beyond the trained context.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RopeScaling {
    /// Every frequency divided by the factor.
    Linear {
        /// The factor.
        factor: f64,
    },
    /// Llama 3.1: low frequencies divided by the factor, high ones kept, a ramp between.
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
    /// NTK-aware: beyond `max_position` the base grows with the length of the sequence. Within it nothing is scaled, and
    /// the sampler stays within it, because cached keys would keep the frequencies of a shorter sequence.
    Dynamic {
        /// The factor.
        factor: f64,
    },
    /// YaRN (arXiv:2309.00071 eq. 22-24).
    Yarn(Yarn),
}

/// YaRN: high frequencies kept, low ones divided by the factor, a ramp between, and attention made sharper.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Yarn {
    /// The factor.
    pub factor: f64,
    /// Dimensions that turn more often than this over the original context are kept.
    pub beta_fast: f64,
    /// Dimensions that turn less often than this over the original context are divided by the factor.
    pub beta_slow: f64,
    /// Context length of pre-training, in tokens.
    pub original_max_position: usize,
    /// Multiplies cosines and sines: `0.1·ln(factor) + 1` unless the file says otherwise.
    pub attention_factor: f64,
    /// Whether the ramp begins and ends at whole dimensions.
    pub truncate: bool,
}

/// Rotary position embedding (arXiv:2104.09864), rotate-half layout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RopeConfig {
    /// Base of the geometric frequency series.
    pub theta: f64,
    /// Stretching, if any.
    pub scaling: Option<RopeScaling>,
}

/// Everything that fixes the network's shape and arithmetic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// Entries of the vocabulary, `V`.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Number of blocks.
    pub num_layers: usize,
    /// Attention heads and their sizes.
    pub heads: Heads,
    /// `max_position_embeddings` of the file, in tokens; see [`context`](Self::context).
    pub max_position: usize,
    /// ε of every RMSNorm.
    pub norm_eps: f64,
    /// Rotary embedding.
    pub rope: RopeConfig,
    /// Output matrix = input embedding.
    pub tied_embeddings: bool,
    /// Biases on the three projections of the feed-forward layer (Llama's `mlp_bias`).
    pub mlp_bias: bool,
}

/// Attention heads. Query heads are grouped: `query / key_value` of them share one key/value head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heads {
    /// Query heads, `H`.
    pub query: usize,
    /// Key/value heads, `K`.
    pub key_value: usize,
    /// Size of each head, `D`; may differ from `hidden_size / query`.
    pub dim: usize,
    /// Biases on the q, k and v projections (Qwen2).
    pub qkv_bias: bool,
    /// A bias on the output projection too (Llama and Qwen3 with `attention_bias`).
    pub output_bias: bool,
    /// RMSNorm on each head of q and k before the rotation (Qwen3).
    pub qk_norm: bool,
    /// A query sees only this many tokens back, itself included (Mistral).
    pub sliding_window: Option<usize>,
}

/// Above these a `config.json` is taken for damaged or hostile rather than for a model.
const MAX_DIMENSION: usize = 1 << 20;
const MAX_LAYERS: usize = 1 << 10;
const MAX_CONTEXT: usize = MAX_DIMENSION << 8;

impl ModelConfig {
    /// Longest context in tokens: what the trained positions are stretched to. YaRN and linear scaling keep their
    /// frequencies whatever the length, so the factor counts in full; under [`RopeScaling::Dynamic`] cached keys would
    /// keep the frequencies of a shorter sequence.
    pub fn context(&self) -> usize {
        let stretched = match &self.rope.scaling {
            Some(RopeScaling::Yarn(yarn)) => yarn.original_max_position as f64 * yarn.factor,
            Some(RopeScaling::Linear { factor }) => self.max_position as f64 * factor,
            None | Some(RopeScaling::Llama3 { .. } | RopeScaling::Dynamic { .. }) => 0.0,
        };
        // A part of a token counts for nothing.
        self.max_position.max(stretched as usize)
    }

    /// Checks that the sizes describe a network. Returns what is wrong, with the value.
    pub fn check(&self) -> Result<(), String> {
        let h = &self.heads;
        for (name, value) in [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_attention_heads", h.query),
            ("num_key_value_heads", h.key_value),
            ("head_dim", h.dim),
            ("max_position_embeddings", self.max_position),
        ] {
            let limit = if name == "max_position_embeddings" { MAX_CONTEXT } else { MAX_DIMENSION };
            if value == 0 || value > limit {
                return Err(format!("{name} = {value} is not between 1 and {limit}"));
            }
        }
        if self.num_layers == 0 || self.num_layers > MAX_LAYERS {
            return Err(format!("num_hidden_layers = {} is not between 1 and {MAX_LAYERS}", self.num_layers));
        }
        if h.query.saturating_mul(h.dim) > MAX_DIMENSION {
            return Err(format!(
                "{} attention heads of size {} are more than {MAX_DIMENSION} numbers",
                h.query, h.dim
            ));
        }
        if !h.query.is_multiple_of(h.key_value) {
            return Err(format!(
                "num_attention_heads = {} is not a multiple of num_key_value_heads = {}",
                h.query, h.key_value
            ));
        }
        if !h.dim.is_multiple_of(2) {
            return Err(format!("head_dim = {} is odd; the rotary embedding needs pairs", h.dim));
        }
        if h.sliding_window == Some(0) {
            return Err("sliding_window = 0 lets no token see any".into());
        }
        if !(self.norm_eps > 0.0 && self.norm_eps < 1.0) {
            return Err(format!("rms_norm_eps = {} is not between 0 and 1", self.norm_eps));
        }
        if self.context() > MAX_CONTEXT {
            return Err(format!("rope scaling stretches the context to more than {MAX_CONTEXT} tokens"));
        }
        self.rope.check(h.dim)
    }
}

impl RopeConfig {
    /// Checks that every frequency is a finite number above 0.
    fn check(&self, head_dim: usize) -> Result<(), String> {
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
            Some(RopeScaling::Dynamic { factor: by }) => {
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
