//! Contents of a run, and reasons that stop or refuse one, through the binary.

use std::path::{Path, PathBuf};

use crate::binary::{arg, root, turnwise};
use crate::runs::{Runs, steps};

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let ran = turnwise(&["train", "configs/tiny.toml", "--run", "/proc/run"], "");
    ran.fails(1, &["/proc/run: cannot write: "]);
}

#[test]
fn old_checkpoints_go_and_the_best_stays() {
    let runs = Runs::new();
    let keep = ["--set", "train.checkpoint_every=1", "--set", "train.keep=2", "--set", "train.keep_best=0"];
    runs.finishes("a", &keep);
    let names = |run: &str| {
        let entries = std::fs::read_dir(runs.path(run).join("checkpoints")).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names("a"), ["step_00004", "step_00005"]);
}

/// A copy of the tiny model with one weight whose square is beyond f32. It belongs to a token that no text
/// has.
fn with_a_huge_weight(folder: &Path) -> PathBuf {
    std::fs::create_dir(folder).unwrap();
    for entry in std::fs::read_dir(root().join("models/tiny")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
    let file = folder.join("model.safetensors");
    let mut bytes = std::fs::read(&file).unwrap();
    // The embedding is the first tensor after the header, whose length comes first.
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[8 + header..][..4].copy_from_slice(&2.5e19_f32.to_le_bytes());
    std::fs::write(&file, bytes).unwrap();
    folder.into()
}

#[test]
fn a_run_whose_weights_are_too_large_is_stopped_and_can_go_on() {
    let runs = Runs::new();
    let model = format!("model={:?}", with_a_huge_weight(&runs.path("model")));
    let broken = runs.train("a", &["--set", &model]);
    assert_eq!(broken.code, Some(1), "{}", broken.stderr);
    let last: Vec<&str> = broken.stderr.lines().rev().take(2).collect();
    assert!(last[1].contains("guard non_finite stopped the run at step 1: NaN or infinity in "), "{last:?}");
    assert!(last[1].ends_with("the weights"), "{last:?}");
    assert!(last[0].starts_with("  hint: lower optimizer.lr"), "{last:?}");
    let log = std::fs::read_to_string(runs.path("a/log.txt")).unwrap();
    assert!(log.contains("guard non_finite at step 1"), "{log}");
    let metrics = std::fs::read_to_string(runs.path("a/metrics.jsonl")).unwrap();
    assert!(metrics.contains("\"guards\":[\"non_finite\"]"), "{metrics}");
    assert_eq!(
        std::fs::read_dir(runs.path("a/checkpoints")).unwrap().count(),
        0,
        "broken weights are not kept"
    );
    runs.finishes("a", &["--allow-changes"]);
    assert_eq!(steps(&runs.path("a")), 5);
}

#[test]
fn sinks_hold_each_step_once_after_a_stop() {
    let runs = Runs::new();
    let sinks = ["--set", "sinks.tensorboard=true", "--set", "sinks.openmetrics=true"];
    runs.finishes("a", &[&sinks[..], &["--set", "train.steps=3"]].concat());
    runs.finishes("a", &sinks);
    let metrics = std::fs::read_to_string(runs.path("a/metrics.prom")).unwrap();
    assert!(metrics.contains("turnwise_step{run=\"a\"} 4\n") && metrics.ends_with("# EOF\n"), "{metrics}");
    let events = std::fs::read(runs.path("a/tensorboard/events.out.tfevents.0.turnwise")).unwrap();
    // The tag of a metric that every step has.
    let tag = b"weight_norm";
    assert_eq!(events.windows(tag.len()).filter(|window| window == tag).count(), 5);
}

#[test]
fn a_model_that_cannot_fit_is_refused_with_the_numbers() {
    let folder = crate::model::with_tokenizer();
    let path = folder.path().join("config.json");
    let config = std::fs::read_to_string(&path).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
    config["hidden_size"] = (1 << 19).into();
    config["intermediate_size"] = (1 << 19).into();
    std::fs::write(&path, config.to_string()).unwrap();
    let runs = Runs::new();
    let refused = runs.train("a", &["--set", &format!("model={:?}", arg(folder.path()))]);
    refused.fails(1, &["training needs at least ", "GiB of memory", "weights ", "moments ", "hint: "]);
    assert!(!runs.path("a").exists(), "nothing is written");
}

#[test]
fn a_guard_that_warns_lets_the_run_go_on() {
    let runs = Runs::new();
    let ran =
        runs.finishes("a", &["--set", "guards.limits.logprob_gap=0", "--set", "guards.limits.window=2"]);
    let told = ran.stderr.matches("guard drift at step 1: log-probabilities").count();
    assert_eq!(told, 1, "said once while it lasts: {}", ran.stderr);
    let stopped = runs.train("b", &["--set", "guards.limits.logprob_gap=0", "--set", "guards.drift=stop"]);
    assert_eq!(stopped.code, Some(1), "{}", stopped.stderr);
    assert!(runs.path("b/checkpoints/step_00001/manifest.json").exists(), "what was learnt is kept");
}
