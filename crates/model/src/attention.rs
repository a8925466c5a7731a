//! Causal grouped-query attention (arXiv:2305.13245).

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor, TensorData, activation::softmax};

use crate::cache::{CachePlan, KvCache};
use crate::config::Heads;
use crate::fused::{FusedAttention, apply};
use crate::linear::Linear;
use crate::norm::RmsNorm;
use crate::rope::Rotation;

/// Added to the scores of what a query may not see. Finite, so that no backend meets `inf - inf`.
const HIDDEN: f32 = -1e9;

/// The attention layer of a block.
#[derive(Module, Debug)]
pub(crate) struct Attention {
    pub(crate) q_proj: Linear,
    pub(crate) k_proj: Linear,
    pub(crate) v_proj: Linear,
    pub(crate) o_proj: Linear,
    pub(crate) q_norm: Option<RmsNorm>,
    pub(crate) k_norm: Option<RmsNorm>,
}

/// What all layers of one forward pass share.
pub(crate) struct Pass<'a> {
    pub(crate) heads: &'a Heads,
    /// `[B, T]`.
    pub(crate) shape: [usize; 2],
    pub(crate) look: Look,
}

/// How queries meet keys.
#[allow(clippy::large_enum_variant)] // there is one of a pass
pub(crate) enum Look {
    /// By operations of the tensor backend.
    Operations {
        rotation: Rotation,
        /// `[B or 1, 1, T, visible]`: 0 where a query may look, a large negative number elsewhere.
        mask: Tensor<4>,
    },
    /// In one pass, for whole sequences on the host.
    Fused(FusedAttention),
}

impl Attention {
    /// # Shapes
    /// - `x`: `[N, hidden]` → the same
    pub(crate) fn forward(
        &self,
        x: Tensor<2>,
        pass: &Pass<'_>,
        cache: Option<(&mut KvCache, &CachePlan, usize)>,
    ) -> Tensor<2> {
        let ([b, t], h) = (pass.shape, pass.heads);
        let split = |y: Tensor<2>, heads: usize| y.reshape([b, t, heads, h.dim]);
        let mut q = split(self.q_proj.forward(x.clone()), h.query);
        let mut k = split(self.k_proj.forward(x.clone()), h.key_value);
        let v = self.v_proj.forward(x);
        if let (Some(q_norm), Some(k_norm)) = (&self.q_norm, &self.k_norm) {
            (q, k) = (q_norm.forward(q), k_norm.forward(k));
        }
        let (rotation, mask) = match &pass.look {
            Look::Operations { rotation, mask } => (rotation, mask.clone()),
            Look::Fused(attention) => {
                let flat = |y: Tensor<4>, heads: usize| y.reshape([b * t, heads * h.dim]);
                let (q, k) = (flat(q, h.query), flat(k, h.key_value));
                return self.o_proj.forward(apply(attention.clone(), [q, k, v], [b * t, h.query * h.dim]));
            }
        };
        let q = rotation.apply(q.swap_dims(1, 2));
        let k = rotation.apply(k.swap_dims(1, 2));
        let (k, v) = match cache {
            Some((cache, plan, layer)) => {
                let k = k.swap_dims(1, 2).reshape([b * t, h.key_value * h.dim]);
                cache.extend(layer, k, v, plan, h.dim)
            }
            None => (k, split(v, h.key_value).swap_dims(1, 2)),
        };
        let y = attend(q, k, v, mask);
        self.o_proj.forward(y.swap_dims(1, 2).reshape([b * t, h.query * h.dim]))
    }
}

/// `softmax(q·kᵀ / √D + mask)·v`. The queries that share a key/value head are stacked, so keys are never repeated.
///
/// # Shapes
/// - `q`: `[B, H, T, D]`, `k`, `v`: `[B, K, S, D]`, `mask`: `[B or 1, 1, T, S]` → `[B, H, T, D]`
fn attend(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, mask: Tensor<4>) -> Tensor<4> {
    let [b, heads, t, d] = q.dims();
    let [_, groups, s, _] = k.dims();
    let stacked = [b, groups, heads / groups * t, d];
    let q = q.mul_scalar(1.0 / (d as f64).sqrt()).reshape(stacked);
    let dtype = q.dtype();
    let scores = q.matmul(k.swap_dims(2, 3)).reshape([b, heads, t, s]);
    let weights = softmax(scores.cast(DType::F32) + mask, 3).cast(dtype);
    weights.reshape([b, groups, heads / groups * t, s]).matmul(v).reshape([b, heads, t, d])
}

/// The mask of queries at `starts[row] + 0..columns` over keys at `0..visible`.
///
/// # Shapes
/// `[rows, 1, columns, visible]`; one row if all rows start at the same position.
pub(crate) fn causal_mask(
    starts: &[usize],
    columns: usize,
    visible: usize,
    window: Option<usize>,
    device: &Device,
) -> Tensor<4> {
    let same = starts.windows(2).all(|pair| pair[0] == pair[1]);
    let starts = if same { &starts[..1] } else { starts };
    let mut mask = Vec::with_capacity(starts.len() * columns * visible);
    for start in starts {
        for query in (0..columns).map(|t| start + t) {
            let oldest = window.map_or(0, |w| (query + 1).saturating_sub(w));
            mask.extend((0..visible).map(|key| if key <= query && key >= oldest { 0.0 } else { HIDDEN }));
        }
    }
    Tensor::from_data(TensorData::new(mask, [starts.len(), 1, columns, visible]), (device, DType::F32))
}
