//! The vocabulary's part of a gradient: from hidden states to a loss and back, a chunk of logits at a time.

use burn::optim::GradientsParams;
use burn::tensor::{DType, IndexingUpdateOp, Tensor};

use crate::backward::{add_to, leaf};
use crate::logprobs::{Positions, Question, TokenLogprobs, chosen, chunks, logits, slope_by_logits};
use crate::transformer::Transformer;

/// Evaluates `loss` on the answer to a question, adds the gradient of the vocabulary's weights to `total`, and returns
/// the slope of the loss by the hidden states, none if no token is wanted, and what else `loss` returns.
///
/// # Shapes
/// - `hidden`: `[N, hidden]`, normalised, without a graph → the same
pub(crate) fn head<S>(
    model: &Transformer,
    hidden: Tensor<2>,
    question: &Question<'_>,
    loss: impl FnOnce(TokenLogprobs) -> (Tensor<1>, S),
    total: &mut GradientsParams,
) -> (Option<Tensor<2>>, S) {
    let (positions, device, shape) = (Positions::of(question, model), hidden.device(), hidden.dims());
    let weight = model.vocabulary();
    let trained = weight.val().is_require_grad();
    let plain = weight.val().inner().cast(hidden.dtype());
    let scores = |rows: Tensor<2>| logits(rows, plain.clone(), question.temperature);
    if positions.tokens.is_empty() {
        return (None, loss(positions.place(None, None, question, &device)).1);
    }
    let rows = hidden.select(0, positions.sources(&device));
    let chunks: Vec<_> = chunks(positions.tokens.len(), model.config().vocab_size)
        .map(|(start, length)| (start, length, &positions.tokens[start..start + length]))
        .collect();
    // What fits into one chunk isn't computed twice.
    let mut kept = (chunks.len() == 1).then(|| scores(rows.clone()));
    let (mut logprobs, mut entropies) = (Vec::new(), Vec::new());
    for &(start, length, tokens) in &chunks {
        let logits = kept.clone().unwrap_or_else(|| scores(rows.clone().narrow(0, start, length)));
        let (logprob, entropy) = chosen(logits, tokens, question);
        logprobs.push(logprob);
        entropies.extend(entropy);
    }
    let entropies = question.with_entropy.then(|| Tensor::cat(entropies, 0));
    let answer = positions.place(Some(Tensor::cat(logprobs, 0)), entropies, question, &device);
    let (slopes, told) = slopes(answer, &positions, loss);
    let mut upstream = Vec::new();
    for &(start, length, tokens) in &chunks {
        let rows = rows.clone().narrow(0, start, length);
        let logits = kept.take().unwrap_or_else(|| scores(rows.clone()));
        // By logits divided by the temperature; by the scores before, the slope is as much smaller.
        let part =
            |column: &Tensor<1>| column.clone().narrow(0, start, length).div_scalar(question.temperature);
        let by_logits = slope_by_logits(logits, tokens, (part(&slopes.0), slopes.1.as_ref().map(part)));
        let by_scores = by_logits.cast(rows.dtype());
        upstream.push(by_scores.clone().matmul(plain.clone()));
        if trained {
            add_to(total, weight, by_scores.transpose().matmul(rows).cast(weight.val().dtype()));
        }
    }
    let rows = Tensor::cat(upstream, 0);
    let upstream = Tensor::zeros(shape, (&device, rows.dtype()));
    (Some(upstream.select_assign(0, positions.sources(&device), rows, IndexingUpdateOp::Add)), told)
}

/// The loss's slopes by log-probability and entropy at the wanted tokens, `[N]`, and what else `loss` returns.
fn slopes<S>(
    answer: TokenLogprobs,
    positions: &Positions,
    loss: impl FnOnce(TokenLogprobs) -> (Tensor<1>, S),
) -> ((Tensor<1>, Option<Tensor<1>>), S) {
    let asked = TokenLogprobs { logprobs: leaf(answer.logprobs), entropies: answer.entropies.map(leaf) };
    let (value, told) = loss(asked.clone());
    let by_answer = value.backward();
    let slope = |column: &Tensor<2>| {
        let slopes = column.grad(&by_answer).unwrap_or_else(|| column.clone().inner().zeros_like());
        let [rows, columns] = slopes.dims();
        let targets = positions.targets(&slopes.device());
        slopes.cast(DType::F32).reshape([rows * columns]).select(0, targets)
    };
    ((slope(&asked.logprobs), asked.entropies.as_ref().map(slope)), told)
}
