//! Computes log-probabilities of recorded turns under a model: the reference policy, or the policy before its
//! first update.

use burn::tensor::DType;
use turnwise_model::{TokenBatch, Transformer, token_logprobs};
use turnwise_ranks::Ranks;
use turnwise_trajectory::Trajectory;

use crate::device::workers;
use crate::learn::learner::Split;
use crate::learn::{activations, micro_batch};

/// One log-probability per sampled token, `[trajectory][turn][token]`, in nats.
pub(crate) type PerToken = Vec<Vec<Vec<f32>>>;

/// Computes log-probabilities in micro-batches without a graph, one worker per core. The split doesn't change
/// the result. Each of the `ranks` computes some micro-batches, and all get the result.
pub(crate) fn sampled_logprobs(
    model: &Transformer,
    trajectories: &[&Trajectory],
    temperature: f64,
    split: Split,
    ranks: &dyn Ranks,
) -> PerToken {
    let lengths: Vec<usize> = trajectories.iter().map(|trajectory| trajectory.len()).collect();
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
        let of = |rows: &[usize]| {
            let picked: Vec<&Trajectory> = rows.iter().map(|&row| trajectories[row]).collect();
            rows.iter().copied().zip(forward(model, &picked, temperature)).collect::<Vec<_>>()
        };
        share.into_iter().flat_map(of).collect::<Vec<_>>()
    });
    let mut all: Vec<_> = done.into_iter().flatten().collect();
    all.sort_by_key(|(row, _)| *row);
    if ranks.size() == 1 {
        return all.into_iter().map(|(_, turns)| turns).collect();
    }
    let numbers = all.iter().flat_map(|(_, turns)| turns.iter().flatten());
    let told = ranks.gather_all(numbers.flat_map(|number| number.to_le_bytes()).collect());
    let mut per_token = vec![Vec::new(); trajectories.len()];
    for (rank, bytes) in told.iter().enumerate() {
        let mut numbers = bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        let mut rows: Vec<usize> = of_rank(rank).flatten().copied().collect();
        rows.sort_unstable();
        for row in rows {
            let spans = trajectories[row].turn_spans().into_iter();
            per_token[row] = spans.map(|span| numbers.by_ref().take(span.len()).collect()).collect();
        }
    }
    per_token
}

fn forward(model: &Transformer, trajectories: &[&Trajectory], temperature: f64) -> PerToken {
    let batch = TokenBatch::new(&trajectories.iter().map(|t| t.tokens()).collect::<Vec<_>>());
    let mut wanted = vec![false; batch.tokens.len()];
    for (row, trajectory) in trajectories.iter().enumerate() {
        for span in trajectory.turn_spans() {
            wanted[row * batch.columns..][span].fill(true);
        }
    }
    let logprobs: Vec<f32> = token_logprobs(model, &batch, &wanted, temperature, false)
        .logprobs
        .into_data()
        .try_into_vec()
        .expect("log-probabilities are f32");
    trajectories
        .iter()
        .zip(logprobs.chunks(batch.columns))
        .map(|(trajectory, row)| trajectory.turn_spans().into_iter().map(|span| row[span].to_vec()).collect())
        .collect()
}
