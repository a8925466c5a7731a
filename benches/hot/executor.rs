//! Measures the CPU time of executing a short program, beside spawning an interpreter for it, bare and with
//! the same imports; and how long a kept session takes for its next cell.
//!
//! `TURNWISE_BENCH_PYTHON` names the interpreter; with sympy installed there, its rows are measured too.

use std::fs;
use std::hint::black_box;
use std::process::Command;
use std::time::Duration;

use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime};
use turnwise_tools::Executor;
use turnwise_tools::executor::{PythonConfig, PythonExecutor};

const PROGRAM: &str = "print(sum(i * i for i in range(100)))";

/// Imports of every zygote.
const IMPORTS: &str = "import abc, bisect, calendar, cmath, collections, contextlib, copy, csv, dataclasses, datetime, \
                       decimal, enum, fractions, functools, hashlib, heapq, inspect, itertools, json, math, numbers, \
                       operator, pprint, queue, random, re, secrets, statistics, string, textwrap, time, traceback, \
                       typing, unicodedata, warnings, zlib";

/// CPU time of this process, of its children that ended, and of those that run: zygotes, too.
fn cpu_time() -> Duration {
    let stat = |pid: &str| fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let ticks = |stat: &str, fields: std::ops::Range<usize>| -> u64 {
        let after = stat.rsplit(')').next().unwrap_or_default();
        after
            .split_whitespace()
            .skip(fields.start)
            .take(fields.len())
            .filter_map(|f| f.parse::<u64>().ok())
            .sum()
    };
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let children: String =
        tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok()).collect();
    let living: u64 = children.split_whitespace().map(|pid| ticks(&stat(pid), 11..13)).sum();
    // Linux counts in hundredths of a second here.
    Duration::from_millis((ticks(&stat("self"), 11..15) + living) * 10)
}

fn row(table: &mut BenchmarkGroup<'_, WallTime>, name: &str, mut once: impl FnMut()) {
    table.bench_function(name, |bencher| {
        bencher.iter_custom(|times| {
            let before = cpu_time();
            (0..times).for_each(|_| once());
            cpu_time().saturating_sub(before).max(Duration::from_nanos(times))
        });
    });
}

fn spawned(python: &str, code: &str) {
    let output = Command::new(python).args(["-I", "-c", code]).output().expect("the interpreter runs");
    assert!(output.status.success(), "{output:?}");
}

fn executor(c: &mut Criterion) {
    let python = std::env::var("TURNWISE_BENCH_PYTHON").unwrap_or_else(|_| "python3".into());
    let config =
        PythonConfig { interpreter: Some(python.clone()), workers: Some(1), ..PythonConfig::default() };
    let warm = PythonExecutor::new(config.clone()).expect("the interpreter is usable");
    // Without launchers such as pyenv's, which cost more than the interpreter.
    let ask = warm.run("import sys; print(sys.executable)").expect("no fault");
    let python = ask.stdout.trim().to_string();

    let mut table = c.benchmark_group("executor, CPU time");
    table.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(8));
    let run = |executor: &PythonExecutor| drop(executor.run(black_box(PROGRAM)).expect("no fault"));
    row(&mut table, "python", || run(&warm));
    let scratch = PythonExecutor::new(PythonConfig { scratch_mib: 16, ..config.clone() });
    if let Ok(scratch) = scratch {
        row(&mut table, "python with scratch space", || run(&scratch));
    }
    row(&mut table, "spawned, nothing imported", || spawned(&python, PROGRAM));
    row(&mut table, "spawned, same imports", || spawned(&python, &format!("{IMPORTS}\n{PROGRAM}")));
    let sympy = PythonConfig { imports: vec!["sympy".into()], memory_mib: 1024, ..config };
    if let Ok(sympy) = PythonExecutor::new(sympy) {
        row(&mut table, "python with sympy", || run(&sympy));
        row(&mut table, "spawned, sympy", || spawned(&python, &format!("{IMPORTS}, sympy\n{PROGRAM}")));
    }
    table.finish();

    let mut table = c.benchmark_group("executor, wall time");
    let mut session = warm.session().expect("no fault");
    session.run("x = 0").expect("no fault");
    table.bench_function("next cell of a session", |bencher| {
        bencher.iter(|| session.run(black_box("x += 1; x")).expect("no fault"));
    });
    table.finish();
}

criterion_group!(benches, executor);
criterion_main!(benches);
