//! One turn of a batch of sequences: prompts in, sampled tokens out, with the cache.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use turnwise_benches::{Sequence, row, tiny_model};
use turnwise_model::Transformer;
use turnwise_sampler::{Generator, Request, Sampling, SequenceId, StopRule};
use turnwise_trainer::backend;

const BATCHES: [usize; 3] = [1, 16, 128];
const PROMPT: usize = 64;
const NEW: usize = 32;

fn decode(c: &mut Criterion) {
    let device = backend::device(None).expect("a backend");
    let model = Transformer::random(&tiny_model(), 0, &device);
    let mut table = c.benchmark_group("decode");
    table.sample_size(10);
    for batch in BATCHES {
        let mut random = Sequence(5);
        let prompts: Vec<Vec<u32>> = (0..batch).map(|_| row(PROMPT, &mut random)).collect();
        let id = |sample| SequenceId { seed: 0, step: 0, task: 0, sample, turn: 0 };
        table.throughput(Throughput::Elements((batch * NEW) as u64));
        table.bench_function(format!("batch {batch}, {PROMPT} in, {NEW} out"), |bencher| {
            bencher.iter(|| {
                let request = |(i, tokens)| {
                    let rng = id(i as u32).rng();
                    Request { key: i as u64, tokens, max_new: NEW, rng }
                };
                let requests: Vec<Request<'_>> =
                    prompts.iter().map(Vec::as_slice).enumerate().map(request).collect();
                let stop = StopRule { tokens: &[], strings: &[], decode: None };
                Generator::new(model.clone(), Sampling::default()).complete(&requests, &stop)
            });
        });
    }
}

criterion_group!(benches, decode);
criterion_main!(benches);
