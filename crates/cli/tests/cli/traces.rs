//! Traces through the binary: sessions of an endpoint become what other programs read, and what a replay
//! learns from.

use std::path::Path;
use std::process::Command;

use safetensors::SafeTensors;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::binary::{BINARY, arg, ran, root, turnwise};
use crate::serve::Served;

/// Settings of a small replay of what the endpoint sampled.
const SMALL: [&str; 12] = [
    "--set",
    "rollout.groups=2",
    "--set",
    "eval.tasks=0",
    "--set",
    "train.eval_every=0",
    "--set",
    "train.checkpoint_every=1",
    "--set",
    "optimizer.warmup=0",
    "--set",
    "optimizer.lr=1e-3",
];

/// Serves three tasks with two attempts each. An attempt is a conversation of two turns, and another one of
/// one turn. The first attempt is right. Returns the file of sessions.
fn sessions(folder: &TempDir) -> String {
    let record = folder.path().join("record");
    let served = Served::tiny(&["--record", arg(&record)]);
    let path = "/chat/completions";
    for (task, attempt) in (0..3).flat_map(|task| [(task, 0), (task, 1)]) {
        let name = format!("sum-{task}");
        let mut messages = vec![json!({"role": "user", "content": format!("Compute {task} + 2")})];
        let ask = |messages: &Value, most: usize| {
            let seed = 10 * task + attempt;
            let request = json!({"messages": messages, "max_tokens": most, "seed": seed});
            served.ask(&name, path, &request)["choices"][0]["message"].clone()
        };
        let said = ask(&json!(messages), 24);
        ask(&json!([{"role": "user", "content": "Is it right?"}]), 1);
        messages.extend([said, json!({"role": "user", "content": "Again"})]);
        ask(&json!(messages), 24);
        let reward = format!("/sessions/{name}/reward");
        served.ask(&name, &reward, &json!({"rewards": {"progress": 0.25}, "turn": 0}));
        served.ask(&name, &reward, &json!({"rewards": {"acc": 1 - attempt}, "done": true}));
    }
    served.end();
    arg(&record.join("sessions.jsonl")).into()
}

/// Converts files; returns what is printed.
#[track_caller]
fn converted(args: &[&str]) -> String {
    let ran = turnwise(&[&["traces"], args].concat(), "");
    assert_eq!((ran.code, &ran.stderr[..]), (Some(0), ""), "{}", ran.stdout);
    ran.stdout
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn sessions_of_an_endpoint_are_learnt_from_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let sessions = sessions(&folder);
    let told = rows(&read(Path::new(&sessions)));
    assert_eq!(told.len(), 6);
    assert!(told.iter().all(|line| line["calls"][1]["finish"] == "asked"), "one token is too few");
    let mut files = vec![sessions.clone()];
    for format in ["training-trace", "atif"] {
        std::fs::write(at(format), converted(&[&sessions, "--to", format])).unwrap();
        files.push(arg(&at(format)).into());
    }

    // Each format gives the same run, byte for byte.
    let mut runs = Vec::new();
    for (nth, file) in files.iter().enumerate() {
        let run = at(&format!("run-{nth}"));
        let args = ["traces", file, "--run", arg(&run), "--config", "configs/tiny.toml"];
        let ran = turnwise(&[&args[..], &SMALL].concat(), "");
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert!(ran.stderr.contains("6 traces of 3 tasks in 2 steps"), "{}", ran.stderr);
        runs.push(run);
    }
    let recorded = |run: &Path, step: usize| read(&run.join(format!("rollouts/step_0000{step}.jsonl")));
    for (other, step) in runs[1..].iter().flat_map(|run| [(run, 0), (run, 1)]) {
        assert_eq!(recorded(other, step), recorded(&runs[0], step), "{}", other.display());
    }
    let groups = rows(&(recorded(&runs[0], 0) + &recorded(&runs[0], 1)));
    assert_eq!(groups.iter().map(|group| &group["group"]).collect::<Vec<_>>(), ["sum-0", "sum-1", "sum-2"]);
    for (nth, session) in told.iter().enumerate() {
        let trajectory = &groups[nth / 2]["trajectories"][nth % 2];
        let turns = trajectory["played"]["turns"].as_array().unwrap();
        for (turn, call) in turns.iter().zip(session["calls"].as_array().unwrap()) {
            assert_eq!((&turn["tokens"], &turn["logprobs"]), (&call["token_ids"], &call["logprobs"]));
        }
        assert_eq!(trajectory["turns"], json!([{"progress": 0.25}, {}, {"acc": 1.0 - (nth % 2) as f64}]));
        assert_eq!(turns[1]["branch"]["parent"], Value::Null, "another conversation");
        assert_eq!(turns[2]["branch"]["parent"], 0, "the first one goes on");
        assert!(!turns[0]["text"].as_str().unwrap().is_empty());
    }

    // A replay of it has the rewards, agrees with the sampler, and moves the weights.
    let learnt = at("learnt");
    let ran = turnwise(&["replay", arg(&runs[1]), "--run", arg(&learnt)], "");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let metrics = rows(&read(&learnt.join("metrics.jsonl")));
    assert_eq!(metrics.len(), 2);
    for line in &metrics {
        assert_eq!((&line["accuracy"], &line["reward"]), (&json!(0.5), &json!(0.75)), "{line}");
        assert_eq!((&line["turns"], &line["updates"]), (&json!(3.0), &json!(1)), "{line}");
        assert!(line["grad_norm"].as_f64().unwrap() > 0.0, "{line}");
    }
    let gap = metrics[0]["logprob_gap"].as_f64().unwrap();
    assert!(gap < 1e-3, "trainer and sampler read the same: {gap}");
    let weights = |folder: &Path| std::fs::read(folder.join("model.safetensors")).expect("weights");
    let (before, after) =
        (weights(&root().join("models/tiny")), weights(&learnt.join("checkpoints/step_00002")));
    let [before, after] =
        [&before, &after].map(|bytes| SafeTensors::deserialize(bytes).expect("a file of weights"));
    let moved = before.tensors().into_iter().filter(|(name, was)| {
        let is = after.tensor(name).expect("the same tensors");
        is.data() != was.data()
    });
    assert!(moved.count() > 0, "the weights have moved");
}

#[test]
fn rollouts_are_scored_and_traces_of_others_get_their_rewards_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let turn = |token: u32| {
        json!({"node_id": "a", "prompt_token_ids": [5, 6], "completion_token_ids": [token],
               "per_token_logps": [-0.5], "loss_mask": [0, 0, 1]})
    };
    for (name, token) in [("a.json", 7), ("b.json", 8)] {
        std::fs::write(at(name), json!({"schema_version": 1, "turns": [turn(token)]}).to_string()).unwrap();
    }
    let (a, b) = (at("a.json"), at("b.json"));
    let verdict = |path: &Path, acc: f64| json!({"session": arg(path), "task": "t", "rewards": {"acc": acc}});
    std::fs::write(at("rewards.jsonl"), format!("{}\n{}\n", verdict(&a, 1.0), verdict(&b, 0.0))).unwrap();
    let rewards = at("rewards.jsonl");
    let given = ["--rewards", arg(&rewards), "--to", "rollouts"];
    let rollouts = converted(&[&[arg(&a), arg(&b)], &given[..]].concat());
    let scored: Value = turnwise(&["score", "--set", "advantage=rloo"], &rollouts).json();
    assert_eq!((&scored["group"], &scored["advantages"]), (&json!("t"), &json!([[1.0], [-1.0]])));
    let spelled = converted(&[&[arg(&a), arg(&b), "--model", "models/tiny"], &given[..]].concat());
    let text = rows(&spelled)[0]["trajectories"][0]["played"]["turns"][0]["text"].clone();
    assert!(!text.as_str().unwrap().is_empty());

    // A trial of Harbor has its task and its rewards beside it.
    let metrics = json!({"prompt_token_ids": [5], "completion_token_ids": [6], "logprobs": [-1]});
    let step = json!({"step_id": 1, "source": "agent", "message": "m", "metrics": metrics});
    let agent = json!({"name": "a", "version": "1"});
    for (trial, reward) in [("hello__a", 1), ("hello__b", 0)] {
        std::fs::create_dir_all(at(trial).join("agent")).unwrap();
        let document =
            json!({"schema_version": "ATIF-v1.7", "session_id": trial, "agent": agent, "steps": [step]});
        std::fs::write(at(trial).join("agent/trajectory.json"), document.to_string()).unwrap();
        let verified = json!({"rewards": {"acc": reward}});
        let result = json!({"task_name": "hello", "trial_name": trial, "verifier_result": verified});
        std::fs::write(at(trial).join("result.json"), result.to_string()).unwrap();
    }
    let files = ["hello__a", "hello__b"].map(|trial| at(trial).join("agent/trajectory.json"));
    let groups = rows(&converted(&[arg(&files[0]), arg(&files[1]), "--to", "rollouts"]));
    assert_eq!((groups.len(), &groups[0]["group"]), (1, &json!("hello")));
    let rewards = |nth: usize| &groups[0]["trajectories"][nth]["turns"][0]["acc"];
    assert_eq!((rewards(0), rewards(1)), (&json!(1.0), &json!(0.0)));
}

#[test]
fn traces_that_cannot_be_learnt_from_are_refused_in_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let fails = |args: &[&str], code: i32, parts: &[&str]| {
        turnwise(&[&["traces"], args].concat(), "").fails(code, parts);
    };
    let path = at("trace.json");
    let step =
        json!({"step_id": 1, "source": "agent", "message": "It is 4.", "metrics": {"completion_tokens": 9}});
    std::fs::write(&path, json!({"schema_version": "ATIF-v1.7", "steps": [step]}).to_string()).unwrap();
    let missing = "trace.json:1: steps[0].metrics.prompt_token_ids: is missing";
    fails(&[arg(&path), "--to", "rollouts"], 1, &[missing, "\n  hint: record with"]);
    fails(&[arg(&at("none.json")), "--to", "rollouts"], 1, &["none.json"]);
    std::fs::write(&path, "").unwrap();
    fails(&[arg(&path), "--to", "atif"], 1, &["trace.json: there is no call of a model", "hint"]);
    let turn = json!({"node_id": "a", "prompt_token_ids": [5], "completion_token_ids": [6],
                      "per_token_logps": [-0.5], "loss_mask": [0, 1]});
    std::fs::write(&path, json!({"turns": [turn]}).to_string()).unwrap();
    fails(&[arg(&path), "--to", "rollouts"], 1, &["trace.json:1: no trace has a reward", "hint: --rewards"]);
    fails(&[arg(&path), "--to", "atif", "--set", "train.steps=1"], 2, &["--set and --overlay change"]);
    let rewards = at("rewards.jsonl");
    std::fs::write(&rewards, json!({"session": arg(&path), "rewards": {"acc": 1}}).to_string()).unwrap();
    let run = at("run");
    let write = |run: &Path| {
        let mut command = Command::new(BINARY);
        command.args(["traces", arg(&path), "--rewards", arg(&rewards), "--run", arg(run)]);
        ran(command.args(["--config", "configs/tiny.toml"]).current_dir(root()), "")
    };
    let written = write(&run);
    assert_eq!(written.code, Some(0), "{}", written.stderr);
    assert!(written.stderr.contains("1 of 1 tasks have one trace"), "{}", written.stderr);
    write(&run).fails(1, &["run: exists already", "hint: "]);
    // Tokens that a model doesn't have are refused by the replay, with their line.
    std::fs::write(&path, read(&path).replace("[6]", "[6000000]")).unwrap();
    let other = at("other");
    assert_eq!(write(&other).code, Some(0));
    let learnt = at("learnt");
    let replay = ["replay", arg(&other), "--run", arg(&learnt), "--set", "eval.tasks=0"];
    let refused = turnwise(&replay, "");
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    let expect = "rollouts/step_00000.jsonl:1: trajectory 0 of";
    assert!(
        refused.stderr.contains(expect) && refused.stderr.contains("token 6000000 is not in"),
        "{}",
        refused.stderr
    );
}
