//! Log-probabilities of a batch of trajectories, their gradients as a training step makes them, and the
//! optimizer.

use burn::module::Module;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use turnwise_benches::{Sequence, row, shapes::tiny_model};
use turnwise_model::{LogprobQuery, TokenBatch, TokenLogprobs, Transformer, gradients, token_logprobs};
use turnwise_trainer::config::OptimizerConfig;
use turnwise_trainer::{Optimizer, backend};

/// Rows and tokens per row.
const SHAPES: [(usize, usize); 2] = [(8, 256), (32, 192)];

fn model(c: &mut Criterion) {
    let device = backend::device(None).expect("a backend");
    let tracked = Transformer::random(&tiny_model(), 0, &device.clone().autodiff());
    let plain = tracked.valid();
    let mut table = c.benchmark_group("model");
    table.sample_size(10);
    for (rows, columns) in SHAPES {
        let mut random = Sequence(11);
        let rows: Vec<Vec<u32>> = (0..rows).map(|_| row(columns, &mut random)).collect();
        let batch = TokenBatch::new(&rows);
        let wanted = vec![true; batch.tokens.len()];
        let name = format!("{}x{columns}", rows.len());
        table.throughput(Throughput::Elements(batch.tokens.len() as u64));
        table.bench_function(format!("log-probabilities {name}"), |bencher| {
            let forward = || token_logprobs(&plain, &batch, &wanted, 1.0, false).logprobs.sum();
            bencher.iter(|| forward().into_scalar::<f32>());
        });
        let question = LogprobQuery { batch: &batch, wanted: &wanted, temperature: 1.0, with_entropy: false };
        let loss = |answer: TokenLogprobs| (answer.logprobs.mean().neg(), ());
        for (how, kept) in [("gradients", usize::MAX), ("gradients, blocks twice", 0)] {
            table.bench_function(format!("{how} {name}"), |bencher| {
                bencher.iter(|| {
                    let (found, ()) = gradients(&tracked, &question, kept, loss);
                    device.sync().expect("the device finishes");
                    found
                });
            });
        }
        table.bench_function(format!("gradients and AdamW {name}"), |bencher| {
            let mut optimizer = Optimizer::new(&OptimizerConfig::default());
            let mut model = Some(tracked.clone());
            bencher.iter(|| {
                let before = model.take().expect("it is put back");
                let (found, ()) = gradients(&before, &question, usize::MAX, loss);
                model = Some(optimizer.step(before, found).0);
                device.sync().expect("the device finishes");
            });
        });
    }
}

criterion_group!(benches, model);
criterion_main!(benches);
