//! Causal grouped-query attention (arXiv:2305.13245).

use burn::module::Module;
use burn::tensor::activation::{sigmoid, softmax};
use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::block::{AttentionConfig, QkNorm};
use crate::cache::{CachePlan, KvCache};
use crate::cpu::fused::{FusedRotation, apply_host_op};
use crate::layers::linear::Linear;
use crate::layers::norm::RmsNorm;
use crate::layers::pass::{AttentionPath, ForwardPass};

/// Added to the scores of keys that a query doesn't see. It is finite, so no backend computes `inf - inf`.
const HIDDEN: f32 = -1e9;

/// Holds the attention layer of a block.
#[derive(Module, Debug)]
pub(crate) struct Attention {
    pub(crate) q_proj: Option<Linear>,
    pub(crate) k_proj: Option<Linear>,
    pub(crate) v_proj: Option<Linear>,
    /// The three of them in one matrix, in this order.
    pub(crate) qkv_proj: Option<Linear>,
    pub(crate) o_proj: Linear,
    pub(crate) q_norm: Option<RmsNorm>,
    pub(crate) k_norm: Option<RmsNorm>,
}

impl Attention {
    /// # Shapes
    /// - `x`: `[N, hidden]` → the same
    pub(crate) fn forward(
        &self,
        x: Tensor<2>,
        h: &AttentionConfig,
        pass: &ForwardPass<'_>,
        layer: usize,
        cache: Option<(&mut KvCache, &CachePlan)>,
    ) -> Tensor<2> {
        let [b, t] = pass.shape;
        let [mut q, mut k, mut v] = self.project(x, h);
        let gate;
        (q, gate) = if h.is_gated() { apart(q, h) } else { (q, None) };
        let rotated_first = h.qk_norm == Some(QkNorm::PerHeadRotated);
        if !rotated_first {
            (q, k) = (normed(self.q_norm.as_ref(), q), normed(self.k_norm.as_ref(), k));
        }
        if let Some(bound) = h.clip {
            [q, k, v] = [q, k, v].map(|x| x.clamp(-bound, bound));
        }
        let (rotation, mask) = match pass.path(layer) {
            AttentionPath::Operations { rotation, mask } => (rotation, mask.clone()),
            AttentionPath::Fused(attention) => {
                if let Some([queries, keys]) = attention.rotations() {
                    let turn = |op: FusedRotation, x: Tensor<2>| {
                        let shape = x.dims();
                        apply_host_op(op, [x], shape)
                    };
                    q = normed(self.q_norm.as_ref(), turn(queries, q));
                    k = normed(self.k_norm.as_ref(), turn(keys, k));
                }
                let shape = [b * t, h.query_width()];
                let y = apply_host_op(attention.clone(), [q, k, v], shape);
                return self.o_proj.forward(gated(y, gate));
            }
        };
        let split = |y: Tensor<2>, heads: usize| y.reshape([b, t, heads, h.head_dim]).swap_dims(1, 2);
        let mut q = rotation.queries(split(q, h.query_heads));
        let mut k = rotation.keys(split(k, h.key_value_heads));
        if rotated_first {
            (q, k) = (normed(self.q_norm.as_ref(), q), normed(self.k_norm.as_ref(), k));
        }
        let (k, v) = match cache {
            Some((cache, plan)) => {
                let k = k.swap_dims(1, 2).reshape([b * t, h.key_value_width()]);
                cache.extend(layer, k, v, plan, h.head_dim)
            }
            None => (k, split(v, h.key_value_heads)),
        };
        let y = attend(q, k, v, mask, h);
        self.o_proj.forward(gated(y.swap_dims(1, 2).reshape([b * t, h.query_width()]), gate))
    }

    /// Computes queries, keys and values, `[N, heads·D]` each.
    fn project(&self, x: Tensor<2>, h: &AttentionConfig) -> [Tensor<2>; 3] {
        match (&self.qkv_proj, &self.q_proj, &self.k_proj, &self.v_proj) {
            (Some(all), ..) => {
                let (all, query, width) = (all.forward(x), h.query_width(), h.key_value_width());
                [
                    all.clone().narrow(1, 0, query),
                    all.clone().narrow(1, query, width),
                    all.narrow(1, query + width, width),
                ]
            }
            (None, Some(q), Some(k), Some(v)) => [q.forward(x.clone()), k.forward(x.clone()), v.forward(x)],
            _ => unreachable!("attention has queries, keys and values"),
        }
    }
}

/// Takes queries and gates apart, which lie beside each other in each head.
///
/// # Shapes
/// - `both`: `[N, H·2·D]` → `[N, H·D]` each
fn apart(both: Tensor<2>, h: &AttentionConfig) -> (Tensor<2>, Option<Tensor<2>>) {
    let [rows, _] = both.dims();
    let both: Tensor<3> = both.reshape([rows * h.query_heads, 2, h.head_dim]);
    let part = |at: usize| both.clone().narrow(1, at, 1).reshape([rows, h.query_width()]);
    (part(0), Some(part(1)))
}

/// Multiplies the output of attention by its gate, if it has one.
fn gated(y: Tensor<2>, gate: Option<Tensor<2>>) -> Tensor<2> {
    match gate {
        Some(gate) => y * sigmoid(gate),
        None => y,
    }
}

/// Normalises each head, or all heads together, if there is a norm.
fn normed<const D: usize>(norm: Option<&RmsNorm>, x: Tensor<D>) -> Tensor<D> {
    match norm {
        Some(norm) => norm.forward_parts(x),
        None => x,
    }
}

/// Computes `softmax(cap(q·kᵀ·scale) + mask)·v`. Queries that share a key/value head are stacked, so keys
/// aren't repeated.
///
/// # Shapes
/// - `q`: `[B, H, T, D]`, `k`, `v`: `[B, K, S, D]`, `mask`: `[B or 1, 1, T, S]` → `[B, H, T, D]`
fn attend(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    mask: Tensor<4>,
    attention: &AttentionConfig,
) -> Tensor<4> {
    let [b, heads, t, d] = q.dims();
    let [_, groups, s, _] = k.dims();
    let stacked = [b, groups, heads / groups * t, d];
    let q = q.mul_scalar(attention.score_scale()).reshape(stacked);
    let dtype = q.dtype();
    let scores = q.matmul(k.swap_dims(2, 3)).reshape([b, heads, t, s]).cast(DType::F32);
    let scores = match attention.softcap {
        Some(cap) => scores.div_scalar(cap).tanh().mul_scalar(cap),
        None => scores,
    };
    let weights = softmax(scores + mask, 3).cast(dtype);
    weights.reshape([b, groups, heads / groups * t, s]).matmul(v).reshape([b, heads, t, d])
}

/// Makes the mask of queries at `starts[row] + 0..columns` over keys at `0..visible`.
///
/// # Shapes
/// `[rows, 1, columns, visible]`; one row if all rows start at the same position.
pub(crate) fn causal_mask(
    starts: &[usize],
    columns: usize,
    visible: usize,
    attention: &AttentionConfig,
    device: &Device,
) -> Tensor<4> {
    let same = starts.windows(2).all(|pair| pair[0] == pair[1]);
    let starts = if same { &starts[..1] } else { starts };
    let mut mask = Vec::with_capacity(starts.len() * columns * visible);
    for start in starts {
        for query in (0..columns).map(|t| start + t) {
            let seen = attention.visible(query);
            mask.extend((0..visible).map(|key| if seen.contains(&key) { 0.0 } else { HIDDEN }));
        }
    }
    Tensor::from_data(TensorData::new(mask, [starts.len(), 1, columns, visible]), (device, DType::F32))
}
