//! Computes log-probabilities of recorded turns under a model: the reference policy, or the policy before its
//! first update.

use burn::tensor::DType;
use turnwise_model::{TokenBatch, Transformer, token_logprobs};
use turnwise_trajectory::Trajectory;

use crate::device::workers;
use crate::learn::learner::Split;
use crate::learn::{activations, micro_batch};

/// One log-probability per sampled token, `[trajectory][turn][token]`, in nats.
pub(crate) type PerToken = Vec<Vec<Vec<f32>>>;

/// Computes log-probabilities in micro-batches without a graph, one worker per core. The split doesn't change
/// the result.
pub(crate) fn sampled_logprobs(
    model: &Transformer,
    trajectories: &[&Trajectory],
    temperature: f64,
    split: Split,
) -> PerToken {
    let lengths: Vec<usize> = trajectories.iter().map(|trajectory| trajectory.len()).collect();
    let packed = activations::is_fused(&model.device(), model.dtype() != DType::F32);
    let batches = micro_batch::plan(&lengths, split.tokens, split.workers, packed);
    let workers = split.workers.min(batches.len()).max(1);
    let shares: Vec<Vec<&[usize]>> =
        (0..workers).map(|w| batches.iter().skip(w).step_by(workers).map(Vec::as_slice).collect()).collect();
    let done = workers::run(shares, |share| {
        let of = |rows: &[usize]| {
            let picked: Vec<&Trajectory> = rows.iter().map(|&row| trajectories[row]).collect();
            rows.iter().copied().zip(forward(model, &picked, temperature)).collect::<Vec<_>>()
        };
        share.into_iter().flat_map(of).collect::<Vec<_>>()
    });
    let mut all: Vec<_> = done.into_iter().flatten().collect();
    all.sort_by_key(|(row, _)| *row);
    all.into_iter().map(|(_, turns)| turns).collect()
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
