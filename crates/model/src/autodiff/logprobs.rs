//! Log-probabilities of given tokens: the one place where logits of position `t - 1` meet token `t`.

use burn::tensor::{
    DType, Device, IndexingUpdateOp, Int, Tensor, TensorData,
    activation::{log_softmax, softmax},
};

use crate::batch::TokenBatch;
use crate::config::ModelConfig;
use crate::cpu::fused::{
    OutputGrads, modify_in_place, pick_logprobs, read_values, supports_host_ops, write_grad_logits,
};
use crate::transformer::Transformer;

/// Holds columns `[B, T]` with one entry per token of a batch. Entry `t` belongs to token `t`; entry 0 and
/// padding are 0.
#[derive(Debug, Clone)]
pub struct TokenLogprobs {
    /// `log p(token_t | tokens before it)` at the wanted tokens, else 0. `[B, T]`, f32, nats.
    pub logprobs: Tensor<2>,
    /// Entropy of the distribution of token `t`, if the query has `with_entropy`. `[B, T]`, f32, nats.
    pub entropies: Option<Tensor<2>>,
    /// Load-balancing loss of the batch, times its factor. Only gradients of a [balancing] model compute it.
    ///
    /// [balancing]: Transformer::balancing
    pub balance: Option<f64>,
}

/// Selects the tokens of a batch whose log-probabilities are computed.
#[derive(Debug, Clone, Copy)]
pub struct LogprobQuery<'a> {
    /// `B` rows of up to `T` tokens.
    pub batch: &'a TokenBatch,
    /// `B·T` flags, row by row. Token 0 of a row has no log-probability; its flag is ignored.
    pub wanted: &'a [bool],
    /// Divisor of the logits, above 0. The sampler follows the same rule, before any truncation.
    pub temperature: f64,
    /// Whether entropies are computed too.
    pub with_entropy: bool,
}

/// Computes log-probabilities of the wanted tokens, in nats; [`LogprobQuery`] explains the arguments.
///
/// # Shapes
/// - `batch`: `B` rows of up to `T` tokens, `wanted`: `B·T` flags
/// - returns columns `[B, T]`
pub fn token_logprobs(
    model: &Transformer,
    batch: &TokenBatch,
    wanted: &[bool],
    temperature: f64,
    with_entropy: bool,
) -> TokenLogprobs {
    logprobs_of(model, model.hidden(batch), &LogprobQuery { batch, wanted, temperature, with_entropy })
}

/// Computes the log-probabilities of a query from final hidden states.
///
/// Only rows of wanted tokens are multiplied with the vocabulary, so prompts and tool output cost no logits.
/// The rows are cut into chunks, so `[N, V]` never exists as a whole. With a graph all chunks are kept for
/// its backward pass; [`gradients`](crate::gradients) keeps none.
///
/// # Shapes
/// - `hidden`: `[N, hidden]`, normalised
pub(crate) fn logprobs_of(model: &Transformer, hidden: Tensor<2>, query: &LogprobQuery<'_>) -> TokenLogprobs {
    let positions = Positions::of(query, model);
    let device = hidden.device();
    if positions.tokens.is_empty() {
        return positions.place(None, None, query, &device);
    }
    let hidden = hidden.select(0, positions.sources(&device));
    let weight = model.vocabulary().val().cast(hidden.dtype());
    let (mut logprobs, mut entropies) = (Vec::new(), Vec::new());
    for (start, length) in chunks(positions.tokens.len(), model.config().vocab_size) {
        let rows = hidden.clone().narrow(0, start, length);
        let logits = logits(rows, weight.clone(), model.config(), query.temperature);
        let (logprob, entropy) = picked_logprobs(logits, &positions.tokens[start..start + length], query);
        logprobs.push(logprob);
        entropies.extend(entropy);
    }
    let entropies = query.with_entropy.then(|| Tensor::cat(entropies, 0));
    positions.place(Some(Tensor::cat(logprobs, 0)), entropies, query, &device)
}

/// Number of logits that exist at once: 48 MiB in f32.
const CHUNK: usize = 3 << 22;
/// Minimum number of rows in a chunk. Each chunk computes a gradient of the whole vocabulary's weights, which
/// fewer rows would not repay.
const MIN_ROWS: usize = 192;

/// Returns the maximum number of rows of logits that exist at once.
pub fn chunk_rows(vocabulary: usize) -> usize {
    (CHUNK / vocabulary).max(MIN_ROWS)
}

/// Cuts `rows` rows of logits into even chunks and returns their starts and lengths.
pub(crate) fn chunks(rows: usize, vocabulary: usize) -> impl Iterator<Item = (usize, usize)> {
    let pieces = rows.div_ceil(chunk_rows(vocabulary)).max(1);
    let size = rows.div_ceil(pieces).max(1);
    (0..rows).step_by(size).map(move |start| (start, size.min(rows - start)))
}

/// Computes logits, divided by the temperature.
///
/// # Shapes
/// - `hidden`: `[N, hidden]`, `weight`: `[V, hidden]` → `[N, V]`, f32
pub(crate) fn logits(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    config: &ModelConfig,
    temperature: f64,
) -> Tensor<2> {
    assert!(temperature > 0.0, "log-probabilities need a temperature above 0");
    let logits = config.logits.apply(hidden.matmul(weight.transpose()).cast(DType::F32));
    if temperature == 1.0 { logits } else { logits.div_scalar(temperature) }
}

/// Returns the log-probability of one token per row of logits, and the entropy of each row if the query wants
/// it.
///
/// # Shapes
/// - `logits`: `[N, V]`, `tokens`: `N` → `[N]`, f32
pub(crate) fn picked_logprobs(
    logits: Tensor<2>,
    tokens: &[i32],
    query: &LogprobQuery<'_>,
) -> (Tensor<1>, Option<Tensor<1>>) {
    let device = logits.device();
    if supports_host_ops(&logits) && !device.is_autodiff() {
        let rows = read_values(logits, |logits| pick_logprobs(logits, tokens));
        let column = |at: usize| {
            Tensor::from_data(
                TensorData::new(rows.iter().map(|row| row[at]).collect(), [rows.len()]),
                &device,
            )
        };
        return (column(0), query.with_entropy.then(|| column(1)));
    }
    let index = index(tokens, &device);
    let logp = log_softmax(logits, 1);
    let entropy =
        query.with_entropy.then(|| (logp.clone().exp() * logp.clone()).sum_dim(1).neg().squeeze_dim(1));
    (logp.gather(1, index.unsqueeze_dim(1)).squeeze_dim(1), entropy)
}

/// Computes the gradient with respect to logits from those with respect to log-probability and entropy:
/// `∂logp(a)/∂l = onehot(a) - p` and `∂H/∂l = -p·(log p + H)`.
///
/// # Shapes
/// - `logits`: `[N, V]`, without a graph; `tokens`: `N`; gradients: `[N]` each → `[N, V]`
pub(crate) fn grad_logits(
    logits: Tensor<2>,
    tokens: &[i32],
    (grad_logprob, grad_entropy): (Tensor<1>, Option<Tensor<1>>),
) -> Tensor<2> {
    if supports_host_ops(&logits) && !logits.device().is_autodiff() {
        let (logprob, entropy) = (values(grad_logprob), grad_entropy.map(values));
        let grads = OutputGrads { logprob: &logprob, entropy: entropy.as_deref() };
        return modify_in_place(logits, |logits| write_grad_logits(logits, tokens, &grads));
    }
    let index = index(tokens, &logits.device()).unsqueeze_dim(1);
    let grad_logprob: Tensor<2> = grad_logprob.unsqueeze_dim(1);
    let grad = match grad_entropy {
        None => softmax(logits, 1) * grad_logprob.clone().neg(),
        Some(grad_entropy) => {
            let logp = log_softmax(logits, 1);
            let p = logp.clone().exp();
            let entropy = (p.clone() * logp.clone()).sum_dim(1).neg();
            p * ((logp + entropy) * grad_entropy.unsqueeze_dim(1) + grad_logprob.clone()).neg()
        }
    };
    grad.scatter(1, index, grad_logprob, IndexingUpdateOp::Add)
}

fn values(column: Tensor<1>) -> Vec<f32> {
    column.into_data_dtype(DType::F32).try_into_vec().expect("data was just converted to f32")
}

fn index(values: &[i32], device: &Device) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}

/// Holds the positions of the wanted tokens, and of the hidden states that predict them.
pub(crate) struct Positions {
    sources: Vec<i32>,
    targets: Vec<i32>,
    pub(crate) tokens: Vec<i32>,
}

impl Positions {
    pub(crate) fn of(query: &LogprobQuery<'_>, model: &Transformer) -> Self {
        let (batch, wanted) = (query.batch, query.wanted);
        let (columns, starts) = (batch.columns, model.starts(batch));
        assert_eq!(wanted.len(), batch.rows() * columns, "one flag per token");
        let mut all = Self { sources: Vec::new(), targets: Vec::new(), tokens: Vec::new() };
        for row in 0..batch.rows() {
            for t in (1..batch.lengths[row]).filter(|t| wanted[row * columns + t]) {
                all.sources.push((starts[row] + t - 1) as i32);
                all.targets.push((row * columns + t) as i32);
                all.tokens.push(batch.tokens[row * columns + t] as i32);
            }
        }
        all
    }

    /// Returns the rows of hidden states, `[N]`.
    pub(crate) fn sources(&self, device: &Device) -> Tensor<1, Int> {
        index(&self.sources, device)
    }

    /// Returns the cells of the `[B·T]` columns, `[N]`.
    pub(crate) fn targets(&self, device: &Device) -> Tensor<1, Int> {
        index(&self.targets, device)
    }

    /// Writes values into the cells of the wanted tokens; all other cells are 0.
    pub(crate) fn place(
        &self,
        logprobs: Option<Tensor<1>>,
        entropies: Option<Tensor<1>>,
        query: &LogprobQuery<'_>,
        device: &Device,
    ) -> TokenLogprobs {
        let [rows, columns] = [query.batch.rows(), query.batch.columns];
        let put = |values: Option<Tensor<1>>| {
            let zeros = Tensor::<1>::zeros([rows * columns], (device, DType::F32));
            let filled = match values {
                Some(values) => zeros.select_assign(0, self.targets(device), values, IndexingUpdateOp::Add),
                None => zeros,
            };
            filled.reshape([rows, columns])
        };
        let entropies = query.with_entropy.then(|| put(entropies));
        TokenLogprobs { logprobs: put(logprobs), entropies, balance: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_logits_are_cut_evenly_and_never_more_than_may_exist() {
        let check = |rows, vocabulary, expect: &[usize]| {
            let pieces: Vec<_> = chunks(rows, vocabulary).collect();
            let lengths: Vec<_> = pieces.iter().map(|piece| piece.1).collect();
            assert_eq!(lengths, expect, "{rows} rows of {vocabulary}");
            let mut at = 0;
            for (start, length) in pieces {
                assert_eq!(start, at);
                assert!(length * vocabulary <= CHUNK.max(MIN_ROWS * vocabulary));
                at += length;
            }
            assert_eq!(at, rows);
        };
        check(1, 600, &[1]);
        check(8192, 600, &[8192]);
        check(1024, 49_152, &[256; 4]);
        check(1020, 49_152, &[255; 4]);
        check(1025, 49_152, &[205; 5]);
        // Qwen's vocabulary: 111 MiB at once instead of 1.2 GiB for 2,048 rows.
        check(2048, 151_936, &[187, 187, 187, 187, 187, 187, 187, 187, 187, 187, 178]);
    }
}
