//! Runs whose turns are sampled by a server: they learn from exact tokens of the right weights, and a server
//! that keeps old weights or counts by another rule is refused.

#[path = "servers/endpoint.rs"]
mod endpoint;
#[path = "servers/engine.rs"]
mod engine;
#[path = "servers/ranks.rs"]
mod ranks;
#[path = "servers/vllm.rs"]
mod vllm;

use std::path::{Path, PathBuf};

use serde_json::Value;
use turnwise_rollout::chat::Moment;
use turnwise_tests::{device, model_folder};
use turnwise_trainer::config::{RunConfig, load};
use turnwise_trainer::progress::Silent;
use turnwise_trainer::{RunOptions, RunSite, ServerCheck, check_servers, train};

use crate::engine::{Engine, Ways};

fn config(url: &str, weights: &Path, sets: &[&str]) -> RunConfig {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../configs/tiny.toml");
    let own = [
        format!("model={:?}", model_folder("tiny").display().to_string()),
        "rollout.server.engine=vllm".into(),
        format!("rollout.server.urls=[{url:?}]"),
        format!("rollout.server.weights={:?}", weights.display().to_string()),
        "rollout.server.parallel=4".into(),
    ];
    let small = ["train.steps=3", "rollout.groups=3", "rollout.samples=4", "eval.tasks=4"];
    let sets = small.iter().chain(sets).map(ToString::to_string);
    let sets = own.into_iter().chain(sets).collect::<Vec<_>>();
    load(Some(&file), &[], &sets).expect("the shipped configuration")
}

fn place() -> RunSite {
    let (device_name, now) = ("test".into(), Moment::from_unix(1_735_603_199));
    RunSite { device: device(), device_name, git_commit: None, now, server_key: None }
}

/// Metrics, rollouts and weights of a run.
type Record = (String, Vec<String>, Vec<u8>);

/// Trains on an engine; returns what is on disk, or the error.
fn run(ways: Ways, sets: &[&str]) -> Result<(Record, Engine), String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (engine, weights) = (Engine::start(ways), folder.path().join("weights"));
    let run = folder.path().join("run");
    let config = config(&engine.url, &weights, sets);
    train(&config, &place(), &run, RunOptions::default(), &mut Silent).map_err(|error| error.to_string())?;
    Ok((record(&run, &weights), engine))
}

/// Returns what a run left, which is no weights in the folder of the servers.
fn record(run: &Path, weights: &Path) -> Record {
    let left = std::fs::read_dir(weights).expect("the folder of weights").count();
    assert_eq!(left, 0, "a run leaves no weights behind");
    let text = |file: &str| std::fs::read_to_string(run.join(file)).expect("a record");
    let rollouts = (0..3).map(|step| text(&format!("rollouts/step_{step:05}.jsonl"))).collect();
    let trained = std::fs::read(run.join("checkpoints/step_00003/model.safetensors")).expect("weights");
    (text("metrics.jsonl"), rollouts, trained)
}

fn versions(rollouts: &str) -> Vec<u64> {
    let lines = rollouts.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let turn = |turn: &Value| turn["version"].as_u64().expect("a version");
    let turns = lines.flat_map(|group| {
        let trajectories = group["trajectories"].as_array().expect("a list").clone();
        trajectories
            .into_iter()
            .flat_map(|trajectory| trajectory["played"]["turns"].as_array().expect("turns").clone())
    });
    let mut versions: Vec<u64> = turns.map(|value| turn(&value)).collect();
    versions.sort_unstable();
    versions.dedup();
    versions
}

#[test]
fn every_step_is_played_by_its_own_weights_and_agrees_with_the_trainer() {
    let ((metrics, rollouts, _), engine) = run(Ways::default(), &[]).expect("a run");
    for (step, line) in metrics.lines().enumerate() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let gap = line["logprob_gap"].as_f64().expect("a gap");
        assert!(gap < 1e-4, "step {step}: log-probabilities differ by {gap}");
        assert_eq!(versions(&rollouts[step]), [step as u64], "no other weights have played it");
    }
    // Other weights, those before each step, and the last ones for the evaluation.
    let loaded = engine.loaded();
    assert_eq!(loaded.len(), 5, "{loaded:?}");
    let different: std::collections::BTreeSet<&String> = loaded.iter().collect();
    assert_eq!(different.len(), 5, "every version is a new folder");
}

#[test]
fn delays_and_restarts_of_a_server_change_no_byte() {
    let (calm, _) = run(Ways::default(), &["rollout.lag=1"]).expect("a run");
    let (late, _) = run(Ways { delay: 40, ..Ways::default() }, &["rollout.lag=1"]).expect("a run");
    assert!(calm == late, "delays changed a lagged run");
    assert_eq!(calm.1.iter().flat_map(|rollouts| versions(rollouts)).collect::<Vec<_>>(), [0, 0, 1]);
    let (calm, _) = run(Ways::default(), &[]).expect("a run");
    let (restarted, _) = run(Ways { restarts_every: 41, ..Ways::default() }, &[]).expect("a run");
    assert!(calm.0 == restarted.0 && calm.2 == restarted.2, "a restart changed what was learnt");
    assert!(calm.1 != restarted.1, "rollouts have the retries, so the server did restart");
    // Probes and pushes are cut off too.
    let (broken, _) = run(Ways { breaks_every: 7, ..Ways::default() }, &[]).expect("a run");
    assert!(calm.0 == broken.0 && calm.2 == broken.2, "broken connections changed what was learnt");
    assert!(calm.1 != broken.1, "rollouts have the retries, so connections did break");
}

#[test]
fn a_server_that_keeps_old_weights_or_counts_otherwise_is_refused() {
    let refused = |ways, sets: &[&str]| run(ways, sets).map(|_| ()).expect_err("it is refused");
    let kept = refused(Ways { keeps_weights: true, ..Ways::default() }, &[]);
    assert!(kept.contains("nats from the trainer's") && kept.contains("untied_head=true"), "{kept}");
    let untied = ["rollout.server.untied_head=true"];
    let kept = refused(Ways { keeps_weights: true, ..Ways::default() }, &untied);
    assert!(kept.contains("kept old weights or prefixes"), "{kept}");
    let raw = refused(Ways { unscaled: true, ..Ways::default() }, &["rollout.sampling.temperature=0.7"]);
    assert!(raw.contains("--logprobs-mode processed_logprobs"), "{raw}");
    let long =
        refused(Ways::default(), &["rollout.max_tokens=100", "rollout.server.urls=[\"http://127.0.0.1:9\"]"]);
    assert!(long.contains("is the server running?"), "{long}");
}

#[test]
fn what_a_server_can_not_do_is_refused_with_its_key() {
    let engine = Engine::start(Ways::default());
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../configs/tiny.toml");
    let check = |sets: &[&str], told: &str| {
        let own = [
            "rollout.server.engine=vllm".to_string(),
            format!("rollout.server.urls=[{:?}]", engine.url),
            "rollout.server.weights=w".into(),
        ];
        let sets: Vec<String> = own.into_iter().chain(sets.iter().map(ToString::to_string)).collect();
        let error = load::<RunConfig>(Some(&file), &[], &sets).expect_err("refused").to_string();
        assert!(error.contains(told), "{error}");
    };
    check(&["rollout.sampling.top_p=0.9"], "`rollout.sampling.top_p` is 0.9, expected 1 with");
    check(&["rollout.sampling.top_k=5"], "`rollout.sampling.top_k` is 5, expected 0");
    check(&["rollout.server.urls=[]"], "`rollout.server.urls` is empty");
    check(&["rollout.server.router=\"http://a/v1\""], "without /v1");
    check(&["rollout.server.adapter=true"], "optimizer.lora is missing");
    check(&["rollout.server.engine=sglang", "rollout.server.adapter=true"], "gets merged weights only");
    check(&["rollout.lag=2"], "`rollout.lag` is 2, expected");
}

/// Returns name and outcome of every check of an engine.
fn checked(ways: Ways, sets: &[&str]) -> Vec<ServerCheck> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let engine = Engine::start(ways);
    let config = config(&engine.url, &folder.path().join("weights"), sets);
    let mut checks = Vec::new();
    check_servers(&config, &place(), &mut |check| checks.push(check)).expect("the model opens");
    checks
}

#[test]
fn the_checks_of_a_server_find_what_is_wrong_with_it() {
    let good = checked(Ways::default(), &[]);
    assert_eq!(good.len(), 8, "{good:?}");
    assert!(good.iter().all(|check| check.ok == Some(true)), "{good:?}");
    let failed = |ways| {
        let checks = checked(ways, &[]);
        let failed = checks.into_iter().filter(|check| check.ok == Some(false));
        failed.map(|check| check.name).collect::<Vec<_>>()
    };
    assert_eq!(failed(Ways { keeps_weights: true, ..Ways::default() }), ["weight update", "prefix cache"]);
    assert_eq!(failed(Ways { unscaled: true, ..Ways::default() }), ["log-probabilities"]);
}
