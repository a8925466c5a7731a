//! Turn rewards of a process, none of which is called `acc`, are enough to learn from.

use std::path::{Path, PathBuf};

use turnwise_trainer::progress::Silent;
use turnwise_trainer::{RunOptions, train};

use crate::{BEGAN, column, load, model_folder, place};

/// Trains the example on its environment. Returns the mean reward of a trajectory, step by step, and the
/// change of held-out accuracy.
fn trained(folder: &Path, sets: &[&str]) -> (Vec<f64>, f64) {
    let example = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../crates/envs/examples/process");
    let program = example.join("steps.py").display().to_string();
    let more = [
        format!("env.process.command=[\"python3\", {program:?}]"),
        format!("model={:?}", model_folder("tiny").display().to_string()),
    ];
    let sets: Vec<String> = sets.iter().map(ToString::to_string).chain(more).collect();
    let config = load(Some(&example.join("steps.toml")), &[], &sets).expect("the example's run file");
    let finished = train(&config, &place(BEGAN), folder, RunOptions::default(), &mut Silent).expect("a run");
    (column(folder, "reward"), finished.after.accuracy - finished.before.accuracy)
}

/// Checks that the last third of the steps earned more than the first, and that the held-out tasks agree.
#[track_caller]
fn learns(sets: &[&str]) {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("a");
    let (rewards, gain) = trained(&folder, &[&["train.steps=30"][..], sets].concat());
    let mean = |rewards: &[f64]| rewards.iter().sum::<f64>() / rewards.len() as f64;
    let third = rewards.len() / 3;
    let (first, last) = (mean(&rewards[..third]), mean(&rewards[2 * third..]));
    assert!(last >= first + 0.04, "from {first} to {last}: {rewards:?}");
    assert!(gain >= 0.08, "held-out accuracy rose by {gain}; rewards of the steps: {rewards:?}");
    let rollouts = std::fs::read_to_string(folder.join("rollouts/step_00000.jsonl")).unwrap();
    let group: serde_json::Value = serde_json::from_str(rollouts.lines().next().unwrap()).unwrap();
    for turn in group["trajectories"][0]["turns"].as_array().unwrap() {
        assert_eq!((turn["acc"].as_f64(), turn["fmt"].as_f64()), (Some(0.0), Some(0.0)), "{turn}");
        assert!(turn["progress"].is_number(), "{turn}");
    }
}

#[test]
fn gtpo_learns_from_turn_rewards_alone() {
    learns(&[]);
}

#[test]
fn grpo_learns_from_the_sum_of_turn_rewards() {
    learns(&["advantage=grpo"]);
}
