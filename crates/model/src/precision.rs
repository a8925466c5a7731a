//! Element types: bf16 or f16 weights for sampling, f32 weights with bf16 activations for training. Norms,
//! softmax, log-probabilities and all reductions over them stay in f32.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Tensor};

use crate::transformer::Transformer;

impl Transformer {
    /// Computes in another element type and keeps the weights in theirs.
    ///
    /// Each weight is cast at its use, so gradients and optimizer steps keep the precision of the master
    /// weights (arXiv:1710.03740 §3.1).
    #[must_use]
    pub fn computing_in(mut self, dtype: DType) -> Self {
        self.compute = Some(dtype);
        self
    }

    /// Casts weights and activations for inference: half the memory, and no cast per use.
    #[must_use]
    pub fn cast(self, dtype: DType) -> Self {
        struct Cast(DType);
        impl ModuleMapper for Cast {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                param.map(|value| value.cast(self.0))
            }
        }
        let mut model = self.map(&mut Cast(dtype));
        model.compute = None;
        model
    }

    /// Returns the model for the sampler: without gradients, weights in the type of the activations.
    #[must_use]
    pub fn for_sampling(&self) -> Self {
        let model = self.valid();
        match self.compute {
            Some(dtype) => model.cast(dtype),
            None => model,
        }
    }
}
