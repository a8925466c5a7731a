//! The weights of a block.

use super::attention::HostAttention;
use super::delta_net::HostDeltaNet;
use super::short_conv::HostShortConv;
use super::weights::{Affine, affine, parts, vector};
use crate::block::{Activation, Mixer};
use crate::config::ModelConfig;
use crate::transformer::Block;

/// Holds the weights of one block.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) before_attention: Option<Vec<f32>>,
    pub(super) mixer: HostMixer,
    /// Numbers per token of keys, and of states per sequence, in a cache.
    pub(super) widths: [usize; 2],
    pub(super) after_attention: Option<Vec<f32>>,
    pub(super) before_mlp: Option<Vec<f32>>,
    pub(super) gate: Affine,
    pub(super) up: Affine,
    pub(super) down: Affine,
    pub(super) after_mlp: Option<Vec<f32>>,
    pub(super) activation: Activation,
    /// Factor of both outputs.
    pub(super) residual_scale: f64,
}

/// Holds the weights of the layer that mixes tokens.
#[derive(Debug)]
pub(super) enum HostMixer {
    Attention(HostAttention),
    ShortConv(HostShortConv),
    DeltaNet(HostDeltaNet),
}

const SAME: &str = "a block has the layer that its description names";

impl Layer {
    /// Copies the weights of block `at`.
    pub(super) fn new(config: &ModelConfig, at: usize, block: &Block) -> Self {
        let (settings, mlp) = (&config.layers[at], &block.mlp);
        let mixer = match &settings.mixer {
            Mixer::Attention(_) => {
                HostMixer::Attention(HostAttention::new(config, at, block.self_attn.as_ref().expect(SAME)))
            }
            Mixer::ShortConv(_) => HostMixer::ShortConv(HostShortConv::new(block.conv.as_ref().expect(SAME))),
            Mixer::DeltaNet(delta) => {
                HostMixer::DeltaNet(HostDeltaNet::new(delta, block.linear_attn.as_ref().expect(SAME)))
            }
        };
        let wide = settings.mlp.width;
        let [gate, up] = parts(mlp.gate_up_proj.as_ref(), [&mlp.gate_proj, &mlp.up_proj], [wide, wide]);
        Self {
            before_attention: block.before_attention.as_ref().map(vector),
            mixer,
            widths: [settings.mixer.cached_values() / 2, settings.mixer.state_widths().iter().sum()],
            after_attention: block.after_attention.as_ref().map(vector),
            before_mlp: block.before_mlp.as_ref().map(vector),
            gate,
            up,
            down: affine(&mlp.down_proj),
            after_mlp: block.after_mlp.as_ref().map(vector),
            activation: settings.mlp.activation,
            residual_scale: settings.residual_scale,
        }
    }
}
