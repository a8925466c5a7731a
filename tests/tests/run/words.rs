//! Meaning of a run's words: a task drawn twice, a setting that changed, a violation, a step without an
//! update.

use std::path::Path;

use turnwise_model::{
    LoraConfig, TokenBatch, Transformer, adapter_config, load as load_model, load_adapter, load_adapter_as,
};
use turnwise_run::Recorded;
use turnwise_tests::{device, max_abs_diff, model_folder, values};
use turnwise_trainer::RunOptions;
use turnwise_trajectory::Trajectory;

use crate::{SMALL, column, metrics, run, run_on, run_with, turn_logprobs};

#[test]
fn the_scale_of_an_adapter_changes_at_the_restart() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("a");
    let lora =
        |alpha: &'static str| [&SMALL[..], &["optimizer.lora.rank=4", "optimizer.lr=1e-2", alpha]].concat();
    run(&folder, &[lora("optimizer.lora.alpha=8"), vec!["train.steps=2"]].concat());
    run_with(
        &folder,
        &lora("optimizer.lora.alpha=24"),
        RunOptions { allow_changes: true, ..RunOptions::default() },
    );
    let base = || load_model(&model_folder("tiny"), &device()).unwrap();
    let checkpoint = |step: usize| folder.join(format!("checkpoints/step_{step:05}"));
    // The first rollouts after the restart are sampled by the adapter of step 2 with the new scale.
    let adapter = checkpoint(2).join("adapter");
    let config = LoraConfig { alpha: 24.0, ..adapter_config(&adapter).unwrap() };
    let (louder, before) =
        (load_adapter_as(base(), &config, &adapter).unwrap(), load_adapter(base(), &adapter).unwrap());
    let text = std::fs::read_to_string(folder.join("rollouts/step_00002.jsonl")).unwrap();
    let group: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let played: Trajectory = serde_json::from_value(group["trajectories"][0]["played"].clone()).unwrap();
    let recorded: f64 = played.turns[0].logprobs.iter().map(|&logprob| f64::from(logprob)).sum();
    let off = |model: &Transformer| (turn_logprobs(model, &played, 1.0)[0] - recorded).abs();
    assert!(off(&louder) <= 1e-3, "{}", off(&louder));
    assert!(off(&before) > 10.0 * off(&louder), "{}", off(&before));
    // And what is written fits its own configuration.
    let batch = TokenBatch::new(&[[5_u32, 6, 7, 8, 9]]);
    let logits = |model: &Transformer| values(model.logits(model.hidden(&batch)));
    let adapted = load_adapter(base(), &checkpoint(3).join("adapter")).unwrap();
    let merged = load_model(&checkpoint(3), &device()).unwrap();
    assert!(max_abs_diff(&logits(&adapted), &logits(&merged)) <= 1e-4);
}

/// Rollouts of a step, group by group.
fn played(folder: &Path, step: usize) -> Vec<Vec<Trajectory>> {
    let text = std::fs::read_to_string(folder.join(format!("rollouts/step_{step:05}.jsonl"))).unwrap();
    let group = |line: &str| -> Vec<Trajectory> {
        let group: serde_json::Value = serde_json::from_str(line).unwrap();
        let trajectories = group["trajectories"].as_array().unwrap().iter();
        trajectories.map(|one| serde_json::from_value(one["played"].clone()).unwrap()).collect()
    };
    text.lines().map(group).collect()
}

#[test]
fn a_task_that_is_drawn_twice_in_a_step_is_played_twice() {
    let parent = tempfile::tempdir().unwrap();
    let at = |name: &str| parent.path().join(name);
    let one = [&SMALL[..], &["env.arithmetic.train_tasks=1"]].concat();
    run(&at("one"), &[&one[..], &["rollout.groups=1"]].concat());
    run(&at("three"), &one);
    let (once, thrice) = (played(&at("one"), 0), played(&at("three"), 0));
    assert_eq!(thrice.len(), 3);
    assert_eq!(once[0], thrice[0], "the first time is as if it were the only one");
    let tokens = |group: &[Trajectory]| -> Vec<_> { group.iter().map(Trajectory::tokens).collect() };
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        assert_ne!(tokens(&thrice[a]), tokens(&thrice[b]), "groups {a} and {b}");
    }
    // Goes on and is replayed as any other run; an epoch of two tasks ends in the midst of each step.
    let two = [&SMALL[..], &["env.arithmetic.train_tasks=2"]].concat();
    run(&at("whole"), &two);
    run(&at("parts"), &[&two[..], &["train.steps=2"]].concat());
    run(&at("parts"), &two);
    let recorded = Recorded::open(&at("whole")).unwrap();
    run_on(&at("replayed"), &two, &recorded);
    for name in ["parts", "replayed"] {
        assert_eq!(metrics(&at("whole")), metrics(&at(name)), "{name}");
        assert_eq!(played(&at("whole"), 2), played(&at(name), 2), "{name}");
    }
}

#[test]
fn a_step_without_an_update_says_so_and_nothing_else_of_updates() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("a");
    // Every turn is cut off, so every trajectory is dropped.
    run(&folder, &[&SMALL[..], &["rollout.max_turn_tokens=1", "filter.truncated=true"]].concat());
    for line in metrics(&folder).lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((line["updates"].as_u64(), line["truncated"].as_f64()), (Some(0), Some(1.0)), "{line}");
        let keys: Vec<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
        for key in
            ["loss", "ratio", "clipped", "old_kl", "ref_kl", "logprob_gap", "grad_norm", "weight_norm", "lr"]
        {
            assert!(!keys.contains(&key), "{key}: {line}");
        }
        assert!(
            line.as_object().unwrap().values().all(|value| !value.is_null()),
            "no number is none: {line}"
        );
        assert!(line["by_turn"].as_array().unwrap().iter().all(|turn| turn["loss"].is_null()), "{line}");
        assert_eq!(line["guards"], serde_json::json!([]));
    }
    let weights = |path: &Path| {
        values(
            load_model(path, &device())
                .unwrap()
                .logits(load_model(path, &device()).unwrap().hidden(&TokenBatch::new(&[[5_u32, 6, 7]]))),
        )
    };
    let trained = weights(&folder.join("checkpoints/step_00003"));
    assert_eq!(trained, weights(&model_folder("tiny")), "the policy is what it was");
}

#[test]
fn a_violation_that_costs_nothing_is_one() {
    let parent = tempfile::tempdir().unwrap();
    let at = |name: &str| parent.path().join(name);
    let sets = [&SMALL[..], &["train.steps=1", "rollout.groups=8", "advantage=grpo_min", "shaping.alpha=0"]]
        .concat();
    run(&at("priced"), &sets);
    run(&at("free"), &[&sets[..], &["reward.format_penalty=0"]].concat());
    assert!(column(&at("priced"), "violations")[0] > 0.0, "there is something to compare");
    for key in ["violations", "grad_norm", "accuracy"] {
        assert_eq!(column(&at("priced"), key), column(&at("free"), key), "{key}");
    }
    let text = std::fs::read_to_string(at("free").join("rollouts/step_00000.jsonl")).unwrap();
    assert!(text.contains("\"violations\":[") && !text.contains("\"fmt\":-0.1"));
}
