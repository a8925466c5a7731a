//! The weights of a block.

use std::borrow::Cow;

use super::attention::HostAttention;
use super::delta_net::HostDeltaNet;
use super::kernels::{add_scaled, norm};
use super::mlp::HostMlp;
use super::moe::HostMoe;
use super::precision::HostPrecision;
use super::short_conv::HostShortConv;
use super::weights::vector;
use crate::block::Mixer;
use crate::config::ModelConfig;
use crate::cpu::simd::Cpu;
use crate::transformer::Block;

/// Holds the weights of one block.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) before_attention: Option<Vec<f32>>,
    pub(super) mixer: HostMixer,
    /// Entries per token of keys, and numbers of states per sequence, in a cache.
    pub(super) widths: [usize; 2],
    pub(super) after_attention: Option<Vec<f32>>,
    pub(super) before_mlp: Option<Vec<f32>>,
    pub(super) feed_forward: FeedForward,
    pub(super) after_mlp: Option<Vec<f32>>,
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

/// Holds the weights of the feed-forward layers.
#[derive(Debug)]
pub(super) enum FeedForward {
    One(HostMlp),
    Experts(HostMoe),
}

const SAME: &str = "a block has the layer that its description names";

impl Layer {
    /// Copies the weights of block `at`.
    pub(super) fn new(config: &ModelConfig, at: usize, block: &Block, precision: HostPrecision) -> Self {
        let settings = &config.layers[at];
        let mixer = match &settings.mixer {
            Mixer::Attention(_) => {
                let attention = block.self_attn.as_ref().expect(SAME);
                HostMixer::Attention(HostAttention::new(config, at, attention, precision))
            }
            Mixer::ShortConv(_) => {
                HostMixer::ShortConv(HostShortConv::new(block.conv.as_ref().expect(SAME), precision))
            }
            Mixer::DeltaNet(delta) => {
                let layer = block.linear_attn.as_ref().expect(SAME);
                HostMixer::DeltaNet(HostDeltaNet::new(delta, layer, precision))
            }
        };
        let keys = if let HostMixer::Attention(attention) = &mixer { attention.cached_width() } else { 0 };
        let widths = [keys, settings.mixer.state_widths().iter().sum()];
        let mlp = &settings.mlp;
        let feed_forward = match &mlp.experts {
            None => FeedForward::One(HostMlp::new(mlp, block.mlp.as_ref().expect(SAME), precision)),
            Some(experts) => {
                FeedForward::Experts(HostMoe::new(mlp, experts, block.moe.as_ref().expect(SAME), precision))
            }
        };
        Self {
            before_attention: block.before_attention.as_ref().map(vector),
            mixer,
            widths,
            after_attention: block.after_attention.as_ref().map(vector),
            before_mlp: block.before_mlp.as_ref().map(vector),
            feed_forward,
            after_mlp: block.after_mlp.as_ref().map(vector),
            residual_scale: settings.residual_scale,
        }
    }

    /// Adds to the residual stream the output of the mixer, and that of the feed-forward layer after it.
    ///
    /// # Shapes
    /// - `x`, `mixed`: `[N, hidden]`
    pub(super) fn add_to(&self, cpu: Cpu, x: &mut [f32], mixed: &[f32], eps: f64) {
        let by = self.residual_scale;
        add_scaled(x, &normed(self.after_attention.as_deref(), mixed, eps), by);
        let h = normed(self.before_mlp.as_deref(), x, eps);
        let fed = match &self.feed_forward {
            FeedForward::One(mlp) => mlp.forward(cpu, &h),
            FeedForward::Experts(moe) => moe.forward(cpu, &h),
        };
        add_scaled(x, &normed(self.after_mlp.as_deref(), &fed, eps), by);
    }
}

/// Normalises every row, if there is a norm.
fn normed<'a>(weight: Option<&[f32]>, x: &'a [f32], eps: f64) -> Cow<'a, [f32]> {
    match weight {
        Some(weight) => norm(x, weight, eps).into(),
        None => x.into(),
    }
}
