//! Turns rows of tokens into one summed gradient: micro-batches over workers, added up in a fixed order.

use std::ops::Range;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use turnwise_credit::Sample;
use turnwise_loss::{LossBatch, LossConfig, LossSums};
use turnwise_model::{LogprobQuery, TokenBatch, Transformer, add_all, add_gradients, token_logprobs};

use crate::device::workers;
use crate::learn::activations::{Kept, is_fused};
use crate::learn::gradients::sum;
use crate::learn::micro_batch;
use crate::learn::shards::sum_in_tree;

/// Says how a gradient over many rows is split.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Split {
    /// Most tokens per micro-batch, with padding where there is any.
    pub(crate) tokens: usize,
    /// Workers.
    pub(crate) workers: usize,
    /// Shares of the micro-batches that are summed in a tree, a power of two; unset, one per worker in order.
    pub(crate) shards: Option<usize>,
    /// Whether each block is computed a second time instead of kept; unset, the size of the blocks decides,
    /// also on smaller micro-batches.
    pub(crate) recompute: Option<bool>,
    /// Factor of the load-balancing loss of models with experts, a mean over all rows.
    pub(crate) balance: f64,
    /// This rank and the number of ranks, among which shards are divided.
    pub(crate) rank: (usize, usize),
}

impl Split {
    /// Returns the part of `shards` shards that this rank has: neighbours, so that their sum is one of the
    /// tree's. With more ranks than shards some have none.
    fn mine(&self, shards: usize) -> Range<usize> {
        let (rank, ranks) = self.rank;
        let each = (shards / ranks).max(1);
        (rank * each).min(shards)..((rank + 1) * each).min(shards)
    }
}

/// Runs `gradient` on each micro-batch of rows with the given lengths. Its arguments are the gradients so
/// far, to which it adds, a model to differentiate, the indices of its rows and the blocks to keep; it
/// returns statistics for the caller. The result depends on the split only through rounding, and not on
/// timing. A rank returns the sum of its part.
pub(crate) fn accumulate<S: Send>(
    model: &Transformer,
    lengths: &[usize],
    split: Split,
    gradient: impl Fn(&mut GradientsParams, &Transformer, &[usize], usize) -> S + Sync,
) -> (GradientsParams, Vec<S>) {
    let (device, half) = (model.device(), model.dtype() != DType::F32);
    let shares = split.shards.unwrap_or(split.workers);
    let longest = lengths.iter().copied().max().unwrap_or(0);
    let kept = Kept::of(model.config(), (split.tokens, longest), split.recompute, half, &device);
    let batches = micro_batch::plan(lengths, kept.tokens, shares, is_fused(&device, half));
    let share = |number: usize, of: usize| {
        // Each share has separate leaves: a worker whose graph shared them would wait for the others' graphs.
        let leaves = model.valid().train().balancing(split.balance / lengths.len() as f64);
        let mut total = GradientsParams::new();
        let rows = batches.iter().skip(number).step_by(of);
        let told: Vec<S> = rows.map(|rows| gradient(&mut total, &leaves, rows, kept.blocks)).collect();
        (total, told)
    };
    let workers = split.workers.min(batches.len()).max(1);
    if let Some(shards) = split.shards {
        // Shards beyond the last micro-batch are empty, and add nothing to the tree.
        let shards = shards.min(batches.len().next_power_of_two());
        let mine = split.mine(shards);
        if mine.is_empty() {
            return (GradientsParams::new(), Vec::new());
        }
        return sum_in_tree(
            mine.len(),
            workers,
            |shard| share(mine.start + shard, shards),
            |left, right| {
                let ((mut total, mut told), (gradients, more)) = (left, right);
                add_all(&mut total, gradients, model);
                told.extend(more);
                (total, told)
            },
        );
    }
    let results = workers::run((0..workers).collect(), |worker| share(worker, workers));
    let (gradients, told): (Vec<_>, Vec<_>) = results.into_iter().unzip();
    (sum(model, gradients), told.into_iter().flatten().collect())
}

/// Holds the statistics of one pass over a minibatch.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct PolicyStats {
    /// The loss.
    pub(crate) loss: f64,
    /// Weighted sums over its tokens, by turn index.
    pub(crate) by_turn: Vec<LossSums>,
    /// Largest `|logp - rollout_logp|` over the trained tokens: the difference between trainer and sampler.
    pub(crate) logprob_gap: f64,
    /// Load-balancing loss, a mean over the minibatch's sequences; none without a coefficient.
    pub(crate) balance: Option<f64>,
    /// Row of the minibatch, and `logp - rollout_logp` of each of its trained tokens.
    pub(crate) log_ratios: Vec<(usize, Vec<f32>)>,
}

impl PolicyStats {
    /// Returns weighted means over all tokens.
    pub(crate) fn means(&self) -> LossSums {
        let mut sums = LossSums::default();
        self.by_turn.iter().for_each(|&turn| sums += turn);
        sums.means()
    }

    /// Adds up the statistics of all parts of the minibatch, in their order.
    pub(crate) fn of_parts(parts: &[Self]) -> Self {
        let mut total = Self::default();
        for part in parts {
            total.add(part);
        }
        total
    }

    /// Adds the statistics of another part of the minibatch.
    fn add(&mut self, part: &Self) {
        self.loss += part.loss;
        self.balance = self.balance.into_iter().chain(part.balance).reduce(|sum, part| sum + part);
        self.logprob_gap = self.logprob_gap.max(part.logprob_gap);
        self.log_ratios.extend_from_slice(&part.log_ratios);
        self.by_turn.resize(self.by_turn.len().max(part.by_turn.len()), LossSums::default());
        for (sums, &turn) in self.by_turn.iter_mut().zip(&part.by_turn) {
            *sums += turn;
        }
    }
}

/// Returns the gradient of the policy loss over samples, by their token weights, and the statistics of each
/// part of this rank. Each sample has a trained token.
pub(crate) fn policy_gradient(
    model: &Transformer,
    reference: Option<&Transformer>,
    samples: &[&Sample],
    config: &LossConfig,
    temperature: f64,
    split: Split,
) -> (GradientsParams, Vec<PolicyStats>) {
    let lengths: Vec<usize> = samples.iter().map(|sample| sample.len()).collect();
    let device = model.device().without_autodiff();
    let terms = config.loss().terms();
    accumulate(model, &lengths, split, |total, model, rows, kept| {
        let picked: Vec<&Sample> = rows.iter().map(|&row| samples[row]).collect();
        let batch = TokenBatch::new(&picked.iter().map(|s| s.tokens.as_slice()).collect::<Vec<_>>());
        let float = |column: &dyn Fn(usize) -> Vec<f32>| {
            rectangle(rows.iter().map(|&row| column(row)), batch.columns, &device)
        };
        let old = float(&|row| samples[row].old_logprobs.clone());
        let sampled = float(&|row| samples[row].rollout_logprobs.clone());
        let weight = float(&|row| samples[row].weights.clone());
        let wanted: Vec<bool> = picked
            .iter()
            .flat_map(|sample| {
                let trained = (0..batch.columns).map(|t| t < sample.len() && sample.weights[t] != 0.0);
                trained.collect::<Vec<_>>()
            })
            .collect();
        let turns: Vec<i32> = picked
            .iter()
            .flat_map(|sample| (0..batch.columns).map(|t| sample.turns.get(t).map_or(0, |&turn| turn as i32)))
            .collect();
        let mut columns = LossBatch {
            ref_logprobs: reference
                .map(|reference| token_logprobs(reference, &batch, &wanted, temperature, false).logprobs),
            turns: Some(Tensor::<2, Int>::from_data(
                TensorData::new(turns.clone(), [rows.len(), batch.columns]),
                &device,
            )),
            rollout_logprobs: Some(sampled.clone()),
            ..LossBatch::new(old, float(&|row| samples[row].advantages.clone()), weight.clone())
        };
        let question =
            LogprobQuery { batch: &batch, wanted: &wanted, temperature, with_entropy: terms.entropy > 0.0 };
        let trained = weight.clone().not_equal_elem(0.0).float();
        add_gradients(total, model, &question, kept, |now| {
            let balance = now.balance.map(|balance| balance / split.balance);
            columns.entropies = now.entropies;
            let gaps = (now.logprobs.clone().inner() - sampled) * trained;
            let log_ratios = of_trained_tokens(gaps, &picked, rows);
            let all = log_ratios.iter().flat_map(|(_, values)| values);
            let larger = |gap: f32, value: &f32| if value.abs() <= gap { gap } else { value.abs() };
            let gap = all.fold(0.0, |gap: f32, value| if gap.is_nan() { gap } else { larger(gap, value) });
            let output = config.loss().evaluate(now.logprobs, &columns);
            let stats = PolicyStats {
                loss: f64::from(output.loss.clone().inner().into_scalar::<f32>()),
                by_turn: output.stats.sums_by_turn(&weight, &turns),
                logprob_gap: f64::from(gap),
                balance,
                log_ratios,
            };
            (output.loss, stats)
        })
    })
}

/// Returns the entries of a `[B, columns]` tensor at the trained tokens of each row.
fn of_trained_tokens(values: Tensor<2>, samples: &[&Sample], rows: &[usize]) -> Vec<(usize, Vec<f32>)> {
    let columns = values.dims()[1].max(1);
    let values = values.into_data().try_to_vec::<f32>().expect("log-probabilities are f32");
    let of_row = |((sample, &row), values): ((&&Sample, &usize), &[f32])| {
        let wanted = values.iter().zip(&sample.mask).filter(|(_, trained)| **trained);
        (row, wanted.map(|(value, _)| *value).collect())
    };
    samples.iter().zip(rows).zip(values.chunks(columns)).map(of_row).collect()
}

/// Returns rows of different lengths as `[B, columns]`, padded with 0.
fn rectangle(rows: impl Iterator<Item = Vec<f32>>, columns: usize, device: &Device) -> Tensor<2> {
    let mut count = 0;
    let mut values = Vec::new();
    for row in rows {
        count += 1;
        values.extend_from_slice(&row);
        values.resize(count * columns, 0.0);
    }
    Tensor::from_data(TensorData::new(values, [count, columns]), device)
}

#[cfg(test)]
mod tests;
