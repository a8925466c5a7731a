//! The sketch against exact gradients of a tiny model.

use turnwise_credit::{AdvantageConfig, FilterConfig, Group, ScoredTrajectory, Scorer, ShapingConfig};
use turnwise_diagnosis::{Named, Settings, Sketches, States, Task, batches, diagnose};
use turnwise_model::{AttentionConfig, BlockConfig, ModelConfig};
use turnwise_trajectory::{Branch, Rewards, Stop, Turn};

use super::*;
use crate::device::backend;

const TASKS: u32 = 4;
const SAMPLES: u32 = 4;

fn model() -> Transformer {
    let block = BlockConfig::new(AttentionConfig::new(2, 1, 8), 32);
    let config = ModelConfig { max_position: 64, ..ModelConfig::new(48, 16, vec![block; 2]) };
    Transformer::random(&config, 3, &backend::device(None).expect("a device").autodiff())
}

/// The second turn has no tokens. Odd samples hand their last turn to another conversation.
fn trajectories() -> Vec<Trajectory> {
    let turn = |tokens: &[u32], observation: &[u32]| Turn {
        tokens: tokens.to_vec(),
        logprobs: vec![-3.5; tokens.len()],
        observation: observation.to_vec(),
        ..Turn::default()
    };
    let one = |task: u32, sample: u32| Trajectory {
        task: task.to_string(),
        sample,
        prompt: vec![1, 2, 3 + task],
        turns: vec![
            turn(&[4, 5 + sample], &[6, 7]),
            turn(&[], &[8]),
            Turn {
                branch: (!sample.is_multiple_of(2)).then(|| Branch {
                    parent: None,
                    context: vec![12, 13 + task],
                    diverged: false,
                }),
                ..turn(&[9 + sample, 10 + task, 11], &[])
            },
        ],
        stop: Stop::Answer,
    };
    (0..TASKS).flat_map(|task| (0..SAMPLES).map(move |sample| one(task, sample))).collect()
}

fn sketches(width: usize, seed: u64) -> Vec<ScoreSketch> {
    let trajectories = trajectories();
    let mut seen = 0;
    let all = trajectories.iter().collect::<Vec<_>>();
    let found = score_sketches(&model(), &all, 1.0, Sketch { width, seed }, &mut |done| seen = done);
    assert_eq!(seen, all.len());
    found
}

/// Returns the gradients themselves, `[trajectory][turn][parameter]`, from passes over whole sequences: what
/// follows a turn must not matter.
fn exact() -> Vec<Vec<Vec<f32>>> {
    struct All<'a>(&'a GradientsParams, Vec<f32>);
    impl ModuleVisitor for All<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let gradient = self.0.get::<D>(param.id).expect("every parameter is trained");
            self.1.extend(gradient.into_data().try_to_vec::<f32>().expect("gradients are f32"));
        }
    }
    let model = model();
    let of_turn = |tokens: &Vec<u32>, span: std::ops::Range<usize>| {
        let batch = TokenBatch::new(&[tokens]);
        let wanted: Vec<bool> = (0..batch.columns).map(|t| span.contains(&t)).collect();
        let query = LogprobQuery { batch: &batch, wanted: &wanted, temperature: 1.0, with_entropy: false };
        let mut gradients = GradientsParams::new();
        add_gradients(&mut gradients, &model, &query, usize::MAX, |answer| (answer.logprobs.sum(), ()));
        let mut values = All(&gradients, Vec::new());
        model.visit(&mut values);
        values.1
    };
    let of_trajectory = |trajectory: &Trajectory| -> Vec<Vec<f32>> {
        let mut turns = vec![Vec::new(); trajectory.turns.len()];
        for Sequence { tokens, turns: spans, .. } in trajectory.sequences() {
            for (number, span) in spans.into_iter().filter(|(_, span)| !span.is_empty()) {
                turns[number] = of_turn(&tokens, span);
            }
        }
        turns
    };
    let mut all: Vec<Vec<Vec<f32>>> = trajectories().iter().map(of_trajectory).collect();
    let parameters = all[0][0].len();
    all.iter_mut().flatten().for_each(|score| score.resize(parameters, 0.0));
    all
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// The error of an inner product is about `‖a‖‖b‖ / √width`: at most `√2` of that in the mean of squares, and
/// more where two of a few large entries meet. Its mean over seeds is 0.
#[test]
fn inner_products_of_sketches_are_those_of_the_scores() {
    let (exact, width) = (exact(), 4096);
    let norm = |a: &[f32]| dot(a, a).sqrt();
    let turns = |all: &[Vec<Vec<f32>>]| -> Vec<Vec<f32>> {
        all.iter().flat_map(|turns| [turns[0].clone(), turns[2].clone()]).collect()
    };
    let scores = turns(&exact);
    let mut errors = Vec::new();
    for seed in 0..4 {
        let found = sketches(width, seed);
        assert!(found.iter().all(|one| one.turns[1].iter().all(|entry| *entry == 0.0)), "no tokens");
        let found = turns(&found.into_iter().map(|one| one.turns).collect::<Vec<_>>());
        for (a, ours) in scores.iter().zip(&found) {
            for (b, theirs) in scores.iter().zip(&found) {
                let error = (dot(ours, theirs) - dot(a, b)) / (norm(a) * norm(b));
                assert!(error.abs() < 10.0 / (width as f64).sqrt(), "seed {seed}: {error}");
                errors.push(error);
            }
        }
    }
    let mean_of =
        |value: fn(f64) -> f64| errors.iter().map(|error| value(*error)).sum::<f64>() / errors.len() as f64;
    let (mean, rms) = (mean_of(|error| error), mean_of(|error| error * error).sqrt());
    assert!(mean.abs() < 0.02, "{mean}");
    assert!(rms < 2.0 / (width as f64).sqrt(), "{rms}");
}

fn signal_to_noise(scores: &[Vec<Vec<f32>>]) -> [f64; 2] {
    let trajectory = |task: u32, sample: u32| {
        let acc = f64::from(u8::from((task + sample).is_multiple_of(3)));
        ScoredTrajectory {
            turns: vec![Rewards::default(), Rewards::default(), Rewards::new(acc, 0.0)],
            ..ScoredTrajectory::default()
        }
    };
    let task = |task: u32| Task {
        group: Group {
            group: task.to_string(),
            trajectories: (0..SAMPLES).map(|sample| trajectory(task, sample)).collect(),
        },
        tokens: Vec::new(),
    };
    let tasks: Vec<Task> = (0..TASKS).map(task).collect();
    let draws = batches(&[SAMPLES as usize; TASKS as usize], 4, 1, 0);
    let key = |at: usize| (at / SAMPLES as usize, at % SAMPLES as usize);
    let sketches =
        Sketches { scores: scores.iter().cloned().enumerate().map(|(at, s)| (key(at), s)).collect() };
    let named = |name: &str| Named {
        name: name.into(),
        scorer: Scorer::new(
            AdvantageConfig::named(name).expect("an estimator"),
            ShapingConfig { alpha: 0.0, ..ShapingConfig::default() },
            FilterConfig::default(),
        ),
    };
    let settings = Settings { subgroup: 4, others: 1, states: States::Path, correct_at: 1.0 };
    let estimators = [named("rloo"), named("gtpo")];
    let found = diagnose(&tasks, &draws, &estimators, settings, &sketches, &draws[0]).expect("offline");
    assert_eq!(found.sketched, 16);
    [0, 1].map(|at| found.estimators[at].signal_to_noise.expect("four tasks").value)
}

#[test]
fn signal_to_noise_of_sketches_is_that_of_the_gradients() {
    let truth = signal_to_noise(&exact());
    let found = signal_to_noise(&sketches(8192, 0).into_iter().map(|one| one.turns).collect::<Vec<_>>());
    for (truth, found) in truth.iter().zip(found) {
        assert!((truth - found).abs() < 0.05 * (1.0 + truth.abs()), "{found} is not {truth}");
    }
}

#[test]
fn the_same_seed_gives_the_same_sketch() {
    let found = sketches(64, 1);
    assert_eq!(found, sketches(64, 1));
    assert_ne!(found, sketches(64, 2));
    assert!(found.iter().all(|one| one.logprob_gap > 0.0 && one.logprob_gap < 3.0), "ln 48 is 3.9");
}
