//! Gated DeltaNet (arXiv:2412.06464): `out(norm(o) ⊙ silu(z))`, with `o` from the gated delta rule over
//! convolved queries, keys and values.

use burn::module::{Module, Param};
use burn::tensor::activation::{sigmoid, silu};
use burn::tensor::{DType, Tensor, TensorData};

use crate::block::{Activation, DeltaNetConfig};
use crate::cache::{CachePlan, KvCache};
use crate::cpu::fused::{FusedConvolution, FusedDelta, FusedGate, apply_host_op};
use crate::layers::convolution::{convolve, following};
use crate::layers::delta_rule::{Rule, delta_rule};
use crate::layers::linear::Linear;
use crate::layers::norm::RmsNorm;
use crate::layers::pass::ForwardPass;
use crate::layers::short_conv::Taps;

/// Holds the gated DeltaNet of a block.
#[derive(Module, Debug)]
pub(crate) struct DeltaNet {
    pub(crate) in_proj_qkv: Linear,
    pub(crate) in_proj_z: Linear,
    pub(crate) in_proj_b: Linear,
    pub(crate) in_proj_a: Linear,
    /// Convolves queries, keys and values.
    pub(crate) conv1d: Taps,
    /// `[V]`.
    pub(crate) dt_bias: Param<Tensor<1>>,
    /// `[V]`; `A_log` on disk.
    pub(crate) a_log: Param<Tensor<1>>,
    pub(crate) norm: RmsNorm,
    pub(crate) out_proj: Linear,
}

impl DeltaNet {
    /// # Shapes
    /// - `x`: `[N, hidden]` → the same
    pub(crate) fn forward(
        &self,
        x: Tensor<2>,
        config: &DeltaNetConfig,
        pass: &ForwardPass<'_>,
        layer: usize,
        cache: Option<(&mut KvCache, &CachePlan)>,
    ) -> Tensor<2> {
        let [rows, columns] = pass.shape;
        let heads = [rows * columns * config.value_heads, config.value_dim];
        let (dtype, z) = (x.dtype(), self.in_proj_z.forward(x.clone()).reshape(heads));
        let (qkv, b) = (self.in_proj_qkv.forward(x.clone()), self.in_proj_b.forward(x.clone()));
        let a = self.in_proj_a.forward(x);
        let y = if pass.packed {
            let (lengths, shape) = (pass.lengths.clone(), qkv.dims());
            let conv = FusedConvolution { lengths: lengths.clone(), channels: config.conv_width() };
            let qkv = apply_host_op(conv, [qkv, self.conv1d.matrix()], shape);
            let inputs = [qkv, b, a, self.a_log.val().unsqueeze(), self.dt_bias.val().unsqueeze()];
            let rule = FusedDelta { config: config.clone(), lengths };
            let o = apply_host_op(rule, inputs, [shape[0], config.value_width()]);
            apply_host_op(FusedGate(Activation::Silu), [z, self.norm.forward(o.reshape(heads))], heads)
        } else {
            let [qkv, b, a] = [qkv, b, a].map(|x| x.cast(DType::F32));
            let o = self.rule(qkv, b, a, config, pass, (layer, cache));
            let normed = self.norm.forward(o.reshape(heads));
            (normed * silu(z.cast(DType::F32))).cast(dtype)
        };
        self.out_proj.forward(y.reshape([rows * columns, config.value_width()]))
    }

    /// Computes the rule with operations of the tensor backend, in f32.
    ///
    /// # Shapes
    /// - `qkv`: `[B·T, 2·K·dk + V·dv]`, `b`, `a`: `[B·T, V]` → `[B, T, V·dv]`
    fn rule(
        &self,
        qkv: Tensor<2>,
        b: Tensor<2>,
        a: Tensor<2>,
        config: &DeltaNetConfig,
        pass: &ForwardPass<'_>,
        (layer, cache): (usize, Option<(&mut KvCache, &CachePlan)>),
    ) -> Tensor<3> {
        let ([rows, columns], device) = (pass.shape, qkv.device());
        let states = cache.as_ref().map_or(&[][..], |(cache, _)| cache.states(layer)).to_vec();
        let qkv = qkv.reshape([rows, columns, config.conv_width()]);
        let convolved = (config.taps > 1).then(|| states.first().cloned()).flatten();
        let (all, mixed) = convolve(qkv, convolved, &self.conv1d.matrix());
        let steps = a + self.dt_bias.val().cast(DType::F32).unsqueeze();
        // `softplus`, which an overflow can't reach.
        let softplus = steps.clone().clamp_min(0.0) + steps.abs().neg().exp().log1p();
        let decays = softplus * self.a_log.val().cast(DType::F32).exp().neg().unsqueeze();
        let shape = [rows, columns, config.value_heads];
        let (mut decays, mut rates) = (decays.reshape(shape), sigmoid(b).reshape(shape));
        if pass.lengths.iter().any(|length| *length < columns) {
            // Padding leaves the state as it is.
            let real = |length: &usize| (0..columns).map(|t| f32::from(t < *length)).collect::<Vec<_>>();
            let real: Vec<f32> = pass.lengths.iter().flat_map(real).collect();
            let real = Tensor::<3>::from_data(TensorData::new(real, [rows, columns, 1]), &device);
            (decays, rates) = (decays * real.clone(), rates * real);
        }
        let state = states.last().cloned();
        let (o, state) = delta_rule(Rule { config, qkv: silu(mixed), decays, rates, state });
        if let Some((cache, _)) = cache {
            let mut states = vec![state];
            if config.taps > 1 {
                states.insert(0, following(all, &pass.lengths, config.taps));
            }
            cache.set_states(layer, states);
        }
        o
    }
}
