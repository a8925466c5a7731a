//! Gated short convolution (LFM2, arXiv:2511.23404): `out(c ⊙ conv(b ⊙ x))`, with `[b, c, x] = in(h)`.

use burn::module::{Module, Param};
use burn::tensor::{DType, Tensor};

use crate::block::ShortConvConfig;
use crate::cache::{CachePlan, KvCache};
use crate::cpu::fused::{FusedShortConv, apply_host_op};
use crate::layers::convolution::{convolve, following};
use crate::layers::linear::Linear;
use crate::layers::pass::ForwardPass;

/// Holds the gated short convolution of a block.
#[derive(Module, Debug)]
pub(crate) struct ShortConv {
    pub(crate) in_proj: Linear,
    pub(crate) conv: Taps,
    pub(crate) out_proj: Linear,
}

/// Holds a causal convolution of each channel.
#[derive(Module, Debug)]
pub(crate) struct Taps {
    /// `[channels, 1, taps]`; the last one belongs to the token itself.
    pub(crate) weight: Param<Tensor<3>>,
    pub(crate) bias: Option<Param<Tensor<1>>>,
}

impl Taps {
    /// Returns the weights, `[channels, taps]`, in f32.
    pub(crate) fn matrix(&self) -> Tensor<2> {
        let weight = self.weight.val().cast(DType::F32);
        let [channels, _, taps] = weight.dims();
        weight.reshape([channels, taps])
    }

    /// Returns the biases, `[1, channels]`, in f32: zeros if there are none.
    fn biases(&self) -> Tensor<2> {
        let weight = self.weight.val();
        match &self.bias {
            Some(bias) => bias.val().cast(DType::F32).unsqueeze(),
            None => Tensor::zeros([1, weight.dims()[0]], (&weight.device(), DType::F32)),
        }
    }
}

impl ShortConv {
    /// # Shapes
    /// - `x`: `[N, hidden]` → the same
    pub(crate) fn forward(
        &self,
        x: Tensor<2>,
        config: &ShortConvConfig,
        pass: &ForwardPass<'_>,
        layer: usize,
        cache: Option<(&mut KvCache, &CachePlan)>,
    ) -> Tensor<2> {
        let gates = self.in_proj.forward(x);
        let ([rows, columns], width) = (pass.shape, config.width);
        let (shape, dtype) = ([rows * columns, width], gates.dtype());
        if pass.packed {
            let conv = FusedShortConv { lengths: pass.lengths.clone(), width };
            let y = apply_host_op(conv, [gates, self.conv.matrix(), self.conv.biases()], shape);
            return self.out_proj.forward(y);
        }
        let gates = gates.cast(DType::F32);
        let part = |at: usize| gates.clone().narrow(1, at * width, width);
        let fed = (part(0) * part(2)).reshape([rows, columns, width]);
        let before = cache.as_ref().and_then(|(cache, _)| cache.states(layer).first().cloned());
        let (all, mixed) = convolve(fed, before, &self.conv.matrix());
        if let Some((cache, _)) = cache.filter(|_| config.taps > 1) {
            cache.set_states(layer, vec![following(all, &pass.lengths, config.taps)]);
        }
        let mixed = mixed.reshape(shape);
        let mixed = if self.conv.bias.is_some() { mixed + self.conv.biases() } else { mixed };
        self.out_proj.forward((part(1) * mixed).cast(dtype))
    }
}
