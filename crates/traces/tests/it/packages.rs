//! The packages that define the formats: they take our traces, and we take theirs.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::claims::{kept, read, written};
use crate::installed::python_with;

/// Runs our script with a package; returns what it prints.
fn says(python: &str, what: &str, stdin: &str) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/packages.py");
    let mut child = Command::new(python)
        .arg(script)
        .arg(what)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    child.stdin.take().expect("stdin").write_all(stdin.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// A Python with the capture of OpenEnv, without the parts that serve pages.
fn openenv() -> Option<String> {
    let parts =
        ["fastapi==0.165.0", "fastmcp==3.4.11", "uvicorn==0.54.0", "websockets==17.4", "openai==3.57.0"];
    let parts = [&parts[..], &["pydantic==2.14.4", "requests==2.34.2", "packaging==26.4"]].concat();
    let all: [&[&str]; 2] = [&["--no-deps", "openenv==0.10.0"], &parts];
    python_with("openenv.core.harness.training", "openenv-0.10.0-capture", &all)
}

/// A Python with the models of Harbor, which need no other part of it. Its package asks for Python 3.12,
/// which those don't need.
fn harbor() -> Option<String> {
    let harbor = ["--no-deps", "--ignore-requires-python", "harbor==0.26.0"];
    python_with("harbor.models.trajectories", "harbor-0.26.0", &[&harbor, &["pydantic==2.14.4"]])
}

/// A session with branches, one that was cut off, and a rollout with a call of a tool.
fn ours() -> String {
    let call = |number: u32, parent: Option<u32>, prompt: &[u32], tokens: &[u32], rewards: Value| {
        let logprobs: Vec<f32> = tokens.iter().map(|token| -1.0 / (*token as f32 + 1.0)).collect();
        json!({"call": number, "parent": parent, "prompt_token_ids": prompt, "token_ids": tokens,
               "logprobs": logprobs, "rewards": rewards})
    };
    let tree = [
        call(0, None, &[1, 2], &[3, 4], json!({})),
        call(1, Some(0), &[1, 2, 3, 4, 5], &[6], json!({"acc": 1.0, "progress": -0.1})),
        call(3, Some(0), &[1, 2, 3, 4, 7], &[8, 0], json!({"fmt": -0.1})),
        call(4, None, &[9], &[6], json!({})),
    ];
    let mut cut = call(0, None, &[1], &[2], json!({}));
    cut["finish"] = "length".into();
    let session = |calls: Vec<Value>| json!({"session": "task-1", "calls": calls, "done": true});
    let tool = json!({"executed": {"call": {"name": "f", "arguments": {"x": 1}, "span": {"start": 0, "end": 4}},
        "output": {"status": "ok", "stdout": "2", "value": null, "error": null, "truncated": false}}});
    let turn = json!({"tokens": [3], "logprobs": [-0.5], "text": "f(1)", "finish": "end_of_turn",
        "calls": [tool], "observation": [4], "version": 3});
    let last = json!({"tokens": [5], "logprobs": [-1.5], "text": "2", "finish": "end_of_turn",
        "calls": [], "observation": [], "version": 3});
    let played = json!({"task": "t", "sample": 0, "prompt": [1, 2], "turns": [turn, last], "stop": "answer"});
    let group = json!({"group": "t", "trajectories": [{"turns": [{}, {"acc": 1.0}], "played": played}]});
    format!("{}\n{}\n{group}\n", session(tree.to_vec()), session(vec![cut]))
}

#[test]
fn openenv_takes_our_training_traces_and_gives_them_back() {
    let Some(python) = openenv() else { return };
    let mut traces = read(&ours()).unwrap();
    traces.spell(|tokens| format!("{tokens:?}"), |_| String::new());
    let [text, _] = written(&traces);
    let again = read(&says(&python, "openenv", &text)).unwrap();
    assert_eq!(kept(&again.rollouts(1.0).unwrap()), kept(&traces.rollouts(1.0).unwrap()));
    assert_eq!(written(&again)[0], text, "texts and calls of tools too");
}

#[test]
fn harbor_takes_our_trajectories_and_gives_them_back() {
    let Some(python) = harbor() else { return };
    let mut traces = read(&ours()).unwrap();
    for is_spelled in [false, true] {
        if is_spelled {
            traces.spell(|tokens| format!("{tokens:?}"), |tokens| format!("read {tokens:?}"));
        }
        let [_, text] = written(&traces);
        let again = read(&says(&python, "harbor", &text)).unwrap();
        assert_eq!(kept(&again.rollouts(1.0).unwrap()), kept(&traces.rollouts(1.0).unwrap()));
        let document: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        let steps = document["steps"].as_array().unwrap();
        assert_eq!(steps.len(), if is_spelled { 3 } else { 2 });
        let step = &steps[steps.len() - 2];
        assert_eq!(
            (&step["message"], &step["tool_calls"][0]["function_name"]),
            (&json!("f(1)"), &json!("f"))
        );
        assert_eq!(step["observation"]["results"][0]["content"], "2");
    }
}

#[test]
fn what_the_packages_make_is_read() {
    let check = |python: Option<String>, what: &str| {
        let Some(python) = python else { return };
        let mut traces = read(&says(&python, what, "")).unwrap();
        let name = traces.all()[0].name.clone();
        traces.reward("r", &json!({"session": name, "rewards": {"acc": 1.0}}).to_string()).unwrap();
        let groups = traces.rollouts(1.0).unwrap();
        let played = &groups[0].trajectories[0].played;
        let sequences: Vec<Vec<u32>> = played.sequences().into_iter().map(|s| s.tokens).collect();
        assert_eq!(sequences, [vec![1, 2, 3, 4, 5, 6, 7], vec![9, 8]], "{what}");
        assert_eq!(played.turns[0].tokens, [3, 4]);
        assert_eq!(played.turns.last().unwrap().rewards.acc(), 1.0);
    };
    check(openenv(), "make-openenv");
    check(harbor(), "make-harbor");
}
