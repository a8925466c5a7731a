//! Describes a block, for all code that computes or stores it.
//!
//! Burn's graph, the fused passes and the decoder on the CPU read it, and so do the memory estimate, LoRA,
//! and the names of tensors on disk.

use crate::rope_config::RopeConfig;

/// Describes one block: `x += attention(x)`, then `x += mlp(x)`, with norms in the places of `norms`.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockConfig {
    /// Places of the norms.
    pub norms: BlockNorms,
    /// Attention.
    pub attention: AttentionConfig,
    /// Feed-forward layer.
    pub mlp: MlpConfig,
    /// Factor of both outputs before they are added to the residual stream: 1, except in Granite.
    pub residual_scale: f64,
}

/// Names the places where a block has a norm, by the norms' names on disk. A place without a name has no
/// norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockNorms {
    /// Normalises the input of attention.
    pub before_attention: Option<&'static str>,
    /// Normalises the output of attention, before it is added to the residual stream.
    pub after_attention: Option<&'static str>,
    /// Normalises the input of the feed-forward layer.
    pub before_mlp: Option<&'static str>,
    /// Normalises the output of the feed-forward layer, before it is added to the residual stream.
    pub after_mlp: Option<&'static str>,
}

impl BlockNorms {
    /// Norms of the inputs, as in Llama.
    pub const PRE: Self = Self {
        before_attention: Some("input_layernorm"),
        after_attention: None,
        before_mlp: Some("post_attention_layernorm"),
        after_mlp: None,
    };

    /// Norms of inputs and outputs, as in Gemma 2 and 3.
    pub const AROUND: Self = Self {
        before_attention: Some("input_layernorm"),
        after_attention: Some("post_attention_layernorm"),
        before_mlp: Some("pre_feedforward_layernorm"),
        after_mlp: Some("post_feedforward_layernorm"),
    };

    /// Norms of the outputs, as in OLMo 2.
    pub const POST: Self = Self {
        before_attention: None,
        after_attention: Some("post_attention_layernorm"),
        before_mlp: None,
        after_mlp: Some("post_feedforward_layernorm"),
    };

    /// Returns the number of norms.
    pub fn count(&self) -> usize {
        self.names().into_iter().flatten().count()
    }

    /// Returns the name on disk of the norm in a field of the network's block.
    pub(crate) fn name_of(&self, field: &str) -> Option<&'static str> {
        let at = NORM_FIELDS.iter().position(|known| *known == field)?;
        self.names()[at]
    }

    fn names(&self) -> [Option<&'static str>; 4] {
        [self.before_attention, self.after_attention, self.before_mlp, self.after_mlp]
    }
}

/// Fields of the network's block that hold norms, in the order of [`BlockNorms::names`].
const NORM_FIELDS: [&str; 4] = ["before_attention", "after_attention", "before_mlp", "after_mlp"];

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
    /// Whether q, k and v are one matrix on disk, in this order (Phi-3).
    pub fused: bool,
    /// RMSNorm of q and k.
    pub qk_norm: Option<QkNorm>,
    /// Factor of scores; unset, `1 / √D`.
    pub scale: Option<f64>,
    /// Bound of scores, `cap·tanh(score / cap)` (Gemma 2, arXiv:2408.00118 §2).
    pub softcap: Option<f64>,
    /// Tokens that a query sees, itself included; all before it without a window.
    pub window: Option<usize>,
    /// Rotary position embedding.
    pub rope: RopeConfig,
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

/// Chooses the function `x·σ(z(x))` of the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// SiLU: `z(x) = x` (SwiGLU).
    Silu,
    /// The approximation of GELU by tanh: `z(x) = 2·√(2/π)·(x + 0.044715·x³)` (Gemma).
    GeluTanh,
}

impl Activation {
    /// Factor of `x` in `z(x)` of [`GeluTanh`](Self::GeluTanh): `2·√(2/π)`.
    pub(crate) const LINEAR: f64 = 1.595_769_121_605_730_8;
    /// Factor of `x³` there.
    pub(crate) const CUBIC: f64 = 0.044_715 * Self::LINEAR;

    /// Returns `z(x)`.
    #[inline]
    pub(crate) fn inner(self, x: f32) -> f32 {
        match self {
            Self::Silu => x,
            Self::GeluTanh => x * (Self::LINEAR as f32 + Self::CUBIC as f32 * x * x),
        }
    }

    /// Returns `z'(x)`.
    #[inline]
    pub(crate) fn inner_slope(self, x: f32) -> f32 {
        match self {
            Self::Silu => 1.0,
            Self::GeluTanh => Self::LINEAR as f32 + 3.0 * Self::CUBIC as f32 * x * x,
        }
    }
}

/// Describes a feed-forward layer, `down(activation(gate(x)) ⊙ up(x))` (arXiv:2002.05202).
#[derive(Debug, Clone, PartialEq)]
pub struct MlpConfig {
    /// Width between the projections.
    pub width: usize,
    /// Biases on the projections (Llama's `mlp_bias`).
    pub bias: bool,
    /// Function of the gate.
    pub activation: Activation,
    /// Whether gate and up are one matrix on disk, in this order (Phi-3).
    pub fused: bool,
}

/// Describes the shape of a linear layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinearShape {
    /// Path below the block, as on disk: `self_attn.q_proj`.
    pub name: &'static str,
    /// Numbers per token that it reads.
    pub inputs: usize,
    /// Numbers per token that it returns.
    pub outputs: usize,
    /// Whether it adds a bias.
    pub bias: bool,
}

impl LinearShape {
    /// Returns the number of weights.
    pub fn weights(&self) -> usize {
        self.inputs * self.outputs
    }

    /// Returns the last part of the name, which LoRA's targets go by: `q_proj`.
    pub fn target(&self) -> &'static str {
        target(self.name)
    }
}

/// Returns the last part of a layer's path.
pub(crate) fn target(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

impl BlockConfig {
    /// Describes a block with norms before attention and SwiGLU, and without biases.
    pub fn new(attention: AttentionConfig, mlp_width: usize) -> Self {
        let mlp = MlpConfig { width: mlp_width, bias: false, activation: Activation::Silu, fused: false };
        Self { norms: BlockNorms::PRE, attention, mlp, residual_scale: 1.0 }
    }

    /// Lists the linear layers of the block in a model with residual streams of `hidden` numbers.
    pub fn linears(&self, hidden: usize) -> Vec<LinearShape> {
        let (a, wide, mlp_bias) = (&self.attention, self.mlp.width, self.mlp.bias);
        let (query, key_value) = (a.query_width(), a.key_value_width());
        let mut all = Vec::with_capacity(7);
        let mut add = |name, inputs, outputs, bias| all.push(LinearShape { name, inputs, outputs, bias });
        if a.fused {
            add("self_attn.qkv_proj", hidden, query + 2 * key_value, a.qkv_bias);
        } else {
            add("self_attn.q_proj", hidden, query, a.qkv_bias);
            add("self_attn.k_proj", hidden, key_value, a.qkv_bias);
            add("self_attn.v_proj", hidden, key_value, a.qkv_bias);
        }
        add("self_attn.o_proj", query, hidden, a.output_bias);
        if self.mlp.fused {
            add("mlp.gate_up_proj", hidden, 2 * wide, mlp_bias);
        } else {
            add("mlp.gate_proj", hidden, wide, mlp_bias);
            add("mlp.up_proj", hidden, wide, mlp_bias);
        }
        add("mlp.down_proj", wide, hidden, mlp_bias);
        all
    }

    /// Counts the parameters of the block in a model with residual streams of `hidden` numbers.
    pub fn parameters(&self, hidden: usize) -> usize {
        let bias = |linear: &LinearShape| if linear.bias { linear.outputs } else { 0 };
        let linears: usize = self.linears(hidden).iter().map(|linear| linear.weights() + bias(linear)).sum();
        let qk_norms: usize = self.attention.qk_norm_widths().into_iter().flatten().sum();
        linears + qk_norms + self.norms.count() * hidden
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
            fused: false,
            qk_norm: None,
            scale: None,
            softcap: None,
            window: None,
            rope: RopeConfig::new(head_dim, 10_000.0),
        }
    }

    /// Returns the factor of scores.
    pub(crate) fn score_scale(&self) -> f64 {
        self.scale.unwrap_or_else(|| 1.0 / (self.head_dim as f64).sqrt())
    }

    /// Returns the width of all query heads of a token, `H·D`.
    pub fn query_width(&self) -> usize {
        self.query_heads * self.head_dim
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
    pub(crate) fn check(&self, largest: usize) -> Result<(), String> {
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
        for (name, number) in [("the scale of scores", self.scale), ("attn_logit_softcapping", self.softcap)]
        {
            if let Some(number) = number.filter(|number| !(number.is_finite() && *number > 0.0)) {
                return Err(format!("{name} = {number} is not a finite number above 0"));
            }
        }
        self.rope.check(self.head_dim)
    }
}
