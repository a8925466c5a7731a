//! Agents as the environment, through the binary: a run whose turns are asked for over HTTP is the run that
//! plays in this process, and what a program does costs its trajectory only.

mod learns;
mod sequences;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::binary::{BINARY, Ran, arg, ran, root, turnwise};
use crate::installed::python_with;
use crate::resume::dies_and_is_the_same;
use crate::runs::Runs;
use crate::serve::Served;

/// A small run of agents: tasks, and settings.
struct Agents {
    runs: Runs,
    folder: TempDir,
}

fn script(name: &str) -> String {
    root().join("crates/cli/tests/agents").join(name).display().to_string()
}

/// Sums in the form of the tiny model's tasks. Their number is `count`, from the `first` on.
fn sums(first: usize, count: usize) -> Vec<(String, String)> {
    let sum = |n: usize| {
        let (a, b, c) = (n % 17 + 2, n % 11 + 3, n % 7 + 1);
        (format!("{a}+{b}-{c}"), (a + b - c).to_string())
    };
    (first..first + count).map(sum).collect()
}

/// Writes lines of JSON; returns the path.
fn lines(folder: &Path, name: &str, rows: impl IntoIterator<Item = Value>) -> PathBuf {
    let path = folder.join(name);
    let text: Vec<String> = rows.into_iter().map(|row| row.to_string() + "\n").collect();
    std::fs::write(&path, text.concat()).expect("a file");
    path
}

fn asked((nth, (question, answer)): (usize, &(String, String))) -> Value {
    json!({"id": format!("qa/train/{}", nth + 1), "question": question, "answer": answer})
}

impl Agents {
    fn new() -> Self {
        Self { runs: Runs::new(), folder: tempfile::tempdir().expect("a folder") }
    }

    /// Returns settings with which a program plays these tasks.
    fn sets(&self, name: &str, train: impl IntoIterator<Item = Value>) -> Vec<String> {
        let train = lines(self.folder.path(), "train.jsonl", train);
        let held_out =
            lines(self.folder.path(), "held_out.jsonl", [json!({"question": "9+9", "answer": "18"})]);
        let sets = [
            format!("env.agent.command=[\"python3\", {:?}]", script(name)),
            format!("env.agent.train={:?}", arg(&train)),
            format!("env.agent.held_out={:?}", arg(&held_out)),
            "train.steps=2".into(),
            "train.eval_every=0".into(),
            "eval.tasks=1".into(),
            "rollout.max_turns=6".into(),
        ];
        sets.iter().flat_map(|set| ["--set".to_string(), set.clone()]).collect()
    }

    fn train(&self, name: &str, sets: &[String]) -> Ran {
        let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
        ran(self.runs.command(name, &sets).env("TURNWISE", BINARY), "")
    }

    #[track_caller]
    fn finishes(&self, name: &str, sets: &[String]) -> Ran {
        let ran = self.train(name, sets);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran
    }

    fn file(&self, path: &str) -> String {
        std::fs::read_to_string(self.runs.path(path)).expect(path)
    }

    fn rows(&self, path: &str) -> Vec<Value> {
        self.file(path).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

fn with(sets: &[String], more: &[&str]) -> Vec<String> {
    let more = more.iter().flat_map(|set| ["--set".to_string(), set.to_string()]);
    sets.iter().cloned().chain(more).collect()
}

/// Returns the parts of a turn that decide on learning.
fn played(turn: &Value) -> Value {
    ["tokens", "logprobs", "text", "finish", "observation", "version"].map(|key| turn[key].clone()).into()
}

#[test]
#[expect(clippy::too_many_lines, reason = "one scene with its programs")]
fn the_same_task_in_this_process_and_over_http_is_the_same_run() {
    let agents = Agents::new();
    let (train, held_out) = (sums(0, 8), sums(40, 3));
    let plain = |(question, answer): &(String, String)| json!({"question": question, "answer": answer});
    let file = |name: &str, rows: &[(String, String)]| {
        arg(&lines(agents.folder.path(), name, rows.iter().map(plain))).to_string()
    };
    let common = [
        "rollout.groups=2",
        "rollout.samples=4",
        "rollout.max_turns=3",
        "eval.tasks=2",
        "train.steps=2",
        "train.eval_every=0",
        "optimizer.lr=1e-3",
    ];
    let qa = [
        format!("env.qa.train={:?}", file("qa.jsonl", &train)),
        format!("env.qa.held_out={:?}", file("qa_held_out.jsonl", &held_out)),
        "env.qa.instruction=\"\"".into(),
    ];
    let qa: Vec<&str> = qa.iter().map(String::as_str).collect();
    agents.finishes("qa", &with(&with(&[], &qa), &common));
    let mut sets = agents.sets("qa.py", train.iter().enumerate().map(asked));
    lines(
        agents.folder.path(),
        "held_out.jsonl",
        held_out.iter().enumerate().map(|(nth, row)| {
            let mut row = plain(row);
            row["id"] = format!("qa/held-out/{}", nth + 1).into();
            row
        }),
    );
    sets = with(&sets, &common);
    agents.finishes("agent", &sets);

    let mut calls = 0;
    for step in ["step_00000.jsonl", "step_00001.jsonl"] {
        let (one, other) =
            (agents.rows(&format!("qa/rollouts/{step}")), agents.rows(&format!("agent/rollouts/{step}")));
        assert_eq!(one.len(), other.len());
        for (one, other) in one.iter().zip(&other) {
            for key in ["group", "step", "rewards", "returns", "advantages", "dropped", "expected"] {
                assert_eq!(one[key], other[key], "{step} {key}");
            }
            let both = [one, other].map(|group| group["trajectories"].as_array().expect("a list").clone());
            assert_eq!(both[0].len(), both[1].len());
            for (one, other) in both[0].iter().zip(&both[1]) {
                for key in ["turns", "correct", "truncated", "states", "calls", "code"] {
                    assert_eq!(one.get(key), other.get(key), "{step} {key}");
                }
                let turns = [one, other].map(|t| t["played"]["turns"].as_array().expect("a list").clone());
                calls += turns[0].len();
                assert_eq!(one["played"]["prompt"], other["played"]["prompt"]);
                assert_eq!(one["played"]["stop"], other["played"]["stop"]);
                assert_eq!(
                    turns[0].iter().map(played).collect::<Vec<_>>(),
                    turns[1].iter().map(played).collect::<Vec<_>>()
                );
                assert_eq!(one["log_ratios"], other["log_ratios"]);
            }
        }
    }
    assert!(calls > 16, "there are conversations: {calls} turns");
    let weights = |run: &str| {
        std::fs::read(agents.runs.path(&format!("{run}/checkpoints/step_00002/model.safetensors")))
            .expect("weights")
    };
    assert!(weights("qa") == weights("agent"), "the same weights, byte for byte");
    let metrics = ["qa", "agent"].map(|run| agents.rows(&format!("{run}/metrics.jsonl")));
    for (qa, agent) in metrics[0].iter().zip(&metrics[1]) {
        for key in [
            "accuracy",
            "reward",
            "turns",
            "tokens",
            "violations",
            "truncated",
            "loss",
            "grad_norm",
            "entropy",
        ] {
            assert_eq!(qa[key], agent[key], "{key}");
        }
        assert_eq!((&agent["prefix_kept"], &agent["sequences"]["count"]), (&json!(1.0), &json!(8)));
    }
    let evaluation = |run: &str| -> Value {
        serde_json::from_str(&agents.file(&format!("{run}/evaluation.json"))).expect("JSON")
    };
    for when in ["before", "after"] {
        for key in ["accuracy", "turns", "violations", "trajectories"] {
            assert_eq!(evaluation("qa")[when][key], evaluation("agent")[when][key], "{when} {key}");
        }
    }
    // Another number of programs at a time is the same run.
    agents.finishes("alone", &with(&sets, &["env.agent.at_once=1"]));
    for file in ["rollouts/step_00001.jsonl", "metrics.jsonl"] {
        assert_eq!(agents.file(&format!("alone/{file}")), agents.file(&format!("agent/{file}")));
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one scene with its programs")]
fn whatever_a_program_does_costs_its_trajectory_only() {
    let agents = Agents::new();
    let pids = agents.folder.path().join("pids");
    let odd = ["crash", "killed", "hang", "rubbish", "wrong", "nan", "silent", "fork", "posted", "endless"];
    let whats = odd.into_iter().chain(["fine"; 9]);
    let task = |(nth, what): (usize, &str)| json!({"id": what.to_string() + &nth.to_string(), "question": "1+2", "what": what, "pid": arg(&pids)});
    let sets = with(
        &agents.sets("odd.py", whats.enumerate().map(task)),
        &[
            "rollout.groups=19",
            "rollout.samples=1",
            "train.steps=1",
            "eval.tasks=0",
            "env.agent.timeout_seconds=20",
        ],
    );
    let started = Instant::now();
    agents.finishes("a", &sets);
    assert!(started.elapsed() < Duration::from_mins(3));
    let metrics = agents.rows("a/metrics.jsonl").remove(0);
    assert_eq!((&metrics["rollouts_lost"], &metrics["env_faults"]), (&json!(7), &json!(7)));
    let groups = agents.rows("a/rollouts/step_00000.jsonl");
    let of = |what: &str| {
        let group = groups.iter().find(|group| group["group"].as_str().unwrap().starts_with(what));
        group.expect("a group of every task")["trajectories"].clone()
    };
    for lost in ["crash", "killed", "hang", "rubbish", "wrong", "nan", "silent"] {
        assert_eq!(of(lost), json!([]), "{lost}");
    }
    assert_eq!(of("posted")[0]["turns"][0]["acc"], 0.5);
    assert_eq!(of("fork")[0]["turns"][0]["progress"], 0.25);
    let endless = &of("endless")[0];
    assert_eq!(
        (&endless["played"]["stop"], &endless["turns"][5]["acc"]),
        (&json!("turn_limit"), &json!(0.0))
    );
    let log = agents.file("a/log.txt");
    assert!(log.contains("step 1: rollouts lost: 7"), "{log}");
    for reason in [
        "crash0, sample 0: env.agent: the program failed (exit status: 3)",
        "killed1, sample 0: env.agent: the program failed (signal: 9 (SIGKILL))",
        "hang2, sample 0: env.agent: the program took longer than 20 s",
        "nan5, sample 0: env.agent: its last line ",
        "silent6, sample 0: env.agent: the program made no call that was answered",
    ] {
        assert!(log.contains(&format!("step 1: lost: {reason}")), "{reason}: {log}");
    }
    assert!(log.contains("NaN}}\" gives no rewards: no JSON: no value of JSON"), "{log}");
    assert!(log.lines().any(|line| line.ends_with(" crash0 #0: it crashes")), "{log}");
    // A program may print its key, and its last line too.
    assert!(
        log.contains("crash0 #0: with the key [key]") && log.contains("stdout: status 200 of [key]"),
        "{log}"
    );
    assert!(log.contains("\\\"[key]\\\": 1"), "{log}");
    assert!(!log.contains("turnwise-"), "{log}");
    let pid = std::fs::read_to_string(&pids).expect("it forked");
    let alive = || Path::new("/proc").join(pid.trim()).join("exe").exists();
    let until = Instant::now() + Duration::from_secs(20);
    while alive() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(!alive(), "what it left behind is ended");
    // One at a time, each kind of failure has its reason; a run of nothing else fails.
    for (what, reason) in [
        (
            "crash",
            "env.agent: the program failed (exit status: 3); the end of its stderr: it crashes | with the key [key]",
        ),
        ("silent", "env.agent: the program made no call that was answered"),
        ("rubbish", "env.agent: the program's last line gives no rewards, and no request did"),
        (
            "wrong",
            r#"env.agent: its last line "{\"rewards\": {\"acc\": \"much\", \"[key]\": 1}}" gives no rewards"#,
        ),
    ] {
        let sets = agents.sets("odd.py", [task((0, what)), task((1, what))]);
        let ran =
            agents.train(what, &with(&sets, &["rollout.groups=2", "rollout.samples=1", "eval.tasks=0"]));
        assert_eq!(ran.code, Some(1));
        let expect = format!("2 of 2 trajectories were lost, more than half; the first: {what}");
        assert!(ran.stderr.contains(&expect) && ran.stderr.contains(reason), "{}", ran.stderr);
    }
}

#[test]
fn five_kills_change_nothing_where_agents_play() {
    let agents = Agents::new();
    let rows = sums(0, 6);
    let sets = agents.sets("tree.py", rows.iter().enumerate().map(asked));
    let sets = with(&sets, &["train.steps=3", "train.checkpoint_every=1"]);
    let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
    dies_and_is_the_same(&agents.runs, &sets, 5);
}

#[test]
fn a_check_alone_gives_rewards_and_sees_the_calls() {
    let agents = Agents::new();
    let check = agents.folder.path().join("check.py");
    let text = "import json, sys\n\
                told = json.load(sys.stdin)\n\
                calls = told['session']['calls']\n\
                assert calls[0]['parent'] is None and calls[0]['token_ids'], told\n\
                print(json.dumps({'rewards': {'acc': 1.0}, 'turn_rewards': [{'n': len(calls)}]}))\n";
    std::fs::write(&check, text).unwrap();
    let task = |(nth, what): (usize, &str)| json!({"id": nth, "question": "1+2", "what": what});
    let sets = agents.sets("odd.py", ["posted", "fine", "rubbish"].into_iter().enumerate().map(task));
    let check = format!("env.agent.check=[\"python3\", {:?}]", arg(&check));
    let more = ["rollout.groups=3", "rollout.samples=2", "train.steps=1", "eval.tasks=0", &check];
    agents.finishes("a", &with(&sets, &more));
    for group in agents.rows("a/rollouts/step_00000.jsonl") {
        for trajectory in group["trajectories"].as_array().expect("a list") {
            assert_eq!(trajectory["turns"][0]["acc"], 1.0, "a posted reward is refused: {trajectory}");
            assert_eq!(trajectory["turns"][0]["n"], 1.0);
        }
    }
    assert!(agents.file("a/log.txt").contains("status 403"));
}

#[test]
fn agents_are_evaluated_alone_and_other_commands_say_that_they_play_none() {
    let agents = Agents::new();
    let rows = sums(0, 2);
    let sets = with(&agents.sets("qa.py", rows.iter().enumerate().map(asked)), &["eval.samples=3"]);
    let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
    let mut eval = std::process::Command::new(BINARY);
    eval.args(["eval", "--model", "models/tiny", "--config", "configs/tiny.toml", "--json"]).args(&sets);
    let found = ran(eval.current_dir(root()).env("TURNWISE", BINARY), "");
    assert_eq!(found.code, Some(0), "{}", found.stderr);
    let found: Value = serde_json::from_str(found.stdout.trim()).expect("JSON");
    assert_eq!((&found["trajectories"], found["outcomes"].as_array().unwrap().len()), (&json!(3), 1));
    let rollout = ["rollout", "--model", "models/tiny", "--config", "configs/tiny.toml"];
    let ran = turnwise(&[&rollout[..], &sets].concat(), "");
    ran.fails(2, &["hint: `turnwise train` and `turnwise eval` play agents"]);
    let tools = ["--set", "tools.files.mcp=[\"true\"]"];
    let eval = ["eval", "--model", "models/tiny", "--config", "configs/tiny.toml"];
    let ran = turnwise(&[&eval[..], &sets, &tools].concat(), "");
    assert_ne!(ran.code, Some(0));
    assert!(ran.stderr.contains("`tools.files` stands beside env.agent"), "{}", ran.stderr);
}
