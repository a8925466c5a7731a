//! Turn rewards → shaping → returns → advantages → filters, for GTPO with and without shaping and for GRPO.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use turnwise_benches::groups;
use turnwise_rl::{AdvantageConfig, FilterConfig, Grpo, Gtpo, Scorer, ShapingConfig};

/// Trajectories and turns.
const SHAPES: [(usize, usize); 3] = [(512, 10), (1024, 16), (2048, 32)];

fn credit(c: &mut Criterion) {
    let unshaped = || ShapingConfig { alpha: 0.0, ..ShapingConfig::default() };
    let gtpo = || AdvantageConfig::Gtpo(Gtpo::default());
    let scorer = |advantage, shaping| Scorer::new(advantage, shaping, FilterConfig::default());
    let methods = [
        ("gtpo", scorer(gtpo(), unshaped())),
        ("gtpo shaped", scorer(gtpo(), ShapingConfig::default())),
        ("grpo", scorer(AdvantageConfig::Grpo(Grpo::default()), unshaped())),
    ];
    for (trajectories, turns) in SHAPES {
        let groups = groups(trajectories, turns);
        let mut table = c.benchmark_group(format!("credit {trajectories}x{turns}"));
        table.throughput(Throughput::Elements((trajectories * turns) as u64)).sample_size(20);
        for (name, scorer) in &methods {
            table.bench_with_input(BenchmarkId::from_parameter(name), &groups, |bencher, groups| {
                bencher.iter(|| scorer.score(black_box(groups), 0).expect("the similarity is local"));
            });
        }
    }
}

criterion_group!(benches, credit);
criterion_main!(benches);
