//! Graphs of the stages of a backward pass, and sums of their gradients.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Gradients, Tensor};

/// Begins the graph of a stage.
pub(crate) fn leaf(values: Tensor<2>) -> Tensor<2> {
    Tensor::from_inner(values).require_grad()
}

/// Adds the gradients of a stage's graph to `total`. A tied embedding gets a share from both of its ends.
pub(crate) fn add_graph(total: &mut GradientsParams, gradients: Gradients, stage: &impl Module) {
    add_all(total, GradientsParams::from_grads(gradients, stage), stage);
}

/// Adds the gradients of a module's parameters to `total`, in place where `total` has them already.
pub fn add_all(total: &mut GradientsParams, gradients: GradientsParams, module: &impl Module) {
    struct Add<'a>(&'a mut GradientsParams, GradientsParams);
    impl ModuleVisitor for Add<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(new) = self.1.remove::<D>(param.id) {
                add_to(self.0, param, new);
            }
        }
    }
    module.visit(&mut Add(total, gradients));
}

/// Adds to the gradient of one parameter.
pub(crate) fn add_to<const D: usize>(total: &mut GradientsParams, param: &Param<Tensor<D>>, new: Tensor<D>) {
    let sum = match total.remove::<D>(param.id) {
        Some(old) => old + new,
        None => new,
    };
    total.register(param.id, sum);
}
