//! `turnwise parse`.

use serde_json::{Value, json};

use crate::binary::{arg, ran, turnwise};

fn parse(args: &[&str], completion: &str) -> Value {
    turnwise(&[&["parse", "--format"], args].concat(), completion).json()
}

#[test]
fn calls_and_violations_are_listed_in_order() {
    let text = "hé <tool_call>\n{\"name\": \"python\", \"arguments\": {\"code\": \"print(1)\"}}\n</tool_call> <tool_call>{";
    let (first, second) = (text.find("<tool_call>").unwrap(), text.rfind("<tool_call>").unwrap());
    let report = parse(&["hermes"], text);
    assert_eq!(
        report["calls"][0],
        json!({"ok": true, "name": "python", "arguments": {"code": "print(1)"}, "span": [first, second - 1]}),
        "spans are bytes of the whole call"
    );
    assert_eq!(report["calls"][1]["ok"], false);
    assert_eq!(report["calls"][1]["kind"], "unterminated");
    assert_eq!(report["calls"][1]["span"], json!([second, text.len()]));
    assert_eq!(report["complete"], false);
    assert_eq!(parse(&["hermes"], ""), json!({"calls": [], "complete": true}));
    let fenced = parse(&["fenced_python"], "```python\nprint(1)\n```");
    assert_eq!(fenced["calls"][0]["arguments"], json!({"code": "print(1)"}));
}

#[test]
fn schemas_turn_on_their_checks() {
    let folder = tempfile::tempdir().unwrap();
    let tools = folder.path().join("tools.json");
    let schema = json!({"type": "function", "function": {"name": "search", "parameters": {
        "type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}}});
    std::fs::write(&tools, json!([schema]).to_string()).unwrap();
    let kind = |call: &str, with_tools: bool| {
        let args = if with_tools { vec!["hermes", "--tools", arg(&tools)] } else { vec!["hermes"] };
        let report = parse(&args, &format!("<tool_call>{call}</tool_call>"));
        report["calls"][0]["kind"].as_str().unwrap_or("ok").to_string()
    };
    for (call, expect) in [
        ("{\"name\": \"search\", \"arguments\": {\"query\": \"x\"}}", "ok"),
        ("{\"name\": \"serach\", \"arguments\": {\"query\": \"x\"}}", "unknown_tool"),
        ("{\"name\": \"search\", \"arguments\": {}}", "missing_argument"),
        ("{\"name\": \"search\", \"arguments\": {\"query\": 1}}", "wrong_type"),
    ] {
        assert_eq!(kind(call, true), expect, "{call}");
        assert_eq!(kind(call, false), "ok", "without --tools there's nothing to check against");
    }
    assert_eq!(kind("{", true), "invalid_json");
    assert_eq!(kind("", true), "empty");
    std::fs::write(&tools, schema.to_string()).unwrap();
    assert_eq!(
        kind("{\"name\": \"search\", \"arguments\": {}}", true),
        "missing_argument",
        "one object will do"
    );
    std::fs::write(&tools, json!([{"name": "search", "description": null}, {"name": 3}]).to_string())
        .unwrap();
    turnwise(&["parse", "--format", "hermes", "--tools", arg(&tools)], "")
        .fails(1, &["tools.json: [1].name: number, not text"]);
}

#[test]
fn wrong_usage_and_wrong_bytes_are_told_apart() {
    let unknown = turnwise(&["parse", "--format", "hermess"], "");
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("hermess") && unknown.stderr.contains("hermes, "), "{}", unknown.stderr);
    turnwise(&["parse", "--format", "hermes", "--tools", "no-such-file.json"], "")
        .fails(1, &["no-such-file.json: No such file"]);
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &format!("printf 'ab\\377' | {} parse --format hermes", crate::binary::BINARY)]);
    ran(&mut command, "").fails(1, &["stdin: not UTF-8 text (byte 2)"]);
}

#[test]
fn a_reader_that_stops_early_is_no_failure() {
    let mut command = std::process::Command::new("bash");
    let script = format!(
        "{} parse --format hermes < /dev/null | true; echo ${{PIPESTATUS[0]}} >&2",
        crate::binary::BINARY
    );
    let ran = ran(command.args(["-c", &script]), "");
    assert_eq!(ran.stderr, "0\n", "silent, and no panic");
}
