//! RMSNorm (arXiv:1910.07467 eq. 4), computed in f32: `y = x / sqrt(mean(x²) + ε) · (w + offset)`.

use burn::module::{Module, Param};
use burn::tensor::{DType, Tensor};

use crate::cpu::fused::{FusedNorm, apply_host_op, supports_host_ops};

/// Normalises by the root mean square over the last dimension.
#[derive(Module, Debug)]
pub(crate) struct RmsNorm {
    pub(crate) weight: Param<Tensor<1>>,
    pub(crate) eps: f64,
    /// 1 where the file holds the weights less 1 (Gemma), else 0.
    pub(crate) offset: f64,
}

impl RmsNorm {
    /// Normalises groups of numbers as wide as the norm: each head, or all heads together.
    ///
    /// # Shapes
    /// - `x`: `[..., parts · width]` → the same
    pub(crate) fn forward_parts<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let (shape, [width]) = (x.dims(), self.weight.val().dims());
        let rows = shape.iter().product::<usize>() / width;
        self.forward(x.reshape([rows, width])).reshape(shape)
    }

    /// # Shapes
    /// - `x`: `[..., width]` → the same
    pub(crate) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        if supports_host_ops(&x) {
            let (shape, weight) = (x.dims(), self.whole_weight().unsqueeze());
            let width = shape[D - 1];
            let rows = shape.iter().product::<usize>() / width;
            let norm = FusedNorm { eps: self.eps as f32 };
            return apply_host_op(norm, [x.reshape([rows, width]), weight], [rows, width]).reshape(shape);
        }
        let dtype = x.dtype();
        let x = x.cast(DType::F32);
        let scale = (x.clone().square().mean_dim(D - 1) + self.eps).sqrt().recip();
        if self.offset != 0.0 {
            return (x * scale * self.whole_weight().unsqueeze()).cast(dtype);
        }
        (x * scale).cast(dtype) * self.weight.val().cast(dtype).unsqueeze()
    }

    /// Returns the factors of a normalised row, in f32.
    pub(crate) fn whole_weight(&self) -> Tensor<1> {
        let weight = self.weight.val().cast(DType::F32);
        if self.offset == 0.0 { weight } else { weight.add_scalar(self.offset) }
    }
}
