//! The decoder for GPUs against Burn's operations on the same device, and its draws against the sampler's.
//!
//! Devices without it have nothing to compare.

use std::collections::BTreeSet;

use burn::module::Module;
use burn::tensor::{DType, FloatDType};
use turnwise_model::{
    DecodeFeed, Decoded, GpuDecoder, KvCache, TokenBatch, Transformer, count_launches, load, load_config,
};
use turnwise_sampler::{Generation, GenerationRequest, Generator, Sampling, SequenceId, StopRule};
use turnwise_tests::{alone, device, golden, max_abs_diff, values};

use super::folders;

const NO_STOP: StopRule<'static> = StopRule { tokens: &[], strings: &[], decode: None };

fn request(sample: u32, tokens: &[u32], max_new: usize) -> GenerationRequest<'_> {
    let rng = SequenceId { seed: 3, step: 0, task: 0, occurrence: 0, sample, turn: 0 }.rng();
    GenerationRequest { key: u64::from(sample), tokens, max_new, rng }
}

/// Families that the kernels compute, and those that stay on Burn's operations.
const COVERED: [&str; 18] = [
    "llama",
    "llama-bias",
    "llama-tied",
    "llama-rope-linear",
    "llama-rope-dynamic",
    "llama-rope-llama3",
    "llama-rope-yarn",
    "qwen2",
    "qwen2-window",
    "qwen3",
    "mistral",
    "smollm3",
    "granite",
    "granite4",
    "phi3",
    "phi3-long",
    "ernie4_5",
    "ministral3",
];

/// Returns the decoder of a model, which GPUs have and other devices lack.
fn decoder(model: &Transformer) -> Option<GpuDecoder> {
    let decoder = GpuDecoder::of(model);
    let named = std::env::var("TURNWISE_TEST_DEVICE").unwrap_or_default();
    assert_eq!(decoder.is_some(), ["wgpu", "vulkan", "cuda"].contains(&&*named), "{named}");
    decoder
}

fn loaded(family: &str) -> Transformer {
    load(&golden("model").join(family), &device()).expect("a golden folder").valid()
}

/// Reads a token for each slot that has one, on both paths, and compares the logits.
fn compare(
    family: &str,
    model: &Transformer,
    decoder: &mut GpuDecoder,
    caches: [&mut KvCache; 2],
    tokens: &[Option<u32>],
) {
    compare_within(1e-4, family, model, decoder, caches, tokens);
}

fn compare_within(
    near: f32,
    family: &str,
    model: &Transformer,
    decoder: &mut GpuDecoder,
    [plain, ours]: [&mut KvCache; 2],
    tokens: &[Option<u32>],
) {
    let rows: Vec<Vec<u32>> = tokens.iter().map(|token| token.iter().copied().collect()).collect();
    let expect = values(model.logits(model.extend(&TokenBatch::new(&rows), plain)).cast(DType::F32));
    let feed = |token: &Option<u32>| token.map(|token| DecodeFeed { token, draw: None });
    let found = decoder.step(&tokens.iter().map(feed).collect::<Vec<_>>(), ours);
    assert_eq!(plain.lengths(), ours.lengths());
    for ((found, expect), token) in found.iter().zip(expect.chunks(model.config().vocab_size)).zip(tokens) {
        let Some(Decoded::Logits(found)) = found else {
            assert!(token.is_none(), "{family}: a row without scores");
            continue;
        };
        let largest = expect.iter().fold(1.0_f32, |most, logit| most.max(logit.abs()));
        let diff = max_abs_diff(found, expect) / largest;
        assert!(diff <= near, "{family}: logits differ by {diff}");
    }
}

#[test]
fn logits_equal_those_of_burn_s_operations_while_slots_come_and_go() {
    for family in COVERED {
        let model = loaded(family);
        let Some(mut decoder) = decoder(&model) else { return };
        let vocabulary = model.config().vocab_size as u32;
        let (mut plain, mut ours) = (KvCache::new(model.config(), 3), KvCache::new(model.config(), 3));
        let tokens = |step: u32, slots: u32| -> Vec<Option<u32>> {
            // Now and then a slot waits.
            let one = |slot: u32| {
                (!(step + slot).is_multiple_of(4)).then_some((step * 7 + slot * 3 + 1) % vocabulary)
            };
            (0..slots).map(one).collect()
        };
        for step in 0..5 {
            compare(family, &model, &mut decoder, [&mut plain, &mut ours], &tokens(step, 3));
        }
        // A prompt is read by Burn's operations, into tensors that the decoder has seen.
        decoder.release();
        let prompt: [&[u32]; 3] = [&[1, 2, 3, 4], &[], &[5]];
        for cache in [&mut plain, &mut ours] {
            model.extend(&TokenBatch::new(&prompt), cache);
        }
        compare(family, &model, &mut decoder, [&mut plain, &mut ours], &tokens(6, 3));
        for cache in [&mut plain, &mut ours] {
            *cache = cache.keep(&[2, 0]);
            cache.add(2);
            let length = cache.lengths()[0];
            cache.copy(0, 3, length);
            cache.truncate(1, 2);
        }
        for step in 7..10 {
            compare(family, &model, &mut decoder, [&mut plain, &mut ours], &tokens(step, 4));
        }
    }
}

/// A block of keys has 256.
#[test]
fn logits_behind_more_keys_than_a_block_has_are_the_same() {
    for family in ["qwen3", "qwen2-window"] {
        let model = loaded(family);
        let Some(mut decoder) = decoder(&model) else { return };
        let mut plain = KvCache::new(model.config(), 2);
        let vocabulary = model.config().vocab_size as u32;
        let long: Vec<u32> = (0..270).map(|at| at * 7 % vocabulary).collect();
        model.extend(&TokenBatch::new(&[&long[..], &long[..255]]), &mut plain);
        let mut ours = plain.keep(&[0, 1]);
        for token in 0..3 {
            let tokens = [Some(token), Some(token + 1)];
            compare(family, &model, &mut decoder, [&mut plain, &mut ours], &tokens);
        }
    }
}

/// Weights, keys and values are rounded; sums are taken in f32, where Burn's operations round them too.
#[test]
fn logits_of_rounded_weights_stay_near_those_of_burn_s_operations() {
    for (dtype, float, near) in [(DType::BF16, FloatDType::BF16, 0.1), (DType::F16, FloatDType::F16, 0.01)] {
        if !device().supports_dtype(float) {
            continue;
        }
        for family in ["llama-bias", "qwen3", "phi3"] {
            let model = loaded(family).cast(dtype);
            let Some(mut decoder) = decoder(&model) else { return };
            let mut plain = KvCache::new(model.config(), 2);
            model.extend(&TokenBatch::new(&[[1, 2, 3], [4, 5, 6]]), &mut plain);
            let mut ours = plain.keep(&[0, 1]);
            for token in 0..4 {
                let tokens = [Some(token), Some(token + 1)];
                compare_within(near, family, &model, &mut decoder, [&mut plain, &mut ours], &tokens);
            }
        }
    }
}

#[test]
fn the_families_that_it_computes_are_these() {
    for (name, folder) in folders() {
        let config = load_config(&folder).expect("a golden folder");
        assert_eq!(GpuDecoder::covers(&config), COVERED.contains(&&*name), "{name}");
    }
}

/// Samples 12 tokens for each of 24 sequences; with `beside` the logits are read and sampled on the host.
fn sampled(model: &Transformer, sampling: Sampling, beside: usize) -> Vec<Generation> {
    let mut generator = Generator::new(model.clone(), sampling);
    for sample in 0..24 {
        generator.submit_sampled(request(sample, &[3, 5], 12), sampling, beside);
    }
    let mut turns = Vec::new();
    while !generator.is_idle() {
        turns.extend(generator.step(&NO_STOP, &mut |_, _| false).expect("finite logits"));
    }
    turns.sort_by_key(|(key, _)| *key);
    turns.into_iter().map(|(_, turn)| turn).collect()
}

#[test]
fn a_token_that_the_device_draws_is_that_of_the_host_s_rule() {
    let model = loaded("qwen3");
    if decoder(&model).is_none() {
        return;
    }
    let mut different: BTreeSet<u32> = BTreeSet::new();
    for temperature in [0.0, 0.5, 1.0, 3.0] {
        let sampling = Sampling { temperature, ..Sampling::default() };
        let (drawn, expect) = (sampled(&model, sampling, 0), sampled(&model, sampling, 1));
        for (drawn, expect) in drawn.iter().zip(&expect) {
            assert_eq!(drawn.tokens, expect.tokens, "at temperature {temperature}");
            let diff = max_abs_diff(&drawn.logprobs, &expect.logprobs);
            assert!(diff <= 1e-5, "log-probabilities differ by {diff} at temperature {temperature}");
            different.extend(&drawn.tokens);
        }
    }
    assert!(different.len() > 8, "a test of few tokens would show little: {different:?}");
}

#[test]
fn a_decoded_token_takes_five_launches_a_layer_and_four_more() {
    alone("gpu::a_decoded_token_takes_five_launches_a_layer_and_four_more", || {
        let model = loaded("llama");
        if decoder(&model).is_none() {
            return;
        }
        let layers = model.config().layers.len();
        let mut generator = Generator::new(model, Sampling::default());
        for sample in 0..3 {
            generator.submit(request(sample, &[1, 2, 3 + sample], 40));
        }
        let mut steps = |count: usize| {
            for _ in 0..count {
                generator.step(&NO_STOP, &mut |_, _| false).expect("finite logits");
            }
        };
        steps(2);
        let ((), launches) = count_launches(|| steps(10));
        assert_eq!(launches, 10 * (5 * layers + 4));
    });
}
