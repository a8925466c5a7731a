//! A server of OpenEnv through the binary: a training run, its records, its replay, and the server's end.

use std::path::Path;

use serde_json::{Value, json};

use crate::binary::{arg, root, turnwise};
use crate::hanging::lives;
use crate::library;
use crate::resume::signal;
use crate::runs::{Runs, record, steps, wait};
use crate::server::{answer, server};

const CONFIG: &str = "crates/envs/examples/openenv/words.toml";
/// Settings that make the example small.
const SMALL: [&str; 12] = [
    "--set",
    "train.steps=2",
    "--set",
    "rollout.groups=2",
    "--set",
    "rollout.samples=3",
    "--set",
    "eval.tasks=2",
    "--set",
    "env.openenv.start_seconds=240",
    "--set",
    "env.openenv.timeout_seconds=60",
];

/// Returns the setting of a command that writes its number to a file and becomes the server.
fn numbered(file: &Path, server: &[&str]) -> String {
    let shell = format!("echo $$ >> '{}'; exec \"$@\"", arg(file));
    let command = [&["sh", "-c", &shell, "sh"], server].concat();
    format!("env.openenv.command={}", json!(command))
}

/// Checks that each turn of a group has the reward of its text. Returns the number of turns.
fn rewarded(group: &str) -> usize {
    let group: Value = serde_json::from_str(group).unwrap();
    let trajectories = group["trajectories"].as_array().unwrap();
    assert_eq!(trajectories.len(), 3);
    let turns = |trajectory: &Value| trajectory["played"]["turns"].as_array().unwrap().clone();
    let turns: Vec<Value> = trajectories.iter().flat_map(turns).collect();
    for turn in &turns {
        let text = turn["text"].as_str().unwrap();
        let reply = turn["reply"].as_str().unwrap();
        let letter = reply.strip_prefix("More ").unwrap().chars().next().unwrap();
        let count = text.chars().filter(|c| *c == letter).count() as f64;
        let share = count / text.chars().count().max(1) as f64;
        assert_eq!(turn["rewards"]["reward"].as_f64().unwrap_or_default(), share, "{turn}");
    }
    turns.len()
}

#[test]
fn a_turn_that_calls_a_tool_is_no_move_of_a_game_of_texts() {
    let Some(python) = library::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (words, odd) = ("crates/envs/examples/openenv/words.py", "crates/mcp/tests/servers/odd.py");
    let config = format!(
        "model = \"models/tiny\"\n[env.openenv]\ncommand = {}\nstart_seconds = 240\ntimeout_seconds = 60\n\
         [rollout]\ndescribe_tools = false\n[eval]\ntasks = 1\n\
         [tools.odd]\nmcp = {}\nonly = [\"left\"]\n",
        json!([python, arg(&root().join(words))]),
        json!(["python3", arg(&root().join(odd))]),
    );
    std::fs::write(path("run.toml"), config).unwrap();
    let url = server(|conversation| {
        let called = conversation.contains("left 1 here");
        let call = "eeee <tool_call>{\"name\":\"left\",\"arguments\":{\"place\":\"here\"}}</tool_call>";
        Some(answer(if called { "einrst" } else { call }))
    });
    let (config, out) = (path("run.toml"), path("out.jsonl"));
    let args = [
        "rollout",
        "--config",
        arg(&config),
        "--endpoint",
        &url,
        "--name",
        "m",
        "--out",
        arg(&out),
        "--json",
    ];
    let played = turnwise(&args, "");
    assert_eq!(played.code, Some(0), "{}", played.stderr);
    let text = std::fs::read_to_string(&out).unwrap();
    let line: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let turns = line["trajectories"][0]["played"]["turns"].as_array().unwrap();
    // The game has three moves. The call before them is none.
    assert_eq!(turns.len(), 4, "{text}");
    assert_eq!(turns[0]["calls"][0]["executed"]["output"]["stdout"], "left 1 here");
    assert!(turns[0].get("reply").is_none() && turns[0].get("rewards").is_none(), "{}", turns[0]);
    for turn in &turns[1..] {
        assert!(turn["reply"].as_str().unwrap().starts_with("More "), "{turn}");
        assert_eq!(turn["rewards"]["reward"], 1.0 / 6.0);
    }
}

#[test]
fn a_run_starts_its_server_and_every_turn_has_the_reward_of_its_text() {
    let Some(python) = library::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let set = numbered(&path("servers"), &[&python, "crates/envs/examples/openenv/words.py"]);
    let trains = |run: &str| {
        let folder = path(run);
        let args = ["train", CONFIG, "--run", arg(&folder), "--set", &set];
        let trained = turnwise(&[&args[..], &SMALL].concat(), "");
        assert_eq!(trained.code, Some(0), "{}", trained.stderr);
        assert!(!lives(&path("servers")), "its server is left behind");
    };
    trains("run");
    let mut turns = 0;
    for step in 0..2 {
        let file = path("run").join(format!("rollouts/step_{step:05}.jsonl"));
        let lines = std::fs::read_to_string(file).unwrap();
        assert_eq!(lines.lines().count(), 2);
        turns += lines.lines().map(rewarded).sum::<usize>();
        let scored = turnwise(&["score"], &lines);
        assert_eq!(scored.code, Some(0), "{}", scored.stderr);
    }
    assert!(turns >= 12);
    let metrics = std::fs::read_to_string(path("run").join("metrics.jsonl")).unwrap();
    assert!(metrics.lines().all(|line| line.contains("\"reward\"")), "{metrics}");
    // The same seed gives the same bytes, and so does a replay of the rollouts.
    trains("again");
    assert_eq!(record(&path("run")), record(&path("again")));
    let replayed = turnwise(&["replay", arg(&path("run")), "--run", arg(&path("replayed"))], "");
    assert_eq!(replayed.code, Some(0), "{}", replayed.stderr);
    let read = |run: &str| std::fs::read(path(run).join("metrics.jsonl")).unwrap();
    assert_eq!(read("replayed"), read("run"));
    let config = path("run/config.toml");
    let doctor = turnwise(&["doctor", "--config", arg(&config), "--json"], "");
    let found: Value = doctor.json();
    assert_eq!(found["environment"]["deterministic"], true, "{found}");
}

/// Returns the setting of a server in plain Python.
fn odd(file: &Path, script: &str) -> String {
    let server = std::fs::read_to_string(root().join("crates/envs/tests/openenv/odd.py")).unwrap();
    numbered(file, &["python3", "-u", "-c", &format!("{server}\n{script}")])
}

#[test]
fn a_run_that_is_killed_takes_its_server_with_it() {
    let runs = Runs::new();
    let servers = runs.path("servers");
    let mut child = runs.start("a", &["--set", &odd(&servers, "serve()"), "--set", "train.steps=1000"]);
    wait("a first step", || steps(&runs.path("a")) > 0);
    assert!(lives(&servers));
    signal(&child, "KILL");
    child.wait().unwrap();
    wait("the server's end", || !lives(&servers));
}

#[test]
fn five_kills_change_nothing_where_the_environment_is_a_server() {
    let runs = Runs::new();
    let servers = runs.path("servers");
    crate::resume::dies_and_is_the_same(&runs, &["--set", &odd(&servers, "serve()")], 5);
    wait("the servers' end", || !lives(&servers));
}

#[test]
fn a_server_that_cannot_be_used_is_one_line() {
    let runs = Runs::new();
    let fails = |set: &str, expect: &[&str]| {
        let failed = runs.train("a", &["--set", set]);
        failed.fails(failed.code.unwrap().clamp(1, 2), expect);
    };
    fails(
        "env.openenv.url=\"ws://127.0.0.1:9\"",
        &["env.openenv: nothing listens at ws://127.0.0.1:9", "hint: start the server before the run"],
    );
    fails("env.openenv.train=3", &["`env.openenv.url` is missing, and so is `command`"]);
    fails("env.openenv.command=[\"false\"]", &["env.openenv: command = [\"false\"]: the server has ended"]);
    let servers = runs.path("servers");
    let dies = "def handle(session, message):\n    if message['type'] == 'step': print('out of cheese'); os._exit(7)\n    \
                return usual(session, message)\nserve(handle)";
    let set = odd(&servers, dies);
    let small = ["--set", "env.openenv.at_once=1", "--set", "eval.tasks=4"];
    let failed = runs.train("b", &[&["--set", &set][..], &small].concat());
    let (line, hint) = failed.stderr.trim_end().rsplit_once('\n').unwrap();
    let expect =
        " times in a row: the server has ended (exit status: 7); the end of its stderr: out of cheese";
    assert!(line.ends_with(expect) && hint.starts_with("  hint: "), "{}", failed.stderr);
    assert!(!lives(&servers));
}
