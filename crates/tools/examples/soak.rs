//! Runs many executions in a row and fails if anything piles up: processes, descriptors, memory, files.
//!
//! ```text
//! cargo run --release -p turnwise-tools --example soak -- 100000
//! ```

use std::fs;
use std::time::Instant;

use turnwise_tools::Executor;
use turnwise_tools::executor::{PythonConfig, PythonExecutor};
use turnwise_trajectory::OutputStatus;

/// Each of the rarer programs is one in this many executions.
const PROGRAMS: [(u64, &str, OutputStatus); 5] = [
    (1000, "while True: pass", OutputStatus::Timeout),
    (211, "import ctypes; ctypes.string_at(1)", OutputStatus::Killed),
    (101, "x = bytearray(1 << 40)", OutputStatus::OutOfMemory),
    (13, "import os; open('/tmp/turnwise-soak-%d' % os.getpid(), 'w')", OutputStatus::Error),
    (7, "1 / 0", OutputStatus::Error),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count: u64 = std::env::args().nth(1).map_or(Ok(5000), |count| count.parse())?;
    let python = PythonExecutor::new(PythonConfig { cpu_seconds: 0.05, ..PythonConfig::default() })?;
    run(&python, 0..count.min(500))?;
    let before = Usage::now();
    let started = Instant::now();
    run(&python, 0..count)?;
    let (seconds, after) = (started.elapsed().as_secs_f64(), Usage::now());
    println!("{count} executions, {:.0} a second, {:?}", count as f64 / seconds, python.take_stats());
    println!("before {before:?}\nafter  {after:?}");
    // Allocators keep freed memory, so the bound has some slack.
    if after.descriptors > before.descriptors
        || after.children > before.children
        || after.files > before.files
        || after.kib > before.kib + 8192
    {
        return Err("something piles up".into());
    }
    Ok(())
}

fn run(python: &PythonExecutor, numbers: std::ops::Range<u64>) -> Result<(), Box<dyn std::error::Error>> {
    for number in numbers {
        let plain = format!("print({number} + 1)");
        let rare = PROGRAMS.iter().find(|(every, ..)| number % every == every - 1);
        let (code, expect) =
            rare.map_or((plain.as_str(), OutputStatus::Ok), |(_, code, status)| (code, *status));
        let output = python.run(code)?;
        if output.status != expect {
            return Err(format!("execution {number}, {code}: {output:?}").into());
        }
    }
    Ok(())
}

#[derive(Debug)]
struct Usage {
    descriptors: usize,
    children: usize,
    files: usize,
    kib: u64,
}

impl Usage {
    fn now() -> Self {
        let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok());
        Self {
            descriptors: fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
            files: files(),
            children: children.map(|line| line.split_whitespace().count()).sum(),
            kib: resident.unwrap_or(0),
        }
    }
}

/// Returns files that the programs may have left in folders where anyone may write.
fn files() -> usize {
    let entries = fs::read_dir("/tmp").into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("turnwise-soak")).count()
}
