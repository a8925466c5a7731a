//! The settings of a gated DeltaNet.

use super::attention::within;
use super::linear_shape::LinearShape;
use super::short_conv::check_taps;

/// Describes a gated DeltaNet (arXiv:2412.06464), linear attention whose state forgets and corrects.
///
/// `value_heads / key_heads` value heads share one head of queries and keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeltaNetConfig {
    /// Heads of queries and of keys, `K`.
    pub key_heads: usize,
    /// Heads of values, `V`.
    pub value_heads: usize,
    /// Size of a head of queries or keys, `dk`.
    pub key_dim: usize,
    /// Size of a head of values, `dv`.
    pub value_dim: usize,
    /// Tokens that the convolution of queries, keys and values sees, its own included.
    pub taps: usize,
}

/// The most numbers in the state of a layer.
const MAX_STATE: usize = 1 << 28;

/// Returns the logarithm of the factor of a head's state, `-exp(A_log)·softplus(a + dt_bias)`.
pub(crate) fn decay(a: f32, a_log: f32, dt_bias: f32) -> f32 {
    let x = a + dt_bias;
    -a_log.exp() * (x.max(0.0) + (-x.abs()).exp().ln_1p())
}

impl DeltaNetConfig {
    /// Added to the squared length of queries and keys before their normalisation.
    pub(crate) const EPSILON: f64 = 1e-6;

    /// Returns the width of all heads of queries, or of keys, `K·dk`.
    pub fn key_width(&self) -> usize {
        self.key_heads * self.key_dim
    }

    /// Returns the width of all heads of values, `V·dv`.
    pub fn value_width(&self) -> usize {
        self.value_heads * self.value_dim
    }

    /// Returns the channels of the convolution: queries, keys and values.
    pub fn conv_width(&self) -> usize {
        2 * self.key_width() + self.value_width()
    }

    /// Returns the factor of queries.
    pub(crate) fn scale(&self) -> f64 {
        1.0 / (self.key_dim as f64).sqrt()
    }

    /// Lists the linear layers.
    pub(super) fn linears(&self, hidden: usize) -> Vec<LinearShape> {
        let read = |name, outputs| LinearShape { name, inputs: hidden, outputs, bias: false };
        let name = "linear_attn.out_proj";
        vec![
            read("linear_attn.in_proj_qkv", self.conv_width()),
            read("linear_attn.in_proj_z", self.value_width()),
            read("linear_attn.in_proj_b", self.value_heads),
            read("linear_attn.in_proj_a", self.value_heads),
            LinearShape { name, inputs: self.value_width(), outputs: hidden, bias: false },
        ]
    }

    /// Counts the parameters of the convolution, the decays and the norm.
    pub(super) fn other_parameters(&self) -> usize {
        self.taps * self.conv_width() + 2 * self.value_heads + self.value_dim
    }

    /// Returns the widths of the states: rows that the convolution needs, and the state of every head.
    pub fn state_widths(&self) -> Vec<usize> {
        let rows = (self.taps - 1) * self.conv_width();
        let heads = self.key_dim * self.value_width();
        if rows == 0 { vec![heads] } else { vec![rows, heads] }
    }

    /// Checks the sizes.
    pub(super) fn check(&self, largest: usize) -> Result<(), String> {
        check_taps("linear_conv_kernel_dim", self.taps)?;
        within("linear_num_key_heads", self.key_heads, largest)?;
        within("linear_num_value_heads", self.value_heads, largest)?;
        within("linear_key_head_dim", self.key_dim, largest)?;
        within("linear_value_head_dim", self.value_dim, largest)?;
        if !self.value_heads.is_multiple_of(self.key_heads) {
            return Err(format!(
                "linear_num_value_heads = {} is not a multiple of linear_num_key_heads = {}",
                self.value_heads, self.key_heads
            ));
        }
        if self.conv_width() > largest || self.key_dim * self.value_width() > MAX_STATE {
            return Err(format!("{} heads of linear attention are too large together", self.value_heads));
        }
        Ok(())
    }
}
