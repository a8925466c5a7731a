//! Losses and gradients against verl's and TRL's own functions (`golden/rl`), in f32.

use burn::tensor::{Tensor, TensorData};
use serde::Deserialize;
use turnwise_credit::WeightsConfig;
use turnwise_loss::{LossBatch, LossConfig};
use turnwise_tests::{device, golden, values};

#[derive(Deserialize)]
struct Golden {
    rows: usize,
    tokens: usize,
    limit: usize,
    batches: Vec<Columns>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Columns {
    logprobs: Vec<f32>,
    old: Vec<f32>,
    reference: Vec<f32>,
    rollout: Vec<f32>,
    advantages: Vec<f32>,
    entropies: Vec<f32>,
    mask: Vec<f32>,
}

#[derive(Deserialize)]
struct Case {
    source: String,
    batch: usize,
    /// Whether the last row has no trained token.
    dropped: bool,
    loss: LossConfig,
    weights: WeightsConfig,
    value: f64,
    gradient: Vec<f64>,
}

impl Golden {
    /// Value and gradient of a case, by us.
    fn run(&self, case: &Case) -> (f32, Vec<f32>) {
        let columns = &self.batches[case.batch];
        let tensor = |column: &[f32]| {
            let data = TensorData::new(column.to_vec(), [self.rows, self.tokens]);
            Tensor::<2>::from_data(data, &device().autodiff())
        };
        let mut masks: Vec<Vec<bool>> =
            columns.mask.chunks(self.tokens).map(|row| row.iter().map(|m| *m > 0.0).collect()).collect();
        if case.dropped {
            masks[self.rows - 1].fill(false);
        }
        let weights = case.weights.token_weights(&masks, self.limit).concat();
        let logprobs = tensor(&columns.logprobs).require_grad();
        let batch = LossBatch {
            ref_logprobs: Some(tensor(&columns.reference)),
            entropies: Some(tensor(&columns.entropies)),
            rollout_logprobs: Some(tensor(&columns.rollout)),
            ..LossBatch::new(tensor(&columns.old), tensor(&columns.advantages), tensor(&weights))
        };
        let output = case.loss.loss().evaluate(logprobs.clone(), &batch);
        let gradients = output.loss.backward();
        let gradient = logprobs.grad(&gradients).expect("a gradient for the log-probabilities");
        (values(output.loss.inner())[0], values(gradient))
    }
}

#[test]
fn losses_and_gradients_equal_those_of_verl_and_trl() {
    let text = std::fs::read_to_string(golden("rl/losses.json")).expect("golden file");
    let golden: Golden = serde_json::from_str(&text).expect("golden vectors");
    assert_eq!(golden.cases.len(), 25 * golden.batches.len());
    let close = |ours: f32, theirs: f64| (f64::from(ours) - theirs).abs() <= 1e-5 * theirs.abs().max(1.0);
    for case in &golden.cases {
        let name = format!("{} batch {}", case.source, case.batch);
        let (value, gradient) = golden.run(case);
        assert!(close(value, case.value), "{name}: {value} is not {}", case.value);
        for (t, (ours, theirs)) in gradient.iter().zip(&case.gradient).enumerate() {
            assert!(close(*ours, *theirs), "{name} token {t}: {ours} is not {theirs}");
        }
    }
}
