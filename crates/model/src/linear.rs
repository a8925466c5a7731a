//! `y = x·Wᵀ + b`, with the weight as Hugging Face stores it.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

/// A linear layer. The weight has shape `[out, in]`: rows are contiguous for the matrix-vector products of decoding.
#[derive(Module, Debug)]
pub(crate) struct Linear {
    pub(crate) weight: Param<Tensor<2>>,
    pub(crate) bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// # Shapes
    /// - `x`: `[N, in]` → `[N, out]`
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let y = x.matmul(self.weight.val().transpose());
        match &self.bias {
            Some(bias) => y + bias.val().unsqueeze(),
            None => y,
        }
    }
}
