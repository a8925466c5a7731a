//! `turnwise credit`.

use std::path::Path;

use serde_json::{Value, json};

use crate::binary::{arg, turnwise};

/// Plays tasks of the tiny model with many samples each.
fn play(out: &Path) {
    let common = ["rollout", "--config", "configs/tiny.toml", "--model", "models/tiny", "--out", arg(out)];
    let sets = ["--set", "eval.tasks=4", "--set", "eval.samples=32"];
    let played = turnwise(&[&common[..], &sets].concat(), "");
    assert_eq!(played.code, Some(0), "{}", played.stderr);
}

fn diagnosed(args: &[&str]) -> (Value, String) {
    let said = turnwise(&[&["credit", "--json"], args].concat(), "");
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    (serde_json::from_str(&said.stdout).expect("one JSON object"), said.stderr)
}

/// Groups of two turns, as `turnwise score` reads them: success depends on the first call.
fn written() -> String {
    let trajectory = |at: usize| {
        let (call, right) = (["f", "g"][at % 2], at.is_multiple_of(2) && !at.is_multiple_of(8));
        let last = if right { json!({"acc": 1.0}) } else { json!({}) };
        json!({"turns": [{}, last], "correct": right, "states": ["", call], "calls": [call, ""]})
    };
    let group = |name: usize| {
        let all: Vec<Value> = (0..40).map(trajectory).collect();
        json!({"group": name.to_string(), "trajectories": all}).to_string() + "\n"
    };
    (0..3).map(group).collect()
}

#[test]
fn rollouts_of_a_model_are_diagnosed_alike_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let (out, picture) = (folder.path().join("out.jsonl"), folder.path().join("credit.svg"));
    play(&out);
    let model = ["--model", "models/tiny", "--gradients", "64", "--sketch", "512"];
    let list = ["--estimators", "gtpo,grpo_min,gtpo+gamma=1+shaping.alpha=0,gated_tree"];
    let args = [&[arg(&out), "--svg", arg(&picture)], &model[..], &list].concat();
    let (found, table) = diagnosed(&args);
    assert_eq!(
        (&found["tasks"], &found["trajectories"], &found["sketched"]),
        (&4.into(), &128.into(), &64.into())
    );
    let estimators = found["estimators"].as_array().unwrap();
    let names: Vec<&str> = estimators.iter().map(|e| e["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["gtpo", "grpo_min", "gtpo+gamma=1+shaping.alpha=0", "gated_tree"]);
    for estimator in estimators {
        assert!(estimator["signal_to_noise"]["value"].is_number(), "{estimator}");
        assert!(table.contains(estimator["name"].as_str().unwrap()), "{table}");
    }
    assert_eq!(estimators[1]["weight"]["solved"]["value"], 0.0, "grpo_min is silent in solved groups");
    assert!(!table.contains("Log-probabilities differ"), "the model is the one that sampled: {table}");
    let drawn = std::fs::read_to_string(&picture).unwrap();
    assert!(drawn.starts_with("<svg") && drawn.contains("gated_tree"));
    assert_eq!(diagnosed(&args).0, found, "the same seed");
    let other = diagnosed(&[&args[..], &["--seed", "1"]].concat()).0;
    assert_ne!(other["estimators"], found["estimators"], "another seed");
}

#[test]
fn hand_written_groups_have_known_credit() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("groups.jsonl");
    std::fs::write(&file, written()).unwrap();
    let (found, _) = diagnosed(&[arg(&file), "--estimators", "turn_tree,rloo"]);
    let fidelity = |at: usize| found["estimators"][at]["fidelity"]["value"].as_f64().unwrap();
    assert!(fidelity(0) > 0.8 && fidelity(0) > fidelity(1), "{} {}", fidelity(0), fidelity(1));
    assert_eq!((&found["sketched"], found["notes"].as_array().unwrap().len()), (&0.into(), 0));
    // Unlike states of each trajectory: the reference can't be had, and the table says so.
    let alone: String = written().lines().enumerate().fold(String::new(), |all, (at, line)| {
        let mut group: Value = serde_json::from_str(line).unwrap();
        for (i, trajectory) in group["trajectories"].as_array_mut().unwrap().iter_mut().enumerate() {
            trajectory["states"][1] = format!("{at} {i}").into();
        }
        all + &group.to_string() + "\n"
    });
    std::fs::write(&file, alone).unwrap();
    let (found, table) = diagnosed(&[arg(&file), "--estimators", "turn_tree"]);
    assert_eq!(found["estimators"][0]["fidelity"], Value::Null);
    assert!(table.contains("No state after the prompt is shared"), "{table}");
}

#[test]
fn a_run_has_its_own_settings_and_its_last_steps() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let sets = ["train.steps=3", "rollout.groups=2", "rollout.samples=4", "eval.tasks=1", "advantage=rloo"];
    let mut args = vec!["train", "configs/tiny.toml", "--run", arg(&run)];
    for set in sets {
        args.extend(["--set", set]);
    }
    let trained = turnwise(&args, "");
    assert_eq!(trained.code, Some(0), "{}", trained.stderr);
    let (found, table) = diagnosed(&[arg(&run), "--group", "4"]);
    assert_eq!(found["trajectories"], 24);
    assert!(table.contains("so at least 16 of a task"), "{table}");
    assert_eq!(diagnosed(&[arg(&run), "--group", "4", "--last-steps", "1"]).0["trajectories"], 8);
}

#[test]
fn faults_have_one_line_with_place_and_hint() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("groups.jsonl");
    let check = |text: &str, args: &[&str], code: i32, parts: &[&str]| {
        std::fs::write(&file, text).unwrap();
        turnwise(&[&["credit", arg(&file)], args].concat(), "").fails(code, parts);
    };
    let good = written();
    check("{}\n", &[], 1, &["groups.jsonl:1: missing field `group`"]);
    check(
        r#"{"group":"g","trajectories":[{"turns":[{}]}]}"#,
        &[],
        1,
        &["no task has two trajectories", "hint"],
    );
    let flags = r#"{"group":"g","trajectories":[{"turns":[{}],"violations":[true,false]}]}"#;
    check(flags, &[], 1, &["groups.jsonl:1: trajectory 1 has 2 violation flags for 1 turns"]);
    check(&good, &["--estimators", "gtop"], 2, &["--estimators gtop: unknown estimator `gtop`", "hint"]);
    check(&good, &["--estimators", "gtpo+gama=1"], 2, &["advantage.gtpo.gama=1: unknown key `gama`"]);
    check(&good, &["--model", "models/tiny"], 1, &["has no tokens, which --model needs"]);
    check(&good, &["--group", "1"], 2, &["--group 1"]);
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    turnwise(&["credit", arg(&empty)], "").fails(1, &["rollouts: no rollouts", "hint"]);
}
