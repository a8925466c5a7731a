//! Log-probabilities of a batch of trajectories, and the same with gradients: what a training step is made of.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use turnwise_benches::{Sequence, row, shapes::tiny_model};
use turnwise_model::{TokenBatch, Transformer, token_logprobs};
use turnwise_trainer::backend;

/// Rows and tokens per row.
const SHAPES: [(usize, usize); 2] = [(8, 256), (32, 192)];

fn model(c: &mut Criterion) {
    let device = backend::device(None).expect("a backend");
    let tracked = Transformer::random(&tiny_model(), 0, &device.clone().autodiff());
    let plain = Transformer::random(&tiny_model(), 0, &device);
    let mut table = c.benchmark_group("model");
    table.sample_size(10);
    for (rows, columns) in SHAPES {
        let mut random = Sequence(11);
        let rows: Vec<Vec<u32>> = (0..rows).map(|_| row(columns, &mut random)).collect();
        let batch = TokenBatch::new(&rows);
        let wanted = vec![true; batch.tokens.len()];
        let name = format!("{}x{columns}", rows.len());
        table.throughput(Throughput::Elements(batch.tokens.len() as u64));
        table.bench_function(format!("forward {name}"), |bencher| {
            let forward = || token_logprobs(&plain, &batch, &wanted, 1.0, false).logprobs.sum();
            bencher.iter(|| forward().into_scalar::<f32>());
        });
        table.bench_function(format!("forward and backward {name}"), |bencher| {
            bencher.iter(|| {
                let loss = token_logprobs(&tracked, &batch, &wanted, 1.0, false).logprobs.sum();
                let gradients = loss.backward();
                device.sync().expect("the device finishes");
                gradients
            });
        });
    }
}

criterion_group!(benches, model);
criterion_main!(benches);
