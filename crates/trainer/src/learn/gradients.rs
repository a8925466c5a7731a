//! Sums of gradients and their global norm.

use burn::module::{Module, ModuleVisitor, Param, ParamId};
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
    root_of_sum(squares(model, gradients).into_iter().map(|(_, square)| square))
}

/// Returns the sum of squared entries of each parameter's gradient, in the order of the model.
pub(crate) fn squares(model: &Transformer, gradients: &GradientsParams) -> Vec<(ParamId, f32)> {
    struct Squares<'a>(&'a GradientsParams, Vec<ParamId>, Vec<Tensor<1>>);
    impl ModuleVisitor for Squares<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.get::<D>(param.id) {
                self.1.push(param.id);
                self.2.push(gradient.cast(DType::F32).square().sum());
            }
        }
    }
    let mut squares = Squares(gradients, Vec::new(), Vec::new());
    model.visit(&mut squares);
    squares.1.into_iter().zip(numbers(squares.2)).collect()
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
    root_of_sum(numbers(squares.0))
}

/// Returns the square root of a sum in f64.
pub(crate) fn root_of_sum(squares: impl IntoIterator<Item = f32>) -> f64 {
    squares.into_iter().map(f64::from).sum::<f64>().sqrt()
}

/// Reads sums, all at once.
fn numbers(sums: Vec<Tensor<1>>) -> Vec<f32> {
    if sums.is_empty() {
        return Vec::new();
    }
    Tensor::cat(sums, 0).into_data().try_into_vec().expect("sums were taken in f32")
}

/// Takes the gradients of some parameters out of all.
pub(crate) fn take(
    model: &Transformer,
    gradients: &mut GradientsParams,
    wanted: impl Fn(ParamId) -> bool,
) -> GradientsParams {
    struct Take<'a, W>(&'a mut GradientsParams, GradientsParams, W);
    impl<W: Fn(ParamId) -> bool> ModuleVisitor for Take<'_, W> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if !(self.2)(param.id) {
                return;
            }
            if let Some(gradient) = self.0.remove::<D>(param.id) {
                self.1.register(param.id, gradient);
            }
        }
    }
    let mut take = Take(gradients, GradientsParams::new(), wanted);
    model.visit(&mut take);
    take.1
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
