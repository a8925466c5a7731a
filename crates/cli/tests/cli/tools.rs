//! `[tools.NAME]`: tools of servers in the commands that play, and in those that only read what was played.

use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::binary::{arg, root, turnwise};
use crate::server::{answer, server};

/// A run file with a server that counts its starts.
struct Offered {
    folder: TempDir,
    config: PathBuf,
}

impl Offered {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = |name: &str, lines: &[Value]| {
            let path = folder.path().join(name);
            let lines: Vec<String> = lines.iter().map(|line| format!("{line}\n")).collect();
            std::fs::write(&path, lines.concat()).expect("a file");
            json!(arg(&path)).to_string()
        };
        let task = |question: &str| json!({"question": question, "answer": "#### 42"});
        let train = file("train.jsonl", &[task("six times seven?")]);
        let held_out = file("test.jsonl", &[task("first: 40 + 2?"), task("second: 50 - 8?")]);
        let odd = json!(arg(&root().join("crates/mcp/tests/servers/odd.py"))).to_string();
        let starts = json!(arg(&folder.path().join("starts"))).to_string();
        let text = format!(
            "model = \"models/tiny\"\n[env.qa]\ntrain = {train}\nheld_out = {held_out}\n\
             [rollout]\ndescribe_tools = false\n[eval]\ntasks = 2\n\
             [tools.odd]\nmcp = [\"python3\", {odd}]\nonly = [\"left\"]\nenv = {{ODD_STARTS = {starts}}}\n"
        );
        let config = folder.path().join("run.toml");
        std::fs::write(&config, text).expect("a file");
        Self { folder, config }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn starts(&self) -> usize {
        std::fs::read(self.path("starts")).map_or(0, |starts| starts.len())
    }
}

#[test]
fn a_servers_tool_is_called_and_its_output_is_in_the_record() {
    let offered = Offered::new();
    let url = server(|conversation| {
        let said = conversation.contains("left 1 here");
        let call = "<tool_call>{\"name\":\"left\",\"arguments\":{\"place\":\"here\"}}</tool_call>";
        Some(answer(if said { "Answer: 42" } else { call }))
    });
    let out = offered.path("out.jsonl");
    let config = arg(&offered.config);
    let args =
        ["rollout", "--config", config, "--endpoint", &url, "--name", "m", "--out", arg(&out), "--json"];
    let played = turnwise(&args, "");
    assert_eq!(played.code, Some(0), "{}", played.stderr);
    let played: Value = serde_json::from_str(&played.stdout).expect("JSON");
    assert_eq!(played["accuracy"], 1.0, "{played}");
    let lines = std::fs::read_to_string(&out).expect("conversations");
    assert_eq!(lines.matches("\"stdout\":\"left 1 here\"").count(), 2, "a server for each: {lines}");
    // The first trajectory has the server that listed the tools.
    assert_eq!(offered.starts(), 2);
    let scored = turnwise(&["score"], &lines);
    assert_eq!((scored.code, offered.starts()), (Some(0), 2), "{}", scored.stderr);
}

#[test]
fn doctor_lists_tools_of_servers_and_calls_none() {
    let offered = Offered::new();
    let config = std::fs::read_to_string(&offered.config).expect("a run file");
    let calls = offered.path("calls");
    let server = std::fs::read_to_string(root().join("crates/mcp/tests/servers/odd.py")).expect("a server");
    let called = "def call(id, name, arguments, number):\n";
    assert!(server.contains(called));
    let telling =
        server.replace(called, &format!("{called}    open({:?}, \"a\").write(\"x\")\n", arg(&calls)));
    let program = offered.path("telling.py");
    std::fs::write(&program, telling).expect("a file");
    let odd = json!(arg(&root().join("crates/mcp/tests/servers/odd.py"))).to_string();
    std::fs::write(&offered.config, config.replace(&odd, &json!(arg(&program)).to_string())).expect("a file");
    let ran = turnwise(&["doctor", "--config", arg(&offered.config), "--json"], "");
    let found: Value = ran.json();
    assert_eq!((&found["environment"]["deterministic"], ran.code), (&json!(true), Some(0)), "{}", ran.stderr);
    assert_eq!((&found["environment"]["listed"], offered.starts()), (&json!(["left"]), 1), "{found}");
    assert!(!calls.exists(), "a tool was called");
}

#[test]
fn a_replay_starts_no_server_unless_it_evaluates() {
    let offered = Offered::new();
    let (run, again) = (offered.path("run"), offered.path("again"));
    let small = ["rollout.groups=1", "rollout.samples=2", "rollout.max_turns=2", "rollout.max_turn_tokens=8"];
    let small = small.iter().chain(&["train.steps=1", "eval.tasks=0", "rollout.max_tokens=400"]);
    let sets: Vec<&str> = small.flat_map(|set| ["--set", *set]).collect();
    let config = arg(&offered.config);
    let train = turnwise(&[&["train", config, "--run", arg(&run)], &sets[..]].concat(), "");
    assert_eq!(train.code, Some(0), "{}", train.stderr);
    assert_eq!(offered.starts(), 1, "its tools are listed");
    let gone = "tools.odd.mcp=[\"/no/such/program\"]";
    let replay = ["replay", arg(&run), "--run", arg(&again), "--set", gone];
    let evaluates = turnwise(&[&replay[..], &["--set", "eval.tasks=1"]].concat(), "");
    evaluates.fails(1, &["tools.odd: mcp = [\"/no/such/program\"] doesn't start"]);
    let replayed = turnwise(&replay, "");
    assert_eq!((replayed.code, offered.starts()), (Some(0), 1), "{}", replayed.stderr);
}

#[test]
fn a_server_that_cannot_be_used_is_one_line() {
    let offered = Offered::new();
    let config = arg(&offered.config);
    let eval =
        |set: &str| turnwise(&["eval", "--config", config, "--model", "models/tiny", "--set", set], "");
    eval("tools.odd.only=[\"up\"]")
        .fails(2, &["tools.odd: `only`: the server has no tool \"up\"", "hint: it offers left, right"]);
    eval("tools.odd.mcp=npx")
        .fails(2, &["`tools.odd.mcp` is \"npx\"", "expected a URL (http://…) or a list"]);
    eval("tools.odd.per=turn").fails(2, &["--set tools.odd.per=turn: "]);
    eval("tools.odd.onli=[]").fails(2, &["unknown key `onli`", "did you mean `only`?"]);
    let twice = format!(
        "tools.more={{mcp = [\"python3\", {}]}}",
        json!(arg(&root().join("crates/mcp/tests/servers/odd.py")))
    );
    eval(&twice).fails(2, &["the tool \"left\" is offered by [tools.more] as well"]);
    let before = offered.starts();
    let short = ["--no-description", "--max-tokens", "8", "--max-turns", "1"];
    let chat = [&["chat", "--model", "models/tiny", "--config", config], &short[..]].concat();
    let chatted = turnwise(&chat, "Compute 2 + 2\n");
    assert_eq!((chatted.code, offered.starts()), (Some(0), before + 1), "{}", chatted.stderr);
}
