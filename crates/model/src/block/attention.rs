//! The settings of attention.

use super::linear_shape::LinearShape;
use crate::rope_config::RopeConfig;

/// Describes causal attention with grouped queries (arXiv:2305.13245).
///
/// `query_heads / key_value_heads` query heads share one key/value head.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionConfig {
    /// Query heads, `H`.
    pub query_heads: usize,
    /// Key/value heads, `K`.
    pub key_value_heads: usize,
    /// Size of each head, `D`; may differ from `hidden_size / query_heads`.
    pub head_dim: usize,
    /// Biases on the q, k and v projections (Qwen2).
    pub qkv_bias: bool,
    /// A bias on the output projection (Llama, Qwen3 and OLMo 2 with `attention_bias`).
    pub output_bias: bool,
    /// Layout of the projections of q, k and v.
    pub projection: Projection,
    /// RMSNorm of q and k.
    pub qk_norm: Option<QkNorm>,
    /// Bound of queries, keys and values after their norms (OLMoE).
    pub clip: Option<f64>,
    /// Factor of scores; unset, `1 / √D`.
    pub scale: Option<f64>,
    /// Bound of scores, `cap·tanh(score / cap)` (Gemma 2, arXiv:2408.00118 §2).
    pub softcap: Option<f64>,
    /// Tokens that a query sees, itself included; all before it without a window.
    pub window: Option<usize>,
    /// Rotary position embedding.
    pub rope: RopeConfig,
}

/// Chooses the layout of the projections of q, k and v.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Projection {
    /// One matrix each.
    Separate,
    /// One matrix of all three, in this order (Phi-3).
    Fused,
    /// One matrix each, where that of q has a gate after each head's query: `o ⊙ σ(gate)` (Qwen3.5).
    Gated,
}

/// Chooses the entries that one norm of q and k covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QkNorm {
    /// Each head, by its mean square; heads share the weights, `[D]` (Qwen3).
    PerHead,
    /// All heads together, by one mean square; weights are `[H·D]` and `[K·D]` (OLMo 2).
    FullWidth,
    /// Each head after its rotation; heads share the weights, `[D]` (Hunyuan).
    PerHeadRotated,
}

impl QkNorm {
    /// Returns the names on disk of the norms of q and of k.
    pub(crate) fn names(self) -> [&'static str; 2] {
        match self {
            Self::PerHead | Self::FullWidth => ["q_norm", "k_norm"],
            Self::PerHeadRotated => ["query_layernorm", "key_layernorm"],
        }
    }
}

impl AttentionConfig {
    /// Describes attention without biases, norms of q and k, caps, or a window; θ is 10,000.
    pub fn new(query_heads: usize, key_value_heads: usize, head_dim: usize) -> Self {
        Self {
            query_heads,
            key_value_heads,
            head_dim,
            qkv_bias: false,
            output_bias: false,
            projection: Projection::Separate,
            qk_norm: None,
            clip: None,
            scale: None,
            softcap: None,
            window: None,
            rope: RopeConfig::new(head_dim, 10_000.0),
        }
    }

    /// Lists the linear layers.
    pub(super) fn linears(&self, hidden: usize) -> Vec<LinearShape> {
        let (query, key_value) = (self.query_width(), self.key_value_width());
        let read = |name, outputs| LinearShape { name, inputs: hidden, outputs, bias: self.qkv_bias };
        let mut all = if self.projection == Projection::Fused {
            vec![read("self_attn.qkv_proj", query + 2 * key_value)]
        } else {
            vec![
                read("self_attn.q_proj", self.projected_width()),
                read("self_attn.k_proj", key_value),
                read("self_attn.v_proj", key_value),
            ]
        };
        let (inputs, bias) = (query, self.output_bias);
        all.push(LinearShape { name: "self_attn.o_proj", inputs, outputs: hidden, bias });
        all
    }

    /// Returns the factor of scores.
    pub(crate) fn score_scale(&self) -> f64 {
        self.scale.unwrap_or_else(|| 1.0 / (self.head_dim as f64).sqrt())
    }

    /// Returns the width of all query heads of a token, `H·D`.
    pub fn query_width(&self) -> usize {
        self.query_heads * self.head_dim
    }

    /// Returns whether the q projection has a gate of the output after each head's query.
    pub fn is_gated(&self) -> bool {
        self.projection == Projection::Gated
    }

    /// Returns the width of the q projection, which a gate doubles.
    pub fn projected_width(&self) -> usize {
        if self.is_gated() { 2 * self.query_width() } else { self.query_width() }
    }

    /// Returns the width of all key (or value) heads of a token, `K·D`.
    pub fn key_value_width(&self) -> usize {
        self.key_value_heads * self.head_dim
    }

    /// Returns the widths of the norms of q and of k.
    pub(crate) fn qk_norm_widths(&self) -> [Option<usize>; 2] {
        match self.qk_norm {
            None => [None; 2],
            Some(QkNorm::PerHead | QkNorm::PerHeadRotated) => [Some(self.head_dim); 2],
            Some(QkNorm::FullWidth) => [Some(self.query_width()), Some(self.key_value_width())],
        }
    }

    /// Returns the range of positions from the oldest key that a query sees to the query itself.
    pub(crate) fn visible(&self, query: usize) -> std::ops::Range<usize> {
        self.window.map_or(0, |window| (query + 1).saturating_sub(window))..query + 1
    }

    /// Checks the sizes. The error says which is wrong, with the value.
    pub(super) fn check(&self, largest: usize) -> Result<(), String> {
        within("num_attention_heads", self.query_heads, largest)?;
        within("num_key_value_heads", self.key_value_heads, largest)?;
        within("head_dim", self.head_dim, largest)?;
        if self.query_width() > largest {
            return Err(format!(
                "{} attention heads of size {} are more than {largest} numbers",
                self.query_heads, self.head_dim
            ));
        }
        if !self.query_heads.is_multiple_of(self.key_value_heads) {
            return Err(format!(
                "num_attention_heads = {} is not a multiple of num_key_value_heads = {}",
                self.query_heads, self.key_value_heads
            ));
        }
        if !self.head_dim.is_multiple_of(2) {
            return Err(format!("head_dim = {} is odd; the rotary embedding needs pairs", self.head_dim));
        }
        if self.window == Some(0) {
            return Err("sliding_window = 0 lets no token see any".into());
        }
        for (name, number) in [
            ("the scale of scores", self.scale),
            ("attn_logit_softcapping", self.softcap),
            ("clip_qkv", self.clip),
        ] {
            if let Some(number) = number.filter(|number| !(number.is_finite() && *number > 0.0)) {
                return Err(format!("{name} = {number} is not a finite number above 0"));
            }
        }
        self.rope.check(self.head_dim)
    }
}

/// Checks that a size is at least 1, and not one of a damaged file.
pub(crate) fn within(name: &str, value: usize, limit: usize) -> Result<(), String> {
    if value == 0 || value > limit {
        return Err(format!("{name} = {value} is not between 1 and {limit}"));
    }
    Ok(())
}
