//! Describes a block, for all code that computes or stores it.
//!
//! Burn's graph, the fused passes and the decoder on the CPU read it, and so do the memory estimate, LoRA,
//! and the names of tensors on disk.

mod attention;
mod delta_net;
mod experts;
mod feed_forward;
mod linear_shape;
mod mixer;
mod names;
mod norms;
mod short_conv;

pub(crate) use attention::within;
pub use attention::{AttentionConfig, Projection, QkNorm};
pub use delta_net::DeltaNetConfig;
pub(crate) use delta_net::decay;
pub use experts::ExpertsConfig;
pub use feed_forward::{Activation, MlpConfig};
pub(crate) use feed_forward::{OF_BLOCK, OF_EXPERT};
pub use linear_shape::LinearShape;
pub(crate) use linear_shape::target;
pub use mixer::Mixer;
pub use names::Names;
pub use norms::BlockNorms;
pub use short_conv::ShortConvConfig;

/// Describes one block: `x += mixer(x)`, then `x += mlp(x)`, with norms in the places of `norms`.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockConfig {
    /// Places of the norms.
    pub norms: BlockNorms,
    /// Attention, or another layer that mixes tokens.
    pub mixer: Mixer,
    /// Feed-forward layer.
    pub mlp: MlpConfig,
    /// Factor of both outputs before they are added to the residual stream: 1, except in Granite.
    pub residual_scale: f64,
    /// Names of its layers on disk.
    pub names: Names,
}

impl BlockConfig {
    /// Describes a block with norms before attention and SwiGLU, and without biases.
    pub fn new(attention: AttentionConfig, mlp_width: usize) -> Self {
        let activation = Activation::Silu;
        let mlp = MlpConfig { width: mlp_width, bias: false, activation, fused: false, experts: None };
        let (norms, mixer) = (BlockNorms::PRE, Mixer::Attention(attention));
        Self { norms, mixer, mlp, residual_scale: 1.0, names: Names::COMMON }
    }

    /// Returns the settings of attention, if the block has it.
    pub fn attention(&self) -> Option<&AttentionConfig> {
        self.mixer.attention()
    }

    /// Returns the settings of attention for a change, if the block has it.
    pub(crate) fn attention_mut(&mut self) -> Option<&mut AttentionConfig> {
        match &mut self.mixer {
            Mixer::Attention(attention) => Some(attention),
            Mixer::ShortConv(_) | Mixer::DeltaNet(_) => None,
        }
    }

    /// Lists the linear layers of the block in a model with residual streams of `hidden` numbers.
    pub fn linears(&self, hidden: usize) -> Vec<LinearShape> {
        let mut all = self.mixer.linears(hidden);
        all.extend(self.mlp.linears(hidden));
        for linear in &mut all {
            linear.name = self.names.of(linear.name);
        }
        all
    }

    /// Counts the weights of its linear layers that a token is multiplied with, in a model with residual
    /// streams of `hidden` numbers.
    pub(crate) fn multiplied_weights(&self, hidden: usize) -> usize {
        let mixer: usize = self.mixer.linears(hidden).iter().map(LinearShape::weights).sum();
        mixer + self.mlp.multiplied_weights(hidden)
    }

    /// Counts the parameters of the block in a model with residual streams of `hidden` numbers.
    pub fn parameters(&self, hidden: usize) -> usize {
        let bias = |linear: &LinearShape| if linear.bias { linear.outputs } else { 0 };
        let linears: usize = self.linears(hidden).iter().map(|linear| linear.weights() + bias(linear)).sum();
        linears + self.mixer.other_parameters() + self.norms.count() * hidden
    }
}
