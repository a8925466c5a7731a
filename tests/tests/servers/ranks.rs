//! Several ranks, under a real `mpirun`, that play on one server.

use std::path::Path;
use std::process::Command;

use turnwise_ranks::HAS_MPI;
use turnwise_trainer::progress::Silent;
use turnwise_trainer::{RunOptions, train};

use crate::engine::{Engine, Ways};
use crate::{config, place, record};

/// Holds what a rank is told: the folder of the test, and the address of the server.
const TOLD: &str = "TURNWISE_TEST_RANK";

/// Makes the bytes of a run the same on any number of ranks.
const DIVIDED: [&str; 3] = ["optimizer.shards=4", "optimizer.micro_batch_tokens=512", "rollout.lag=1"];

#[test]
fn ranks_play_on_the_weights_that_rank_0_pushes() {
    if !HAS_MPI {
        assert!(std::env::var_os("TURNWISE_TEST_NO_SKIPS").is_none(), "ranks must not be skipped: no MPI");
        eprintln!("skipped ranks_play_on_the_weights_that_rank_0_pushes: built without MPI");
        return;
    }
    let left = |ranks: usize| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let engine = Engine::start(Ways::default());
        let mut job = Command::new("mpirun");
        job.args(["--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "--quiet"]);
        job.args(["-n", &ranks.to_string()]).arg(std::env::current_exe().expect("this program"));
        job.args(["--exact", "ranks::one_of_them", "--nocapture"]);
        let told = format!("{}\n{}", folder.path().display(), engine.url);
        let ran = job.env(TOLD, told).output().expect("mpirun starts");
        let told = [ran.stdout, ran.stderr].concat();
        assert!(ran.status.success(), "{ranks} ranks: {}", String::from_utf8_lossy(&told));
        let record = record(&folder.path().join("run"), &folder.path().join("weights"));
        // Other weights, those that play the first two steps, those of the third, and the last ones.
        assert_eq!(engine.loaded().len(), 4, "rank 0 alone pushes: {:?}", engine.loaded());
        record
    };
    let alone = left(1);
    assert!(left(2) == alone, "two ranks left other bytes than one");
}

/// Trains as one of the ranks of the test above, which starts it. By itself it has nothing to do.
#[test]
fn one_of_them() {
    let Ok(told) = std::env::var(TOLD) else { return };
    let (folder, url) = told.split_once('\n').expect("a folder and an address");
    let folder = Path::new(folder);
    let ranks = turnwise_ranks::begin().expect("ranks under mpirun");
    let options = RunOptions { ranks: ranks.clone(), ..RunOptions::default() };
    let config = config(url, &folder.join("weights"), &DIVIDED);
    train(&config, &place(), &folder.join("run"), options, &mut Silent).expect("a run");
    ranks.finish();
}
