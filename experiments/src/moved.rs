//! Measures the distance of a policy from its cold start: in weights, and in log-probabilities.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use crate::held_out::{Line, Played};

/// The distance of a policy from its cold start.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Moved {
    /// ‖θ − θ₀‖ over all weights.
    pub(crate) distance: f64,
    /// KL(π_θ ‖ π_θ₀) in nats a sampled token, estimated from one trajectory of each of the first held-out
    /// tasks.
    pub(crate) kl: f64,
}

/// Held-out tasks whose first trajectory enters the estimate of the KL divergence.
pub(crate) const PROMPTS: usize = 64;

/// Returns ‖θ − θ₀‖ of two Hugging Face folders of one model.
pub(crate) fn distance(model: &Path, start: &Path) -> Result<f64> {
    let read = |folder: &Path| {
        let path = folder.join("model.safetensors");
        std::fs::read(&path).with_context(|| format!("{}: cannot read", path.display()))
    };
    let (model, start) = (read(model)?, read(start)?);
    let (model, start) = (SafeTensors::deserialize(&model)?, SafeTensors::deserialize(&start)?);
    let mut sum = 0.0;
    for (name, now) in model.tensors() {
        let then = start.tensor(&name).with_context(|| format!("the cold start has no {name}"))?;
        let same = now.dtype() == Dtype::F32 && then.dtype() == Dtype::F32 && now.shape() == then.shape();
        ensure!(same, "{name} isn't the same kind of tensor in model and cold start");
        for (now, then) in floats(now.data()).zip(floats(then.data())) {
            sum += (now - then) * (now - then);
        }
    }
    Ok(sum.sqrt())
}

fn floats(bytes: &[u8]) -> impl Iterator<Item = f64> {
    bytes.chunks_exact(4).map(|four| f64::from(f32::from_le_bytes([four[0], four[1], four[2], four[3]])))
}

/// Returns the tokens of a trajectory in order.
pub(crate) fn tokens(played: &Played) -> Vec<u32> {
    let mut tokens = played.prompt.clone();
    for turn in &played.turns {
        tokens.extend(turn.tokens.iter().chain(&turn.observation));
    }
    tokens
}

/// Returns Σ ln π_θ − ln π_θ₀ over the trajectory's sampled tokens, and their number. `start` holds the cold
/// start's log-probability of each token of [`tokens`].
pub(crate) fn log_ratio(line: &Line, start: &[Option<f64>]) -> Result<(f64, usize)> {
    let (mut at, mut sum, mut count) = (line.played.prompt.len(), 0.0, 0);
    for turn in &line.played.turns {
        for logprob in &turn.logprobs {
            let start = start.get(at).copied().flatten().context("a token without log-probability")?;
            sum += logprob - start;
            (at, count) = (at + 1, count + 1);
        }
        at += turn.observation.len();
    }
    Ok((sum, count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::held_out::tests::line;
    use safetensors::tensor::TensorView;

    #[test]
    fn the_distance_is_over_all_tensors() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, a: [f32; 2], b: [f32; 1]| {
            let bytes = |of: &[f32]| of.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
            let (a, b) = (bytes(&a), bytes(&b));
            let view = |shape: usize, bytes| TensorView::new(Dtype::F32, vec![shape], bytes).unwrap();
            let all = [("a", view(2, &a)), ("b", view(1, &b))];
            let out = folder.path().join(name);
            std::fs::create_dir(&out).unwrap();
            let bytes = safetensors::serialize(all, None).unwrap();
            std::fs::write(out.join("model.safetensors"), bytes).unwrap();
            out
        };
        let (one, other) = (write("one", [1.0, 2.0], [3.0]), write("other", [1.0, 4.0], [2.0]));
        assert!((distance(&one, &other).unwrap() - 5.0_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn only_sampled_tokens_count_in_the_divergence() {
        let line: Line = serde_json::from_str(&line("t", "q", true, &[false, false])).unwrap();
        assert_eq!(tokens(&line.played), [1, 2, 3, 4, 5, 3, 4, 5]);
        let start: Vec<Option<f64>> =
            [None, Some(-9.0), Some(-1.0), Some(-1.0), Some(-9.0), Some(-1.0), Some(-1.0), Some(-9.0)].into();
        assert_eq!(log_ratio(&line, &start).unwrap(), (4.0 - 1.5, 4));
        assert!(log_ratio(&line, &start[..4]).is_err());
    }
}
