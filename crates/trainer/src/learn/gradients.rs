//! Sums of gradients and their global norm.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Tensor};
use turnwise_model::{Transformer, add_all};

/// Sums gradients parameter by parameter, in the given order.
pub(crate) fn sum(model: &Transformer, all: Vec<GradientsParams>) -> GradientsParams {
    let mut all = all.into_iter();
    let mut total = all.next().unwrap_or_default();
    for gradients in all {
        add_all(&mut total, gradients, model);
    }
    total
}

/// Returns the square root of the sum of all squared entries, in f64 over per-parameter sums in f32.
pub(crate) fn global_norm(model: &Transformer, gradients: &GradientsParams) -> f64 {
    struct Squares<'a>(&'a GradientsParams, Vec<Tensor<1>>);
    impl ModuleVisitor for Squares<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.get::<D>(param.id) {
                self.1.push(gradient.cast(DType::F32).square().sum());
            }
        }
    }
    let mut squares = Squares(gradients, Vec::new());
    model.visit(&mut squares);
    root_of_sum(squares.1)
}

/// Returns the global norm of the weights. It isn't finite if a weight isn't, or if the sum overflows.
pub(crate) fn weight_norm(model: &Transformer) -> f64 {
    struct Squares(Vec<Tensor<1>>);
    impl ModuleVisitor for Squares {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let value = param.val();
            let value = if value.device().is_autodiff() { value.inner() } else { value };
            self.0.push(value.cast(DType::F32).square().sum());
        }
    }
    let mut squares = Squares(Vec::new());
    model.visit(&mut squares);
    root_of_sum(squares.0)
}

fn root_of_sum(squares: Vec<Tensor<1>>) -> f64 {
    if squares.is_empty() {
        return 0.0;
    }
    let sums: Vec<f32> = Tensor::cat(squares, 0).into_data().try_into_vec().expect("sums were taken in f32");
    sums.into_iter().map(f64::from).sum::<f64>().sqrt()
}

/// Multiplies every gradient by `factor`.
pub(crate) fn scale(model: &Transformer, gradients: &mut GradientsParams, factor: f64) {
    struct Scale<'a>(&'a mut GradientsParams, f64);
    impl ModuleVisitor for Scale<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.remove::<D>(param.id) {
                self.0.register(param.id, gradient.mul_scalar(self.1));
            }
        }
    }
    model.visit(&mut Scale(gradients, factor));
}
