//! `turnwise rollout` with a local model. A server is played against in `tests/tests/servers/endpoint.rs`.

use serde_json::Value;

use crate::binary::{arg, turnwise};

#[test]
fn conversations_are_written_down_and_demonstrations_are_the_right_ones() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.jsonl");
    let common = [
        "rollout",
        "--config",
        "configs/tiny.toml",
        "--model",
        "models/tiny",
        "--set",
        "eval.tasks=12",
        "--out",
        arg(&out),
    ];
    let all = turnwise(&[&common[..], &["--json"]].concat(), "");
    assert_eq!(all.code, Some(0), "{}", all.stderr);
    let answer: Value = serde_json::from_str(&all.stdout).unwrap();
    let read = || -> Vec<Value> {
        let text = std::fs::read_to_string(&out).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let lines = read();
    let right = lines.iter().filter(|line| line["trajectories"][0]["correct"] == true).count();
    assert_eq!((lines.len(), &answer["accuracy"]), (12, &(right as f64 / 12.0).into()));
    let evaluated = turnwise(
        &[
            "eval",
            "--config",
            "configs/tiny.toml",
            "--model",
            "models/tiny",
            "--set",
            "eval.tasks=12",
            "--json",
        ],
        "",
    );
    let evaluated: Value = serde_json::from_str(&evaluated.stdout).unwrap();
    assert_eq!(evaluated["outcomes"], answer["outcomes"], "the same play");
    let messages = lines[0]["messages"].as_array().unwrap();
    let roles: Vec<&str> = messages.iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!((roles[0], roles[roles.len() - 1]), ("user", "assistant"), "{messages:?}");
    assert!(roles.windows(2).all(|pair| pair[0] != pair[1]) && roles.contains(&"tool"), "{roles:?}");
    let demonstrations = turnwise(&[&common[..], &["--right", "--train"]].concat(), "");
    assert_eq!(demonstrations.code, Some(0), "{}", demonstrations.stderr);
    let lines = read();
    assert!(!lines.is_empty() && lines.iter().all(|line| line["trajectories"][0]["correct"] == true));
    assert!(lines.iter().all(|line| line["group"].as_str().unwrap().contains("/train/")));
}

#[test]
fn a_play_needs_a_policy() {
    let neither = turnwise(&["rollout", "--config", "configs/tiny.toml"], "");
    assert_eq!(neither.code, Some(2));
    let nameless =
        turnwise(&["rollout", "--config", "configs/tiny.toml", "--endpoint", "http://127.0.0.1:9/v1"], "");
    assert!(nameless.code == Some(2) && nameless.stderr.contains("--name"), "{}", nameless.stderr);
}
