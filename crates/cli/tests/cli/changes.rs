//! Settings that change while a run goes on: each acts at once or is refused at once.

use crate::binary::{arg, root, turnwise};
use crate::runs::{Runs, record};

/// The arguments that set these keys.
fn sets<'a>(keys: &[&'a str]) -> Vec<&'a str> {
    keys.iter().flat_map(|key| ["--set", key]).collect()
}

const ADAPTER: [&str; 2] = ["optimizer.lora.rank=2", "optimizer.lora.alpha=8"];
const TARGETS: &str = "optimizer.lora.targets=[\"q_proj\", \"v_proj\"]";

/// A run of two steps with some settings is refused with others, and nothing of it is touched.
#[track_caller]
fn refused(before: &[&str], after: &[&str], parts: &[&str]) {
    let runs = Runs::new();
    runs.finishes("a", &sets(&[before, &["train.steps=2"]].concat()));
    let untouched = record(&runs.path("a"));
    let refused = runs.train("a", &[sets(after), vec!["--allow-changes"]].concat());
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    for part in parts.iter().chain(&["checkpoints/step_00002", "  hint: ", "--set model="]) {
        assert!(refused.stderr.contains(part), "{part:?} is not in:\n{}", refused.stderr);
    }
    assert!(record(&runs.path("a")) == untouched, "nothing is touched");
}

#[test]
fn another_part_of_the_model_is_refused_with_what_it_was() {
    let other_rank = ["optimizer.lora.rank=4", "optimizer.lora.alpha=8"];
    let (all, of_adapter) = ("trains all weights", "trains an adapter");
    refused(&[], &ADAPTER, &["optimizer.lora: ", all, "the config an adapter"]);
    refused(&ADAPTER, &[], &["optimizer.lora: ", of_adapter, "the config all weights"]);
    refused(&ADAPTER, &other_rank, &["optimizer.lora: ", "has rank 2, the config 4"]);
    let fewer = [&ADAPTER[..], &[TARGETS]].concat();
    refused(&ADAPTER, &fewer, &["optimizer.lora: ", "adapts down_proj, ", "; the config q_proj, v_proj,"]);
}

#[test]
fn another_model_is_refused_where_all_weights_are_trained() {
    let other = tempfile::tempdir().expect("a temporary folder");
    for file in std::fs::read_dir(root().join("models/tiny")).expect("the tiny model") {
        let file = file.expect("a file").path();
        std::fs::copy(&file, other.path().join(file.file_name().expect("a name"))).expect("a copy");
    }
    let other = format!("model={}", arg(other.path()));
    refused(&[], &[other.as_str()], &["model: ", "was trained from \"models/tiny\", not from "]);

    let runs = Runs::new();
    runs.finishes("adapter", &sets(&[&ADAPTER[..], &["train.steps=2"]].concat()));
    let onto_it = sets(&[&ADAPTER[..], &["train.steps=3", other.as_str()]].concat());
    runs.finishes("adapter", &[onto_it, vec!["--allow-changes"]].concat());
}

#[test]
fn the_weights_of_a_refused_run_are_the_start_of_another() {
    let runs = Runs::new();
    runs.finishes("full", &sets(&["train.steps=2"]));
    let model = format!("model={}", runs.path("full/checkpoints/step_00002").display());
    runs.finishes("adapter", &sets(&[&ADAPTER[..], &["train.steps=1", model.as_str()]].concat()));
    assert!(runs.path("adapter/checkpoints/step_00001/adapter").is_dir());
}

#[test]
fn the_scale_of_an_adapter_and_what_is_frozen_may_change() {
    let runs = Runs::new();
    runs.finishes("a", &sets(&[&ADAPTER[..], &["train.steps=2"]].concat()));
    let louder = sets(&["optimizer.lora.rank=2", "optimizer.lora.alpha=80"]);
    runs.finishes("a", &[louder, vec!["--allow-changes"]].concat());
    let alpha = |step: usize| -> serde_json::Value {
        let path = runs.path(&format!("a/checkpoints/step_{step:05}/adapter/adapter_config.json"));
        serde_json::from_slice::<serde_json::Value>(&std::fs::read(path).unwrap()).unwrap()["lora_alpha"]
            .clone()
    };
    assert_eq!((alpha(2), alpha(4), alpha(5)), (8.0.into(), 80.0.into(), 80.0.into()));

    let lr = "optimizer.lr=1e-2";
    runs.finishes("b", &sets(&["train.steps=2", lr]));
    let frozen = sets(&["optimizer.freeze=[\"model.embed_tokens.*\"]", lr]);
    runs.finishes("b", &[frozen, vec!["--allow-changes"]].concat());
    let embedding = |step: usize| {
        let folder = runs.path(&format!("b/checkpoints/step_{step:05}"));
        let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let of = |name: &str| tensors.tensor(name).unwrap().data().to_vec();
        (of("model.embed_tokens.weight"), of("model.norm.weight"))
    };
    assert!(embedding(2).0 == embedding(5).0, "what is frozen stays");
    assert!(embedding(2).1 != embedding(5).1, "the rest is trained");
}

#[test]
fn a_play_that_is_ahead_counts_only_with_the_tasks_that_it_played() {
    let runs = Runs::new();
    let with_level = |level| sets(&["rollout.lag=1", level]);
    runs.finishes("a", &with_level("env.arithmetic.levels=[2]"));
    // As if it had been stopped before its last step, whose play is ahead.
    assert!(runs.path("a/checkpoints/step_00004/ahead.json").exists());
    std::fs::remove_dir_all(runs.path("a/checkpoints/step_00005")).unwrap();
    std::fs::remove_file(runs.path("a/evaluation.json")).unwrap();
    let others = with_level("env.arithmetic.levels=[3]");
    runs.finishes("a", &[others, vec!["--allow-changes"]].concat());
    let rollouts = std::fs::read_to_string(runs.path("a/rollouts/step_00004.jsonl")).unwrap();
    assert!(rollouts.contains("\"level\":3,") && !rollouts.contains("\"level\":2,"), "{rollouts}");
}

#[test]
fn a_run_that_ends_where_it_is_has_the_evaluation_of_what_it_did() {
    let runs = Runs::new();
    runs.finishes("a", &sets(&["train.steps=3"]));
    std::fs::remove_file(runs.path("a/evaluation.json")).unwrap();
    let shorter = runs.train("a", &[sets(&["train.steps=2"]), vec!["--allow-changes"]].concat());
    shorter.fails(2, &["has done 3 steps, and train.steps is 2"]);
    assert!(!runs.path("a/evaluation.json").exists(), "nothing is touched");
    runs.finishes("a", &[sets(&["train.steps=3"]), vec!["--allow-changes"]].concat());
    let text = std::fs::read_to_string(runs.path("a/evaluation.json")).unwrap();
    let evaluation: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(evaluation["steps"], 3, "the policy has made three steps");
    turnwise(&["report", arg(&runs.path("a")), "--out", arg(&runs.path("report.md"))], "");
}
