//! The decoder on the CPU with rounded weights: log-probabilities near those of f32, and the same ones
//! whatever else is decoded.

use std::sync::Arc;

use burn::module::Module;
use turnwise_model::{HostCache, HostModel, HostPrecision, ModelConfig, Transformer, load};
use turnwise_sampler::{Generation, GenerationRequest, Generator, Sampling, SequenceId, StopRule};
use turnwise_tests::{device, model_folder};

use super::real_models::opened;
use super::{Expected, check_each};

const NO_STOP: StopRule<'static> = StopRule { tokens: &[], strings: &[], decode: None };

const ROUNDED: [HostPrecision; 2] = [HostPrecision::Bf16, HostPrecision::Int8];

fn request(sample: u32, turn: u32, tokens: &[u32], max_new: usize) -> GenerationRequest<'_> {
    let rng = SequenceId { seed: 7, step: 0, task: 0, occurrence: 0, sample, turn }.rng();
    GenerationRequest { key: u64::from(sample), tokens, max_new, rng }
}

/// Returns log-probabilities of the tokens after the first one, which are fed one at a time in a batch.
fn logprobs(model: &HostModel, rows: &[Vec<u32>]) -> Vec<f64> {
    let mut caches = vec![HostCache::default(); rows.len()];
    let mut found = Vec::new();
    for at in 0..rows.iter().map(Vec::len).max().unwrap_or(1) - 1 {
        let mut feeds: Vec<(&[u32], &mut HostCache)> = Vec::new();
        let mut next = Vec::new();
        for (row, cache) in rows.iter().zip(&mut caches).filter(|(row, _)| at + 1 < row.len()) {
            feeds.push((&row[at..=at], cache));
            next.push(row[at + 1] as usize);
        }
        for (scores, next) in model.extend(&mut feeds).iter().zip(next) {
            let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f64 = scores.iter().map(|score| f64::from(score - most).exp()).sum();
            found.push(f64::from(scores[next] - most) - sum.ln());
        }
    }
    found
}

/// Holds differences of log-probabilities from those of f32, in nats.
#[derive(Debug, Clone, Copy)]
struct Gap {
    mean: f64,
    /// The 99.9th percentile.
    most: f64,
}

fn gap(model: &Transformer, precision: HostPrecision, rows: &[Vec<u32>]) -> Gap {
    let [full, rounded] = [HostPrecision::F32, precision]
        .map(|precision| logprobs(&HostModel::with_precision(model, precision), rows));
    let mut gaps: Vec<f64> = full.iter().zip(&rounded).map(|(a, b)| (a - b).abs()).collect();
    gaps.sort_by(f64::total_cmp);
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    Gap { mean, most: gaps[(gaps.len() * 999).div_ceil(1000) - 1] }
}

/// Returns text that a model samples in f32 after prompts, with the prompts.
fn sampled(model: &Transformer, prompts: &[Vec<u32>], max_new: usize) -> Vec<Vec<u32>> {
    let mut generator = Generator::on_host(Arc::new(HostModel::of(model)), Sampling::default());
    let requests: Vec<GenerationRequest<'_>> =
        prompts.iter().enumerate().map(|(i, tokens)| request(i as u32, 0, tokens, max_new)).collect();
    let turns = generator.complete(&requests, &NO_STOP).unwrap();
    prompts.iter().zip(turns).map(|(prompt, turn)| [prompt.as_slice(), &turn.tokens].concat()).collect()
}

fn check(name: &str, model: &Transformer, rows: &[Vec<u32>], bounds: [Gap; 2]) {
    for (precision, bound) in ROUNDED.into_iter().zip(bounds) {
        let found = gap(model, precision, rows);
        eprintln!("{name} {}: {found:?}", precision.name());
        assert!(found.mean > 0.0, "{name} {}: nothing is rounded", precision.name());
        let holds = found.mean <= bound.mean && found.most <= bound.most;
        assert!(holds, "{name} {}: {found:?}, expected at most {bound:?}", precision.name());
    }
}

#[test]
fn log_probabilities_of_the_tiny_model_are_near_those_of_f32() {
    let model = load(&model_folder("tiny"), &device()).expect("the committed model");
    let prompts: Vec<Vec<u32>> = (0..32).map(|i| vec![1, 40 + 7 * i]).collect();
    let rows = sampled(&model, &prompts, 96);
    let bounds = [Gap { mean: 0.0045, most: 0.1 }, Gap { mean: 0.02, most: 0.38 }];
    check("tiny", &model, &rows, bounds);
}

#[test]
fn log_probabilities_of_every_family_are_near_those_of_f32() {
    check_each(|family, model, expected: &Expected| {
        let ids = &expected.tokens["ids"];
        let rows: Vec<Vec<u32>> = ids.chunks(ids.len() / expected.rows).map(<[u32]>::to_vec).collect();
        // Their random weights are large, and so are their scores.
        let bounds = [Gap { mean: 0.045, most: 0.4 }, Gap { mean: 0.2, most: 3.5 }];
        check(family, &model.valid(), &rows, bounds);
    });
}

#[test]
fn log_probabilities_of_smollm2_are_near_those_of_f32() {
    let Some((model, expected)) = opened("TURNWISE_SMOLLM2", "SmolLM2-135M-Instruct", "smollm2") else {
        return;
    };
    let prompts: Vec<Vec<u32>> = (0..8).map(|i| expected.tokens[..16 + 8 * i].to_vec()).collect();
    let mut rows = sampled(&model, &prompts, 128);
    rows.push(expected.tokens);
    let bounds = [Gap { mean: 0.012, most: 0.085 }, Gap { mean: 0.11, most: 0.7 }];
    check("SmolLM2", &model, &rows, bounds);
}

#[test]
fn a_sequence_is_the_same_in_any_batch_slot_and_number_of_threads() {
    let model = load(&model_folder("tiny"), &device()).expect("the committed model");
    // Products of wide matrices are shared out among threads.
    let wide = ModelConfig { hidden_size: 576, ..model.config().clone() };
    let wide = Transformer::random(&wide, 3, &device());
    let prompts: Vec<Vec<u32>> =
        (0..11).map(|i| (0..5 + 3 * i).map(|t| (t * 3 + i) % 320).collect()).collect();
    for (model, precision) in [&model, &wide].into_iter().flat_map(|model| ROUNDED.map(|each| (model, each)))
    {
        let on_host = Arc::new(HostModel::with_precision(model, precision));
        let play = |order: &[usize], threads: usize, slots: usize| -> Vec<(usize, Generation)> {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut generator = Generator::on_host(on_host.clone(), Sampling::default());
            generator.bound(slots);
            let requests: Vec<GenerationRequest<'_>> =
                order.iter().map(|&i| request(i as u32, 0, &prompts[i], 24)).collect();
            let turns = pool.install(|| generator.complete(&requests, &NO_STOP).unwrap());
            let mut sorted: Vec<(usize, Generation)> = order.iter().copied().zip(turns).collect();
            sorted.sort_by_key(|(i, _)| *i);
            sorted
        };
        let all: Vec<usize> = (0..prompts.len()).collect();
        let together = play(&all, 1, usize::MAX);
        let reversed: Vec<usize> = all.iter().rev().copied().collect();
        for (order, threads, slots) in
            [(&all, 2, usize::MAX), (&all, 3, 4), (&reversed, 1, usize::MAX), (&reversed, 2, 3)]
        {
            assert_eq!(play(order, threads, slots), together, "{precision:?}, {threads} threads, {slots}");
        }
        for (i, turn) in &together {
            assert_eq!(play(&[*i], 1, 1)[0].1, *turn, "{precision:?}: sequence {i} alone");
        }
    }
}

#[test]
fn a_conversation_by_turns_is_the_one_that_is_read_at_once() {
    let model = load(&model_folder("tiny"), &device()).expect("the committed model");
    for precision in ROUNDED {
        let on_host = Arc::new(HostModel::with_precision(&model, precision));
        let mut generator = Generator::on_host(on_host.clone(), Sampling::default());
        let mut tokens: Vec<u32> = (0..150).map(|t| t * 7 % 320).collect();
        for turn in 0..3 {
            let going_on = generator.complete(&[request(0, turn, &tokens, 12)], &NO_STOP).unwrap();
            let mut fresh = Generator::on_host(on_host.clone(), Sampling::default());
            assert_eq!(going_on, fresh.complete(&[request(0, turn, &tokens, 12)], &NO_STOP).unwrap());
            tokens.extend(&going_on[0].tokens);
            tokens.extend((0..9).map(|t| (t + 11) % 320));
        }
    }
}

#[test]
fn an_adapter_is_merged_before_weights_are_rounded() {
    let model = load(&model_folder("tiny"), &device()).expect("the committed model");
    let adapted = model.with_adapter(&turnwise_model::LoraConfig::default(), 3);
    let rows: Vec<Vec<u32>> = vec![(0..20).map(|t| t * 7 % 320).collect()];
    for precision in ROUNDED {
        let of = |model: &Transformer| logprobs(&HostModel::with_precision(model, precision), &rows);
        assert_eq!(of(&adapted), of(&adapted.clone().merged()), "{precision:?}");
    }
}
