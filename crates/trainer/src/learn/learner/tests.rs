//! The gradient of the weights doesn't depend on how rows are split.

use turnwise_credit::WeightsConfig;
use turnwise_model::{AttentionConfig, BlockConfig, ExpertsConfig, ModelConfig, QkNorm};
use turnwise_trajectory::{Finish, Stop, Trajectory, Turn};

use super::*;
use crate::device::backend;
use crate::learn::gradients::{global_norm, scale};

fn model() -> Transformer {
    model_of(None)
}

fn model_of(experts: Option<ExpertsConfig>) -> Transformer {
    let attention =
        AttentionConfig { qkv_bias: true, qk_norm: Some(QkNorm::PerHead), ..AttentionConfig::new(2, 1, 8) };
    let mut block = BlockConfig::new(attention, 32);
    block.mlp.experts = experts;
    let config = ModelConfig { max_position: 128, ..ModelConfig::new(64, 16, vec![block; 2]) };
    Transformer::random(&config, 5, &backend::device(None).expect("a device").autodiff())
}

/// Returns a generator of numbers below `bound`, the same everywhere.
fn numbers() -> impl FnMut(usize) -> usize {
    let mut state = 11_u64;
    move |bound| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    }
}

/// Makes trajectories of unequal lengths; some turns lack tokens or an observation, one is the whole
/// trajectory.
fn samples() -> Vec<Sample> {
    let mut below = numbers();
    let lengths: [&[(usize, usize)]; 7] = [
        &[(5, 3), (0, 4), (6, 0)],
        &[(1, 0)],
        &[(7, 0), (0, 0), (2, 0)],
        &[(4, 9), (11, 2), (3, 0)],
        &[(20, 0)],
        &[(0, 3), (2, 0)],
        &[(3, 5), (3, 0)],
    ];
    let mut tokens = |n: usize| (0..n).map(|_| below(64) as u32).collect::<Vec<_>>();
    let turn = |(sampled, observed): &(usize, usize), tokens: &mut dyn FnMut(usize) -> Vec<u32>| Turn {
        tokens: tokens(*sampled),
        logprobs: (0..*sampled).map(|t| -4.0 - 0.1 * t as f32).collect(),
        text: String::new(),
        finish: Finish::EndOfTurn,
        calls: vec![],
        observation: tokens(*observed),
        ..Turn::default()
    };
    let of = |(i, turns): (usize, &&[(usize, usize)])| {
        let prompt = tokens(2 + i);
        let turns: Vec<Turn> = turns.iter().map(|lengths| turn(lengths, &mut tokens)).collect();
        let advantages: Vec<f64> = (0..turns.len()).map(|j| 1.0 - 0.7 * j as f64 - 0.3 * i as f64).collect();
        let trajectory = Trajectory { task: "t".into(), sample: 0, prompt, turns, stop: Stop::Answer };
        Sample::of(&trajectory, i, &advantages, |_| true).remove(0)
    };
    lengths.iter().enumerate().map(of).collect()
}

/// Returns `‖a - b‖ / ‖b‖` over all parameters, and consumes both.
fn distance(model: &Transformer, a: GradientsParams, mut b: GradientsParams) -> f64 {
    let norm = global_norm(model, &b);
    scale(model, &mut b, -1.0);
    global_norm(model, &sum(model, vec![a, b])) / norm
}

/// In f32 the same terms are added in another order: 1e-6 of the gradient's norm, not of each entry.
#[test]
fn any_split_into_micro_batches_gives_the_same_weight_gradients() {
    check_splits(&model(), 0.0);
}

/// Each sequence balances experts alone.
#[test]
fn any_split_into_micro_batches_balances_experts_alike() {
    check_splits(&model_of(Some(ExpertsConfig { count: 5, chosen: 2, normalised: true })), 0.1);
}

fn check_splits(model: &Transformer, balance: f64) {
    let mut samples = samples();
    let configs = ["clip", "cispo", "gspo"].map(|name| format!("{{\"{name}\":{{\"entropy\":0.01}}}}"));
    let by_turn = "{\"clip\":{\"level\":\"turn\",\"tis_cap\":2.0}}".to_string();
    for config in configs.into_iter().chain([by_turn]) {
        let config: LossConfig = serde_json::from_str(&config).expect("a loss");
        for name in WeightsConfig::NAMES {
            let weighting = WeightsConfig::named(name).expect("a weighting");
            weighting.weigh(&mut samples.iter_mut().collect::<Vec<_>>(), 32);
            let rows: Vec<&Sample> = samples.iter().collect();
            let run = |tokens, workers, recompute| {
                let split = Split {
                    tokens,
                    workers,
                    shards: None,
                    recompute: Some(recompute),
                    balance,
                    rank: (0, 1),
                };
                let (sum, parts) = policy_gradient(model, None, &rows, &config, 1.0, split);
                (sum, PolicyStats::of_parts(&parts))
            };
            for (tokens, workers, recompute) in
                [(1, 1, false), (40, 1, false), (90, 1, false), (10_000, 3, false), (60, 2, true)]
            {
                let (whole, stats) = run(10_000, 1, false);
                let (split, parts) = run(tokens, workers, recompute);
                let far = distance(model, split, whole);
                assert!(far <= 1e-6, "{config:?} {name}, {tokens} tokens, {workers} workers: {far:e}");
                let balances = [&parts, &stats].map(|stats| stats.balance);
                let off = balances[0].zip(balances[1]).map_or(0.0, |(of_parts, of_all)| of_parts - of_all);
                assert!(balances.iter().all(|found| found.is_some() == (balance > 0.0)) && off.abs() <= 1e-5);
                let off = (parts.loss - stats.loss).abs();
                assert!(
                    off <= 1e-6 * stats.loss.abs().max(1.0),
                    "{config:?} {name}: the loss is {off:e} off"
                );
            }
        }
    }
}

/// The sum over shards has the same bytes on any number of workers.
#[test]
fn a_gradient_over_shards_does_not_depend_on_workers() {
    let (model, mut samples) = (model(), samples());
    WeightsConfig::default().weigh(&mut samples.iter_mut().collect::<Vec<_>>(), 32);
    let rows: Vec<&Sample> = samples.iter().collect();
    let run = |tokens, workers, shards| {
        let split = Split { tokens, workers, shards, recompute: None, balance: 0.0, rank: (0, 1) };
        let (sum, parts) = policy_gradient(&model, None, &rows, &LossConfig::default(), 1.0, split);
        (sum, PolicyStats::of_parts(&parts))
    };
    let (whole, _) = run(10_000, 1, None);
    let exact = |gradients: &GradientsParams| global_norm(&model, gradients).to_bits();
    for (tokens, shards) in [(10_000, 1), (40, 4), (10_000, 8), (60, 64), (60, 65_536)] {
        let (one, told) = run(tokens, 1, Some(shards));
        for workers in [2, 3, 8] {
            let (gradients, stats) = run(tokens, workers, Some(shards));
            assert_eq!(exact(&gradients), exact(&one), "{shards} shards, {workers} workers");
            assert_eq!(stats.loss.to_bits(), told.loss.to_bits(), "{shards} shards, {workers} workers");
            assert_eq!(stats.log_ratios, told.log_ratios, "{shards} shards, {workers} workers");
            let mut negative = gradients;
            scale(&model, &mut negative, -1.0);
            let (again, _) = run(tokens, workers, Some(shards));
            assert_eq!(global_norm(&model, &sum(&model, vec![again, negative])), 0.0);
        }
        let far = distance(&model, one, run(10_000, 1, None).0);
        assert!(far <= 1e-6, "{shards} shards: {far:e}");
    }
    assert!(global_norm(&model, &whole) > 0.0);
}

/// Blocks of shards are nodes of the tree: the ranks' sums, added in the tree, are those of one process.
#[test]
fn ranks_have_neighbouring_shards() {
    let of = |rank, ranks, shards| {
        let (tokens, workers, balance) = (1, 1, 0.0);
        Split { tokens, workers, shards: Some(64), recompute: None, balance, rank: (rank, ranks) }
            .mine(shards)
    };
    assert_eq!([of(0, 1, 8), of(0, 2, 8), of(1, 2, 8), of(3, 4, 8)], [0..8, 0..4, 4..8, 6..8]);
    assert_eq!([of(0, 4, 2), of(1, 4, 2)], [0..1, 1..2]);
    assert!(of(2, 4, 2).is_empty() && of(3, 4, 2).is_empty() && of(1, 2, 1).is_empty());
}
