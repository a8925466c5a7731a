//! Log-probabilities of given tokens: the one place where logits of position `t - 1` meet token `t`.

use burn::tensor::{DType, Int, Tensor, TensorData, activation::log_softmax};

use crate::batch::TokenBatch;
use crate::transformer::Transformer;

/// Per-token columns of a batch. Column `t` speaks of token `t`; column 0 and padding hold 0.
#[derive(Debug, Clone)]
pub struct TokenLogprobs {
    /// `log p(token_t | tokens before it)` at the wanted tokens, else 0. `[B, T]`, f32, nats.
    pub logprobs: Tensor<2>,
    /// Entropy of the distribution that token `t` was drawn from, if asked for. `[B, T]`, f32, nats.
    pub entropies: Option<Tensor<2>>,
}

/// Log-probabilities of the tokens of a batch under the model, scaled by temperature before any truncation: the same
/// rule as the sampler's. Only rows of wanted tokens reach the vocabulary, so prompts and tool output cost no logits.
///
/// # Shapes
/// - `batch`: `B` rows of up to `T` tokens
/// - `wanted`: `B·T` flags, row by row; token 0 of a row has no log-probability and is never taken
pub fn token_logprobs(
    model: &Transformer,
    batch: &TokenBatch,
    wanted: &[bool],
    temperature: f64,
    with_entropy: bool,
) -> TokenLogprobs {
    let (rows, columns) = (batch.rows(), batch.columns);
    assert_eq!(wanted.len(), rows * columns, "one flag per token");
    assert!(temperature > 0.0, "log-probabilities need a temperature above 0");
    let (mut sources, mut targets, mut tokens) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..rows {
        for t in (1..batch.lengths[row]).filter(|t| wanted[row * columns + t]) {
            sources.push((row * columns + t - 1) as i32);
            targets.push((row * columns + t) as i32);
            tokens.push(batch.tokens[row * columns + t] as i32);
        }
    }
    let hidden = model.hidden(batch);
    let device = hidden.device();
    let zeros = || Tensor::<1>::zeros([rows * columns], (&device, DType::F32));
    let n = tokens.len();
    if n == 0 {
        let logprobs = zeros().reshape([rows, columns]);
        return TokenLogprobs { logprobs, entropies: with_entropy.then(|| zeros().reshape([rows, columns])) };
    }
    let index = |v: Vec<i32>| Tensor::<1, Int>::from_data(TensorData::new(v, [n]), &device);
    let targets = index(targets);
    let logits = model.logits(hidden.select(0, index(sources))).cast(DType::F32);
    let scaled = if temperature == 1.0 { logits } else { logits.div_scalar(temperature) };
    let logp = log_softmax(scaled, 1);
    let place = |values: Tensor<1>| {
        zeros()
            .select_assign(0, targets.clone(), values, burn::tensor::IndexingUpdateOp::Add)
            .reshape([rows, columns])
    };
    let entropies = with_entropy.then(|| {
        let entropy = (logp.clone().exp() * logp.clone()).sum_dim(1).neg();
        place(entropy.squeeze_dim(1))
    });
    let chosen = logp.gather(1, index(tokens).unsqueeze_dim(1));
    TokenLogprobs { logprobs: place(chosen.squeeze_dim(1)), entropies }
}
