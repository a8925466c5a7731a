//! Turn rewards → shaping → returns → advantages → filters, for GTPO with and without shaping and for GRPO.
//! After the timings, the same work in turns with vectorised numpy (`credit.py`), whose numbers must be ours.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput};
use turnwise_benches::{groups, numpy::Numpy};
use turnwise_credit::{
    AdvantageConfig, FilterConfig, Group, Grpo, Gtpo, ScoredTrajectory, Scorer, ShapingConfig,
};

/// Trajectories and turns.
const SHAPES: [(usize, usize); 3] = [(512, 10), (1024, 16), (2048, 32)];

/// Rounds of the comparison; each runs every method once here and once there.
const ROUNDS: usize = 21;

fn methods() -> [(&'static str, Scorer); 3] {
    let unshaped = || ShapingConfig { alpha: 0.0, ..ShapingConfig::default() };
    let gtpo = || AdvantageConfig::Gtpo(Gtpo::default());
    let scorer = |advantage, shaping| Scorer::new(advantage, shaping, FilterConfig::default());
    [
        ("gtpo", scorer(gtpo(), unshaped())),
        ("gtpo shaped", scorer(gtpo(), ShapingConfig::default())),
        ("grpo", scorer(AdvantageConfig::Grpo(Grpo::default()), unshaped())),
    ]
}

fn credit(c: &mut Criterion) {
    for (trajectories, turns) in SHAPES {
        let groups = groups(trajectories, turns);
        let mut table = c.benchmark_group(format!("credit {trajectories}x{turns}"));
        table.throughput(Throughput::Elements((trajectories * turns) as u64)).sample_size(20);
        for (name, scorer) in &methods() {
            table.bench_with_input(BenchmarkId::from_parameter(name), &groups, |bencher, groups| {
                bencher.iter(|| scorer.score(black_box(groups), 0).expect("the similarity is local"));
            });
        }
    }
}

/// The workload as arrays.
fn arrays(groups: &[Group]) -> String {
    let all: Vec<&ScoredTrajectory> = groups.iter().flat_map(|group| &group.trajectories).collect();
    let acc: Vec<Vec<f64>> = all.iter().map(|t| t.turns.iter().map(|turn| turn.acc()).collect()).collect();
    let fmt: Vec<Vec<f64>> = all.iter().map(|t| t.turns.iter().map(|turn| turn.fmt()).collect()).collect();
    let correct: Vec<bool> = all.iter().map(|t| t.correct).collect();
    let code: Vec<&str> = all.iter().map(|t| t.code.as_str()).collect();
    let size = groups[0].trajectories.len();
    let value = serde_json::json!({
        "acc": acc, "fmt": fmt, "correct": correct, "code": code, "group_size": size,
    });
    value.to_string()
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// Ours and numpy's in turns, so that a busy machine is busy for both.
fn beside_numpy(folder: &Path) {
    let mut numpy = match Numpy::start("credit.py", folder) {
        Ok(numpy) => numpy,
        Err(error) => return eprintln!("no comparison with numpy: {error}"),
    };
    println!("median of {ROUNDS}, in turns            ours        numpy   numpy/ours");
    for (trajectories, turns) in SHAPES {
        let groups = groups(trajectories, turns);
        let path = folder.join("credit.json");
        std::fs::write(&path, arrays(&groups)).expect("the target folder can be written");
        numpy.ask(&format!("load {}", path.display()));
        let methods = methods();
        let (mut ours, mut theirs) = (vec![Vec::new(); methods.len()], vec![Vec::new(); methods.len()]);
        for _ in 0..ROUNDS {
            for (m, (name, scorer)) in methods.iter().enumerate() {
                let started = Instant::now();
                black_box(scorer.score(black_box(&groups), 0).expect("the similarity is local"));
                ours[m].push(started.elapsed().as_secs_f64());
                theirs[m].push(numpy.ask(name).parse().expect("seconds"));
            }
        }
        for ((name, scorer), (ours, theirs)) in methods.iter().zip(ours.into_iter().zip(theirs)) {
            let shown: Vec<f64> =
                serde_json::from_str(&numpy.ask(&format!("show {name}"))).expect("advantages");
            let scored = scorer.score(&groups, 0).expect("the similarity is local");
            let advantages = scored.iter().flat_map(|group| group.advantages.concat());
            let gap = advantages.zip(shown).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(gap < 1e-9, "{name}: numpy's advantages differ by {gap}");
            let (ours, theirs) = (1e3 * median(ours), 1e3 * median(theirs));
            println!(
                "{:<28} {ours:>9.3} ms {theirs:>9.3} ms {:>9.1}",
                format!("{trajectories}x{turns} {name}"),
                theirs / ours
            );
        }
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    credit(&mut criterion);
    criterion.final_summary();
    // Cargo's own flags for tests and lists of benches come without `--bench`.
    if std::env::args().any(|argument| argument == "--bench") {
        beside_numpy(Path::new(env!("CARGO_TARGET_TMPDIR")));
    }
}
