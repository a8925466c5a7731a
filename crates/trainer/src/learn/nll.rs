//! Takes steps on given tokens by their negative log-probability, for a cold start and the check of a device.

use burn::optim::GradientsParams;
use turnwise_model::{LogprobQuery, TokenBatch, Transformer, add_gradients};
use turnwise_trajectory::TokenId;

use crate::config::OptimizerConfig;
use crate::device::workers;
use crate::learn::learner::{Split, accumulate};
use crate::learn::optimizer::Optimizer;

/// Holds a sequence of tokens and marks those that the policy should learn to write.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// All tokens.
    pub tokens: Vec<TokenId>,
    /// Whether a token belongs to an assistant turn (its end included).
    pub mask: Vec<bool>,
}

/// Takes one step on examples. Returns the model and the loss before the step, a mean negative
/// log-probability per trained token in nats.
pub fn step(
    model: Transformer,
    optimizer: &mut Optimizer,
    examples: &[Example],
    config: &OptimizerConfig,
) -> (Transformer, f64) {
    let split = Split {
        tokens: config.micro_batch_tokens,
        workers: workers::count(&model.device()),
        shards: config.shards,
        recompute: config.recompute,
        balance: config.router_aux_loss_coef,
        rank: (0, 1),
    };
    let (gradients, loss) = nll_gradient(&model, examples, split);
    (optimizer.step(model, gradients).0, loss)
}

fn nll_gradient(model: &Transformer, examples: &[Example], split: Split) -> (GradientsParams, f64) {
    let lengths: Vec<usize> = examples.iter().map(|e| e.tokens.len()).collect();
    let trained: usize = examples.iter().map(|e| e.mask.iter().filter(|m| **m).count()).sum();
    let (gradients, losses) = accumulate(model, &lengths, split, |total, model, rows, kept| {
        let batch =
            TokenBatch::new(&rows.iter().map(|&row| examples[row].tokens.as_slice()).collect::<Vec<_>>());
        let wanted: Vec<bool> = rows
            .iter()
            .flat_map(|&row| {
                (0..batch.columns).map(move |t| examples[row].mask.get(t).copied().unwrap_or(false))
            })
            .collect();
        let question = LogprobQuery { batch: &batch, wanted: &wanted, temperature: 1.0, with_entropy: false };
        add_gradients(total, model, &question, kept, |answer| {
            let loss = answer.logprobs.sum().div_scalar(-(trained as f64));
            let value = f64::from(loss.clone().inner().into_scalar::<f32>());
            (loss, value)
        })
    });
    (gradients, losses.into_iter().sum())
}
