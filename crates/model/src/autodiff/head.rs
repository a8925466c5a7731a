//! The vocabulary's share of a gradient: from hidden states to a loss and back, one chunk of logits at a
//! time.

use burn::optim::GradientsParams;
use burn::tensor::{DType, IndexingUpdateOp, Tensor};

use super::graph::{add_to, leaf};
use crate::autodiff::logprobs::{
    LogprobQuery, Positions, TokenLogprobs, chunks, grad_logits, logits, picked_logprobs,
};
use crate::transformer::Transformer;

/// Evaluates `loss` on the log-probabilities of a query and adds the gradient of the vocabulary's weights to
/// `total`.
///
/// Returns the gradient with respect to the hidden states (none if the query wants no token) and the second
/// value that `loss` returns.
///
/// # Shapes
/// - `hidden`: `[N, hidden]`, normalised, without a graph → the same
pub(crate) fn head<S>(
    model: &Transformer,
    hidden: Tensor<2>,
    query: &LogprobQuery<'_>,
    loss: impl FnOnce(TokenLogprobs) -> (Tensor<1>, S),
    total: &mut GradientsParams,
) -> (Option<Tensor<2>>, S) {
    let (positions, device, shape) = (Positions::of(query, model), hidden.device(), hidden.dims());
    let weight = model.vocabulary();
    let trained = weight.val().is_require_grad();
    let plain = weight.val().inner().cast(hidden.dtype());
    let config = model.config();
    let scores = |rows: Tensor<2>| logits(rows, plain.clone(), config, query.temperature);
    if positions.tokens.is_empty() {
        return (None, loss(positions.place(None, None, query, &device)).1);
    }
    let rows = hidden.select(0, positions.sources(&device));
    let chunks: Vec<_> = chunks(positions.tokens.len(), config.vocab_size)
        .map(|(start, length)| (start, length, &positions.tokens[start..start + length]))
        .collect();
    // A single chunk is kept, so it isn't computed twice.
    let mut kept = (chunks.len() == 1).then(|| scores(rows.clone()));
    let (mut logprobs, mut entropies) = (Vec::new(), Vec::new());
    for &(start, length, tokens) in &chunks {
        let logits = kept.clone().unwrap_or_else(|| scores(rows.clone().narrow(0, start, length)));
        let (logprob, entropy) = picked_logprobs(logits, tokens, query);
        logprobs.push(logprob);
        entropies.extend(entropy);
    }
    let entropies = query.with_entropy.then(|| Tensor::cat(entropies, 0));
    let outputs = positions.place(Some(Tensor::cat(logprobs, 0)), entropies, query, &device);
    let (grads, aux) = output_grads(outputs, &positions, loss);
    let mut upstream = Vec::new();
    for &(start, length, tokens) in &chunks {
        let rows = rows.clone().narrow(0, start, length);
        let logits = kept.take().unwrap_or_else(|| scores(rows.clone()));
        // The logits are scores divided by two numbers, and so is the gradient.
        let divisor = query.temperature * config.logits.divisor;
        let part = |column: &Tensor<1>| column.clone().narrow(0, start, length).div_scalar(divisor);
        let parts = (part(&grads.0), grads.1.as_ref().map(part));
        let slopes = config.logits.slopes(&logits, query.temperature);
        let grad_scores = match (grad_logits(logits, tokens, parts), slopes) {
            (grad, Some(slopes)) => grad * slopes,
            (grad, None) => grad,
        };
        let grad_scores = grad_scores.cast(rows.dtype());
        upstream.push(grad_scores.clone().matmul(plain.clone()));
        if trained {
            add_to(total, weight, grad_scores.transpose().matmul(rows).cast(weight.val().dtype()));
        }
    }
    let rows = Tensor::cat(upstream, 0);
    let upstream = Tensor::zeros(shape, (&device, rows.dtype()));
    (Some(upstream.select_assign(0, positions.sources(&device), rows, IndexingUpdateOp::Add)), aux)
}

/// Returns the gradients of the loss with respect to log-probabilities and entropies, `[N]` at the wanted
/// tokens, and the second value that `loss` returns.
fn output_grads<S>(
    outputs: TokenLogprobs,
    positions: &Positions,
    loss: impl FnOnce(TokenLogprobs) -> (Tensor<1>, S),
) -> ((Tensor<1>, Option<Tensor<1>>), S) {
    let TokenLogprobs { logprobs, entropies, balance } = outputs;
    let leaves = TokenLogprobs { logprobs: leaf(logprobs), entropies: entropies.map(leaf), balance };
    let (value, aux) = loss(leaves.clone());
    let gradients = value.backward();
    let grad = |column: &Tensor<2>| {
        let grads = column.grad(&gradients).unwrap_or_else(|| column.clone().inner().zeros_like());
        let [rows, columns] = grads.dims();
        let targets = positions.targets(&grads.device());
        grads.cast(DType::F32).reshape([rows * columns]).select(0, targets)
    };
    ((grad(&leaves.logprobs), leaves.entropies.as_ref().map(grad)), aux)
}
