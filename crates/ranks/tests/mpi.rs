//! The transport under a real `mpirun`. Each test starts this program again, once for each rank.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use turnwise_ranks::{HAS_MPI, Ranks, begin, guarded};

/// Says to a process that it is a rank, and what it does.
const ROLE: &str = "TURNWISE_TEST_RANK";

/// Returns `mpirun`, or says that a test is left out. With `TURNWISE_TEST_NO_SKIPS` that is a failure.
fn mpirun(test: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).map(|folder| folder.join("mpirun")).find(|p| p.exists());
    let reason = if HAS_MPI { "there is no mpirun" } else { "this program was built without MPI" };
    if HAS_MPI && found.is_some() {
        return found;
    }
    assert!(std::env::var_os("TURNWISE_TEST_NO_SKIPS").is_none(), "{test} must not be skipped: {reason}");
    eprintln!("skipped {test}: {reason}");
    None
}

/// Runs `as_a_rank` in a number of processes.
fn run(mpirun: &Path, ranks: usize, role: &str) -> Output {
    let mut command = Command::new(mpirun);
    command.args(["--allow-run-as-root", "--oversubscribe", "-n", &ranks.to_string()]);
    command.arg(std::env::current_exe().unwrap()).args(["--exact", "as_a_rank", "--nocapture"]);
    command.env(ROLE, role).env("RUST_BACKTRACE", "0").output().expect("mpirun starts")
}

#[test]
fn every_rank_gets_what_is_meant_for_it() {
    let Some(mpirun) = mpirun("every_rank_gets_what_is_meant_for_it") else { return };
    for ranks in [2, 4] {
        let output = run(&mpirun, ranks, "talk");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Without an end to the job, the other rank would wait for ever.
#[test]
fn a_panic_ends_all_ranks() {
    let Some(mpirun) = mpirun("a_panic_ends_all_ranks") else { return };
    assert!(run(&mpirun, 2, "rest").status.success());
    let output = run(&mpirun, 2, "panic");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(101), "{said}");
    assert!(said.contains("rank 1 is broken"), "{said}");
}

/// Does nothing in an ordinary run of the tests.
#[test]
fn as_a_rank() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let ranks = begin().expect("mpirun starts ranks");
    guarded(&*ranks, || match &*role {
        "panic" if ranks.rank() == 1 => panic!("rank 1 is broken"),
        "panic" | "rest" => drop(ranks.gather_all(vec![])),
        _ => talk(&*ranks),
    });
    ranks.finish();
}

fn talk(ranks: &dyn Ranks) {
    let (rank, size) = (ranks.rank(), ranks.size());
    let bytes = |rank: usize| vec![rank as u8; 1000 * rank];
    assert_eq!(ranks.gather_all(bytes(rank)), (0..size).map(bytes).collect::<Vec<_>>());
    assert_eq!(ranks.say(if ranks.leads() { b"said".to_vec() } else { b"no".to_vec() }), b"said");
    assert_eq!(ranks.say(Vec::new()), b"");
    // Rank r sends r + 1 numbers to each rank t, all of them 10 r + t.
    let sent = (0..size).flat_map(|to| vec![(10 * rank + to) as f32; rank + 1]).collect();
    let expected: Vec<usize> = (1..=size).collect();
    let received = ranks.exchange(sent, &vec![rank + 1; size], &expected);
    let meant: Vec<f32> = (0..size).flat_map(|from| vec![(10 * from + rank) as f32; from + 1]).collect();
    assert_eq!(received, meant);
    let counts: Vec<usize> = (0..size).map(|rank| 2 * rank).collect();
    let all = ranks.share_out(vec![rank as f32; counts[rank]], &counts);
    let meant: Vec<f32> = (0..size).flat_map(|rank| vec![rank as f32; 2 * rank]).collect();
    assert_eq!(all, meant);
    for from in 0..size {
        let handed = ranks.hand_over(from, if rank == from { bytes(from + 1) } else { Vec::new() });
        assert_eq!(handed, if rank == 0 { bytes(from + 1) } else { Vec::new() }, "from {from}");
    }
}
