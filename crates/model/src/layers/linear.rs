//! `y = x·Wᵀ + b`, with the weight as Hugging Face stores it.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::layers::lora::Lora;

/// Holds a linear layer. The weight is `[out, in]`, as on disk.
#[derive(Module, Debug)]
pub(crate) struct Linear {
    pub(crate) weight: Param<Tensor<2>>,
    pub(crate) bias: Option<Param<Tensor<1>>>,
    pub(crate) lora: Option<Lora>,
}

impl Linear {
    /// # Shapes
    /// - `x`: `[N, in]` → `[N, out]`
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let weight = self.weight.val().cast(x.dtype());
        let update = self.lora.as_ref().map(|lora| lora.forward(x.clone()));
        let mut y = x.matmul(weight.transpose());
        if let Some(bias) = &self.bias {
            let bias = bias.val().cast(y.dtype());
            y = y + bias.unsqueeze();
        }
        match update {
            Some(update) => y + update,
            None => y,
        }
    }
}
