//! Projects the score of each recorded turn, `Σ_t ∇log π(token_t)`, onto a few thousand numbers.
//!
//! The projection is a count sketch (arXiv:0902.2206): each parameter is added to one entry, with a sign,
//! both by a hash of its number and a seed. Inner products of sketches are those of the scores without bias,
//! and their relative error is about `1 / √width`. It is linear: a weighted sum of sketches is the sketch of
//! the weighted sum.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Tensor};
use turnwise_model::{LogprobQuery, TokenBatch, Transformer, add_gradients};
use turnwise_trajectory::{Sequence, Trajectory};

use crate::device::workers;
use crate::learn::activations::Kept;

/// Describes a projection. The same one must be used for all scores that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sketch {
    /// Number of entries.
    pub width: usize,
    /// Chooses entry and sign of each parameter.
    pub seed: u64,
}

/// Holds the scores of one trajectory.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreSketch {
    /// `[turn][entry]`: the score of each turn after what the model read. A turn without tokens has zeros.
    pub turns: Vec<Vec<f32>>,
    /// Largest `|logp - recorded logp|` over the sampled tokens, in nats.
    pub logprob_gap: f32,
}

/// Computes the scores of trajectories under a model, one worker per core. `model` must be on an autodiff
/// device. `temperature` divides the logits. `done` gets the number of finished trajectories.
pub fn score_sketches(
    model: &Transformer,
    trajectories: &[&Trajectory],
    temperature: f64,
    sketch: Sketch,
    done: &mut dyn FnMut(usize),
) -> Vec<ScoreSketch> {
    let count = workers::count(&model.device());
    let mut all = Vec::with_capacity(trajectories.len());
    for part in trajectories.chunks(count) {
        // Each worker has separate leaves: a graph that shared them would wait for the others' graphs.
        all.extend(workers::run(part.to_vec(), |trajectory| {
            of_trajectory(&model.valid().train(), trajectory, temperature, sketch)
        }));
        done(all.len());
    }
    all
}

fn of_trajectory(
    model: &Transformer,
    trajectory: &Trajectory,
    temperature: f64,
    sketch: Sketch,
) -> ScoreSketch {
    let half = model.dtype() != DType::F32;
    let mut gap = 0.0_f32;
    let mut turns = vec![vec![0.0; sketch.width]; trajectory.turns.len()];
    for Sequence { tokens, turns: spans, .. } in trajectory.sequences() {
        let sizes = (tokens.len(), tokens.len());
        let kept = Kept::of(model.config(), sizes, None, half, &model.device()).blocks;
        for (number, span) in spans.into_iter().filter(|(_, span)| !span.is_empty()) {
            // Later tokens don't change the log-probabilities of the turn.
            let batch = TokenBatch::new(&[&tokens[..span.end]]);
            let wanted: Vec<bool> = (0..batch.columns).map(|t| span.contains(&t)).collect();
            let query = LogprobQuery { batch: &batch, wanted: &wanted, temperature, with_entropy: false };
            let mut gradients = GradientsParams::new();
            let found = add_gradients(&mut gradients, model, &query, kept, |answer| {
                let values = answer.logprobs.clone().inner().into_data();
                (answer.logprobs.sum(), values.try_into_vec::<f32>().expect("log-probabilities are f32"))
            });
            let recorded = &trajectory.turns[number].logprobs;
            let apart = found[span].iter().zip(recorded).map(|(now, then)| (now - then).abs());
            gap = apart.fold(gap, f32::max);
            turns[number] = sketch.of(model, &gradients);
        }
    }
    ScoreSketch { turns, logprob_gap: gap }
}

impl Sketch {
    /// Returns the projection of a gradient. Parameters are numbered in the model's order, those without a
    /// gradient included.
    fn of(self, model: &Transformer, gradients: &GradientsParams) -> Vec<f32> {
        struct Project<'a> {
            sketch: Sketch,
            gradients: &'a GradientsParams,
            number: u64,
            entries: Vec<f64>,
        }
        impl ModuleVisitor for Project<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let count = param.val().dims().iter().product::<usize>() as u64;
                if let Some(gradient) = self.gradients.get::<D>(param.id) {
                    let data = gradient.cast(DType::F32).into_data();
                    let values = data.try_to_vec::<f32>().expect("gradients were cast");
                    for (number, value) in (self.number..).zip(values) {
                        let (entry, sign) = self.sketch.place(number);
                        self.entries[entry] += sign * f64::from(value);
                    }
                }
                self.number += count;
            }
        }
        let mut project = Project { sketch: self, gradients, number: 0, entries: vec![0.0; self.width] };
        model.visit(&mut project);
        project.entries.into_iter().map(|entry| entry as f32).collect()
    }

    /// Returns entry and sign of a parameter, by the mixing function of SplitMix64.
    fn place(self, number: u64) -> (usize, f64) {
        let mut mixed =
            (self.seed ^ number.wrapping_mul(0xD6E8_FEB8_6659_FD93)).wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        let entry = ((mixed >> 32) * self.width as u64) >> 32;
        (entry as usize, if mixed & 1 == 0 { 1.0 } else { -1.0 })
    }
}

#[cfg(test)]
mod tests;
