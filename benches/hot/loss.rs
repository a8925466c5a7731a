//! The policy losses and their gradients over the tokens of a step, without the model that they come from.

use burn::tensor::{Device, Tensor, TensorData};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use turnwise_benches::Sequence;
use turnwise_loss::{Cispo, Clip, Gspo, LossBatch, LossConfig};
use turnwise_trainer::backend;

/// Trajectories of a step and tokens of each.
const SHAPE: [usize; 2] = [128, 320];

/// Multiples of a hundredth from 0 to `most` hundredths.
fn column(random: &mut Sequence, most: u64, device: &Device) -> Tensor<2> {
    let values: Vec<f32> = (0..SHAPE[0] * SHAPE[1]).map(|_| random.below(most) as f32 / 100.0).collect();
    Tensor::from_data(TensorData::new(values, SHAPE), device)
}

fn loss(c: &mut Criterion) {
    let device = backend::device(None).expect("a backend").autodiff();
    let mut random = Sequence(3);
    let mut drawn = |most| column(&mut random, most, &device);
    let logprobs = drawn(200).neg();
    // Ratios from 0.8 to 1.2, so that some are clipped; most tokens count.
    let old = logprobs.clone() + drawn(40) - 0.2;
    let batch = LossBatch::new(old, drawn(400) - 2.0, drawn(4).ceil());
    let mut table = c.benchmark_group("loss");
    table.throughput(Throughput::Elements((SHAPE[0] * SHAPE[1]) as u64));
    for loss in [
        LossConfig::Clip(Clip::default()),
        LossConfig::Cispo(Cispo::default()),
        LossConfig::Gspo(Gspo::default()),
    ] {
        table.bench_function(loss.name(), |bencher| {
            bencher.iter(|| {
                let logprobs = logprobs.clone().detach().require_grad();
                let gradients = loss.loss().evaluate(logprobs.clone(), &batch).loss.backward();
                let gradient = logprobs.grad(&gradients).expect("a gradient for the log-probabilities");
                gradient.sum().into_scalar::<f32>()
            });
        });
    }
}

criterion_group!(benches, loss);
criterion_main!(benches);
