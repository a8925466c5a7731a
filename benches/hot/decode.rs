//! One turn of a batch of sequences: prompts in, sampled tokens out, with the cache.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use turnwise_benches::shapes::{small_model, tiny_model};
use turnwise_benches::{Sequence, row};
use turnwise_model::{HostPrecision, ModelConfig, Transformer, load};
use turnwise_sampler::{GenerationRequest, Sampling, SequenceId, StopRule};
use turnwise_trainer::{backend, generator_in};

const PROMPT: usize = 64;
const NEW: usize = 128;

/// A model under its name, with the batches worth timing.
fn models() -> Vec<(&'static str, Transformer, &'static [usize])> {
    let device = backend::device(None).expect("a backend");
    let random = |config: &ModelConfig| Transformer::random(config, 0, &device);
    let mut models: Vec<(_, _, &[usize])> = vec![
        ("models/tiny", random(&tiny_model()), &[1, 16, 128]),
        ("8.4M", random(&small_model()), &[1, 8, 32]),
    ];
    // The same numbers of parameters wherever they come from: a folder makes this one real.
    if let Some(folder) = std::env::var_os("TURNWISE_SMOLLM2") {
        models.push(("SmolLM2-135M", load(folder.as_ref(), &device).expect("a model folder"), &[1, 8]));
    }
    models
}

fn decode(c: &mut Criterion) {
    for (name, model, batches) in models() {
        let mut table = c.benchmark_group(format!("decode {name}"));
        table.sample_size(10);
        let precisions = [HostPrecision::F32, HostPrecision::Bf16, HostPrecision::Int8];
        for (&batch, precision) in batches.iter().flat_map(|batch| precisions.map(|each| (batch, each))) {
            let mut random = Sequence(5);
            let prompts: Vec<Vec<u32>> = (0..batch).map(|_| row(PROMPT, &mut random)).collect();
            let id = |sample| SequenceId { seed: 0, step: 0, task: 0, occurrence: 0, sample, turn: 0 };
            table.throughput(Throughput::Elements((batch * NEW) as u64));
            table.bench_function(
                format!("batch {batch}, {PROMPT} in, {NEW} out, {}", precision.name()),
                |bencher| {
                    bencher.iter(|| {
                        let request = |(i, tokens)| {
                            let rng = id(i as u32).rng();
                            GenerationRequest { key: i as u64, tokens, max_new: NEW, rng }
                        };
                        let requests: Vec<GenerationRequest<'_>> =
                            prompts.iter().map(Vec::as_slice).enumerate().map(request).collect();
                        let stop = StopRule { tokens: &[], strings: &[], decode: None };
                        let mut generator = generator_in(&model, precision, Sampling::default());
                        generator.complete(&requests, &stop).expect("finite logits")
                    });
                },
            );
        }
    }
}

criterion_group!(benches, decode);
criterion_main!(benches);
