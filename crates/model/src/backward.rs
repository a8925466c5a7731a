//! The gradient of a loss over log-probabilities, in stages.
//!
//! Burn keeps every intermediate value of a graph. So the vocabulary is a stage of its own, cut into chunks of rows whose
//! logits are made once for the loss and once more for the gradient: `[N, V]` never exists as a whole. Below it the
//! blocks are one graph, or, for a fraction of the memory, a stage each (arXiv:1604.06174): the forward pass keeps one
//! hidden state per block, and going backward each block is computed once more with a graph of its own.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Gradients, Tensor};

use crate::head::head;
use crate::logprobs::{Question, TokenLogprobs};
use crate::transformer::Transformer;

/// Gradients of `loss` by the parameters of a model on an autodiff device, and what else `loss` returns: see
/// [`add_gradients`].
pub fn gradients<S>(
    model: &Transformer,
    question: &Question<'_>,
    recompute: bool,
    loss: impl FnOnce(TokenLogprobs) -> (Tensor<1>, S),
) -> (GradientsParams, S) {
    let mut total = GradientsParams::new();
    let told = add_gradients(&mut total, model, question, recompute, loss);
    (total, told)
}

/// Adds the gradients of `loss` by the parameters of a model on an autodiff device to `total`, stage by stage, and
/// returns what else `loss` returns. `loss` gets the log-probabilities (and entropies) that the question asks for. With
/// `recompute` every block is computed twice and memory holds one block's graph at a time; the gradients are the same up
/// to rounding.
pub fn add_gradients<S>(
    total: &mut GradientsParams,
    model: &Transformer,
    question: &Question<'_>,
    recompute: bool,
    loss: impl FnOnce(TokenLogprobs) -> (Tensor<1>, S),
) -> S {
    if !recompute {
        let hidden = model.hidden(question.batch);
        let (upstream, told) = head(model, hidden.clone().inner(), question, loss, total);
        // Below a head that is trained alone there is no graph.
        if let Some(upstream) = upstream.filter(|_| hidden.is_tracked()) {
            add(total, backward(hidden, upstream), model);
        }
        return told;
    }
    let mut inputs = inputs_of_blocks(&model.valid(), question);
    let last = leaf(inputs.pop().expect("the embedding comes first"));
    let hidden = model.norm.forward(last.clone());
    let (upstream, told) = head(model, hidden.clone().inner(), question, loss, total);
    let Some(upstream) = upstream else { return told };
    let mut upstream = through(&model.norm, hidden, upstream, &last, total);
    drop(last);
    let pass = model.whole(question.batch);
    for (layer, block) in model.layers.iter().enumerate().rev() {
        let input = leaf(inputs.pop().expect("one input per block"));
        let output = block.forward(input.clone(), &pass, layer, None);
        upstream = through(block, output, upstream, &input, total);
    }
    if model.embed_tokens.weight.val().is_require_grad() {
        let embedded = model.embed(question.batch, model.packs(question.batch));
        add(total, backward(embedded, upstream), &model.embed_tokens);
    }
    told
}

/// A forward pass without a graph: the input of every block, and of the final norm.
fn inputs_of_blocks(model: &Transformer, question: &Question<'_>) -> Vec<Tensor<2>> {
    let pass = model.whole(question.batch);
    let mut inputs = vec![model.embed(question.batch, model.packs(question.batch))];
    for (layer, block) in model.layers.iter().enumerate() {
        let x = inputs.last().expect("the embedding comes first").clone();
        inputs.push(block.forward(x, &pass, layer, None));
    }
    inputs
}

/// Where a stage's graph begins.
pub(crate) fn leaf(values: Tensor<2>) -> Tensor<2> {
    Tensor::from_inner(values).require_grad()
}

/// Gradients of a graph from the slope by its output.
fn backward(output: Tensor<2>, upstream: Tensor<2>) -> Gradients {
    (output * Tensor::from_inner(upstream)).sum().backward()
}

/// One stage: from the slope by its output to the slope by its input.
fn through(
    stage: &impl Module,
    output: Tensor<2>,
    upstream: Tensor<2>,
    input: &Tensor<2>,
    total: &mut GradientsParams,
) -> Tensor<2> {
    let mut gradients = backward(output, upstream);
    let slope = input.grad_remove(&mut gradients).expect("a stage depends on its input");
    add(total, gradients, stage);
    slope
}

/// Adds what a stage's graph says of its parameters. A tied embedding gets something from both ends.
fn add(total: &mut GradientsParams, gradients: Gradients, stage: &impl Module) {
    struct Add<'a>(&'a mut GradientsParams, GradientsParams);
    impl ModuleVisitor for Add<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(new) = self.1.remove::<D>(param.id) {
                add_to(self.0, param, new);
            }
        }
    }
    stage.visit(&mut Add(total, GradientsParams::from_grads(gradients, stage)));
}

/// Adds to the gradient of one parameter, in place where it is there already.
pub(crate) fn add_to<const D: usize>(total: &mut GradientsParams, param: &Param<Tensor<D>>, new: Tensor<D>) {
    let sum = match total.remove::<D>(param.id) {
        Some(old) => old + new,
        None => new,
    };
    total.register(param.id, sum);
}
