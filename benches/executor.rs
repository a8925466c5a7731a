//! One execution of a short program, beside spawning `python3` for it.

use std::hint::black_box;
use std::process::Command;

use criterion::{Criterion, criterion_group, criterion_main};
use turnwise_tools::Executor;
use turnwise_tools::executor::{PythonConfig, PythonExecutor};

const PROGRAM: &str = "print(sum(i * i for i in range(100)))";

fn executor(c: &mut Criterion) {
    let python = PythonExecutor::new(PythonConfig::default()).expect("python3 is installed");
    let mut table = c.benchmark_group("executor");
    table.bench_function("python", |bencher| {
        bencher.iter(|| python.run(black_box(PROGRAM)).expect("no fault"));
    });
    table.bench_function("spawned python3 -I -S", |bencher| {
        bencher.iter(|| {
            Command::new("python3").args(["-I", "-S", "-c", PROGRAM]).output().expect("python3 runs")
        });
    });
    table.finish();
}

criterion_group!(benches, executor);
criterion_main!(benches);
