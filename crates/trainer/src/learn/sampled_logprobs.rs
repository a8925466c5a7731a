//! Computes log-probabilities of recorded turns under a model: the reference policy, or the policy before its
//! first update.

use burn::tensor::DType;
use turnwise_model::{TokenBatch, Transformer, token_logprobs};
use turnwise_ranks::Ranks;
use turnwise_trajectory::Sequence;

use crate::device::workers;
use crate::learn::learner::Split;
use crate::learn::{activations, micro_batch};

/// Holds one log-probability per sampled token, `[trajectory][turn][token]`, in nats.
pub(crate) type PerToken = Vec<Vec<Vec<f32>>>;

/// Computes log-probabilities in micro-batches without a graph, one worker per core. The split doesn't change
/// the result. Each of the `ranks` computes some micro-batches, and all get the result. `sequences`: those of
/// each trajectory.
pub(crate) fn sampled_logprobs(
    model: &Transformer,
    sequences: &[Vec<Sequence>],
    temperature: f64,
    split: Split,
    ranks: &dyn Ranks,
) -> PerToken {
    let rows: Vec<&Sequence> = sequences.iter().flatten().collect();
    let lengths: Vec<usize> = rows.iter().map(|sequence| sequence.tokens.len()).collect();
    let packed = activations::is_fused(&model.device(), model.dtype() != DType::F32);
    // Machines may have different numbers of cores.
    let at_least = split.shards.unwrap_or(split.workers);
    let batches = micro_batch::plan(&lengths, split.tokens, at_least, packed);
    let of_rank = |rank: usize| batches.iter().skip(rank).step_by(ranks.size()).map(Vec::as_slice);
    let mine: Vec<&[usize]> = of_rank(ranks.rank()).collect();
    let workers = split.workers.min(mine.len()).max(1);
    let shares: Vec<Vec<&[usize]>> =
        (0..workers).map(|w| mine.iter().skip(w).step_by(workers).copied().collect()).collect();
    let done = workers::run(shares, |share| {
        let of = |batch: &[usize]| {
            let picked: Vec<&Sequence> = batch.iter().map(|&row| rows[row]).collect();
            batch.iter().copied().zip(forward(model, &picked, temperature)).collect::<Vec<_>>()
        };
        share.into_iter().flat_map(of).collect::<Vec<_>>()
    });
    let mut all: Vec<_> = done.into_iter().flatten().collect();
    all.sort_by_key(|(row, _)| *row);
    let by_row = if ranks.size() == 1 {
        all.into_iter().map(|(_, turns)| turns).collect()
    } else {
        let numbers = all.iter().flat_map(|(_, turns)| turns.iter().flatten());
        let told = ranks.gather_all(numbers.flat_map(|number| number.to_le_bytes()).collect());
        let mut by_row = vec![Vec::new(); rows.len()];
        for (rank, bytes) in told.iter().enumerate() {
            let mut numbers = bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
            let mut of_rank: Vec<usize> = of_rank(rank).flatten().copied().collect();
            of_rank.sort_unstable();
            for row in of_rank {
                let spans = rows[row].turns.iter();
                by_row[row] = spans.map(|(_, span)| numbers.by_ref().take(span.len()).collect()).collect();
            }
        }
        by_row
    };
    by_trajectory(sequences, by_row)
}

/// Puts the turns of each trajectory's sequences into their order in the trajectory.
fn by_trajectory(sequences: &[Vec<Sequence>], by_row: PerToken) -> PerToken {
    let mut rows = by_row.into_iter();
    let of_trajectory = |sequences: &Vec<Sequence>| {
        let mut turns: Vec<(usize, Vec<f32>)> = Vec::new();
        for (sequence, values) in sequences.iter().zip(rows.by_ref()) {
            turns.extend(sequence.turns.iter().map(|(turn, _)| *turn).zip(values));
        }
        turns.sort_unstable_by_key(|(turn, _)| *turn);
        turns.into_iter().map(|(_, values)| values).collect()
    };
    sequences.iter().map(of_trajectory).collect()
}

/// Returns the log-probabilities of each sequence's turns, in their order in the sequence.
fn forward(model: &Transformer, sequences: &[&Sequence], temperature: f64) -> PerToken {
    let batch = TokenBatch::new(&sequences.iter().map(|s| s.tokens.as_slice()).collect::<Vec<_>>());
    let mut wanted = vec![false; batch.tokens.len()];
    for (row, sequence) in sequences.iter().enumerate() {
        for (_, span) in &sequence.turns {
            wanted[row * batch.columns..][span.clone()].fill(true);
        }
    }
    let logprobs: Vec<f32> = token_logprobs(model, &batch, &wanted, temperature, false)
        .logprobs
        .into_data()
        .try_into_vec()
        .expect("log-probabilities are f32");
    sequences
        .iter()
        .zip(logprobs.chunks(batch.columns))
        .map(|(sequence, row)| sequence.turns.iter().map(|(_, span)| row[span.clone()].to_vec()).collect())
        .collect()
}
