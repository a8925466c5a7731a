//! The settings of a gated short convolution.

use super::linear_shape::LinearShape;

/// Describes a gated short convolution, `y = c ⊙ conv(b ⊙ x)` (LFM2, arXiv:2511.23404).
///
/// `b`, `c` and `x` are parts of one projection, and the convolution of each channel is causal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShortConvConfig {
    /// Channels, the width of the residual stream.
    pub width: usize,
    /// Tokens that an output sees, its own included.
    pub taps: usize,
    /// Biases on the projections and the convolution.
    pub bias: bool,
}

/// The most tokens that a convolution sees.
const MAX_TAPS: usize = 1 << 10;

impl ShortConvConfig {
    /// Lists the linear layers.
    pub(super) fn linears(&self) -> Vec<LinearShape> {
        let Self { width, bias, .. } = *self;
        vec![
            LinearShape { name: "conv.in_proj", inputs: width, outputs: 3 * width, bias },
            LinearShape { name: "conv.out_proj", inputs: width, outputs: width, bias },
        ]
    }

    /// Counts the parameters of the convolution.
    pub(super) fn other_parameters(&self) -> usize {
        self.width * (self.taps + usize::from(self.bias))
    }

    /// Returns the numbers that the next token needs of those before it.
    pub fn state_width(&self) -> usize {
        (self.taps - 1) * self.width
    }

    /// Checks the sizes.
    pub(super) fn check(&self) -> Result<(), String> {
        check_taps("conv_L_cache", self.taps)
    }
}

/// Checks the length of a convolution.
pub(super) fn check_taps(key: &str, taps: usize) -> Result<(), String> {
    if taps == 0 || taps > MAX_TAPS {
        return Err(format!("{key} = {taps} is not between 1 and {MAX_TAPS}"));
    }
    Ok(())
}
