//! The part of a block that mixes tokens.

use super::attention::AttentionConfig;
use super::delta_net::DeltaNetConfig;
use super::linear_shape::LinearShape;
use super::short_conv::ShortConvConfig;

/// Chooses how a block mixes tokens.
#[derive(Debug, Clone, PartialEq)]
pub enum Mixer {
    /// Attention, whose cache grows by keys and values with every token.
    Attention(AttentionConfig),
    /// A gated short convolution, whose cache is a state of fixed size.
    ShortConv(ShortConvConfig),
    /// A gated DeltaNet, whose cache is two states of fixed size.
    DeltaNet(DeltaNetConfig),
}

impl Mixer {
    /// Returns the settings of attention, if it is that.
    pub fn attention(&self) -> Option<&AttentionConfig> {
        match self {
            Self::Attention(attention) => Some(attention),
            Self::ShortConv(_) | Self::DeltaNet(_) => None,
        }
    }

    /// Lists the linear layers, by their names in most families.
    pub(super) fn linears(&self, hidden: usize) -> Vec<LinearShape> {
        match self {
            Self::Attention(attention) => attention.linears(hidden),
            Self::ShortConv(conv) => conv.linears(),
            Self::DeltaNet(delta) => delta.linears(hidden),
        }
    }

    /// Counts the parameters outside linear layers.
    pub(super) fn other_parameters(&self) -> usize {
        match self {
            Self::Attention(attention) => attention.qk_norm_widths().into_iter().flatten().sum(),
            Self::ShortConv(conv) => conv.other_parameters(),
            Self::DeltaNet(delta) => delta.other_parameters(),
        }
    }

    /// Counts the numbers that a cache keeps for each token: keys and values.
    pub fn cached_values(&self) -> usize {
        self.attention().map_or(0, |attention| 2 * attention.key_value_width())
    }

    /// Returns the widths of the states that a cache keeps for each sequence.
    pub fn state_widths(&self) -> Vec<usize> {
        match self {
            Self::Attention(_) => Vec::new(),
            Self::ShortConv(conv) => {
                Some(conv.state_width()).filter(|width| *width > 0).into_iter().collect()
            }
            Self::DeltaNet(delta) => delta.state_widths(),
        }
    }

    /// Checks the sizes. The error says which is wrong, with the value.
    pub(crate) fn check(&self, largest: usize) -> Result<(), String> {
        match self {
            Self::Attention(attention) => attention.check(largest),
            Self::ShortConv(conv) => conv.check(),
            Self::DeltaNet(delta) => delta.check(largest),
        }
    }
}
