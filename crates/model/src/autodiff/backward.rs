//! The gradient of a loss over log-probabilities, in stages.
//!
//! Burn keeps every intermediate value of a graph. The vocabulary is therefore a separate stage, cut into
//! chunks of rows: their logits are computed once for the loss and once for the gradient, and `[N, V]` never
//! exists as a whole. The blocks below it are one graph, as far down as memory allows. Each block below those
//! is a stage (arXiv:1604.06174): the forward pass keeps its input, and the backward pass computes it again
//! with its graph.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Gradients, Tensor};

use super::graph::{add_graph, leaf};
use super::head::head;
use crate::autodiff::logprobs::{LogprobQuery, TokenLogprobs};
use crate::layers::balance::{Balance, Routed};
use crate::transformer::Transformer;

/// Returns the gradients of `loss` and the second value that `loss` returns; see [`add_gradients`].
pub fn gradients<S>(
    model: &Transformer,
    query: &LogprobQuery<'_>,
    kept: usize,
    loss: impl FnOnce(TokenLogprobs) -> (Tensor<1>, S),
) -> (GradientsParams, S) {
    let mut total = GradientsParams::new();
    let aux = add_gradients(&mut total, model, query, kept, loss);
    (total, aux)
}

/// Adds the gradients of `loss` to `total` and returns the second value that `loss` returns.
///
/// - `total`: gradients accumulated so far
/// - `model`: on an autodiff device; its load-balancing loss has a gradient too if it is [balancing]
/// - `query`: the log-probabilities (and entropies) that `loss` gets
/// - `kept`: the number of last blocks whose graphs are kept; each block before them is computed twice, so
///   that memory holds the graph of one of these at a time. The gradients are the same up to rounding
///
/// [balancing]: Transformer::balancing
pub fn add_gradients<S>(
    total: &mut GradientsParams,
    model: &Transformer,
    query: &LogprobQuery<'_>,
    kept: usize,
    loss: impl FnOnce(TokenLogprobs) -> (Tensor<1>, S),
) -> S {
    let packed = model.packs(query.batch);
    let below = model.layers.len().saturating_sub(kept);
    let (start, mut inputs, mut routed) = if below == 0 {
        (model.embed(query.batch, packed), Vec::new(), Vec::new())
    } else {
        let (mut inputs, routed) = inputs_of_blocks(&model.valid(), query, below);
        (leaf(inputs.pop().expect("the embedding comes first")), inputs, routed)
    };
    let pass = model.whole(query.batch);
    let blocks = (below..).zip(&model.layers[below..]);
    let hidden = blocks.fold(start.clone(), |x, (layer, block)| block.forward(x, &pass, layer, None));
    let hidden = model.norm.forward(hidden);
    let without_graph = routed.len();
    routed.extend(pass.take_routed());
    let balance = Balance::new(&routed, query.batch, packed, model.balance);
    let loss = |answer: TokenLogprobs| loss(TokenLogprobs { balance: balance.value(), ..answer });
    let (upstream, aux) = head(model, hidden.clone().inner(), query, loss, total);
    // If only the head is trained, there is no graph below it.
    let Some(upstream) = upstream.filter(|_| hidden.is_tracked()) else { return aux };
    let within = balance.loss(routed.split_off(without_graph));
    if below == 0 {
        add_graph(total, backward(hidden, upstream, within), model);
        return aux;
    }
    let mut upstream = through(model, (hidden, within), upstream, &start, total);
    drop(start);
    for (layer, block) in model.layers[..below].iter().enumerate().rev() {
        let input = leaf(inputs.pop().expect("one input per block"));
        let output = block.forward(input.clone(), &pass, layer, None);
        let balance = balance.loss(pass.take_routed());
        upstream = through(block, (output, balance), upstream, &input, total);
    }
    if model.embed_tokens.weight.val().is_require_grad() {
        let embedded = model.embed(query.batch, packed);
        add_graph(total, backward(embedded, upstream, None), &model.embed_tokens);
    }
    aux
}

/// Returns the inputs of the first blocks up to block `end`, and the decisions of the routers before it,
/// computed without a graph.
fn inputs_of_blocks(
    model: &Transformer,
    query: &LogprobQuery<'_>,
    end: usize,
) -> (Vec<Tensor<2>>, Vec<Routed>) {
    let pass = model.whole(query.batch);
    let mut inputs = vec![model.embed(query.batch, model.packs(query.batch))];
    for (layer, block) in model.layers[..end].iter().enumerate() {
        let x = inputs.last().expect("the embedding comes first").clone();
        inputs.push(block.forward(x, &pass, layer, None));
    }
    (inputs, pass.take_routed())
}

/// Returns the gradients of a graph, given the gradient with respect to its output, and of a loss within it.
fn backward(output: Tensor<2>, upstream: Tensor<2>, within: Option<Tensor<1>>) -> Gradients {
    let sum = (output * Tensor::from_inner(upstream)).sum();
    let sum = match within {
        Some(within) => within.cast(sum.dtype()) + sum,
        None => sum,
    };
    sum.backward()
}

/// Runs the backward pass of one stage: takes the gradient with respect to its output, returns that of its
/// input.
fn through(
    stage: &impl Module,
    (output, within): (Tensor<2>, Option<Tensor<1>>),
    upstream: Tensor<2>,
    input: &Tensor<2>,
    total: &mut GradientsParams,
) -> Tensor<2> {
    let mut gradients = backward(output, upstream, within);
    let grad = input.grad_remove(&mut gradients).expect("a stage depends on its input");
    add_graph(total, gradients, stage);
    grad
}
