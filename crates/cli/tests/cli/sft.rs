//! `turnwise sft` on conversations of a file.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::binary::{arg, turnwise};

/// Writes rows, and a config with these lines that reads them. Returns the folder and the config.
fn config(rows: &[Value], rest: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (data, path) = (folder.path().join("data.jsonl"), folder.path().join("sft.toml"));
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    std::fs::write(&data, lines.join("\n")).unwrap();
    std::fs::write(&path, format!("{rest}\n[data]\nfile = {:?}\n", data.display().to_string())).unwrap();
    (folder, path)
}

/// A question that one of two tools answers.
fn row(number: usize) -> Value {
    let (a, b) = (number % 7 + 1, number % 5 + 2);
    let town = ["Rome", "Oslo", "Lima"][number % 3];
    let (question, name, arguments, output) = if number.is_multiple_of(2) {
        (format!("add {a} {b}"), "add", json!({"a": a, "b": b}), (a + b).to_string())
    } else {
        (format!("find {town}"), "find", json!({"town": town}), "found".to_string())
    };
    // Both spellings of arguments.
    let arguments = if number % 4 < 2 { arguments } else { arguments.to_string().into() };
    json!({"tools": tools(), "messages": [
        {"role": "user", "content": question},
        {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": name, "arguments": arguments}}]},
        {"role": "tool", "content": output},
        {"role": "assistant", "content": format!("It is {output}.")},
    ]})
}

fn tools() -> Value {
    let object = |properties: Value, required: Value| json!({"type": "object", "properties": properties, "required": required});
    json!([
        {"name": "add", "parameters": object(
            json!({"a": {"type": "integer"}, "b": {"type": "integer"}}), json!(["a", "b"]))},
        {"name": "find", "parameters": object(json!({"town": {"type": "string"}}), json!(["town"]))},
    ])
}

const SMALL: &str = r"
steps = 150
batch = 8
[model.scratch]
vocab_size = 400
hidden_size = 64
intermediate_size = 128
layers = 2
heads = 2
kv_heads = 1
max_position = 256
[optimizer]
lr = 5e-3
warmup = 10
[rollout]
describe_tools = false
";

#[test]
fn a_new_model_learns_to_call_two_tools_and_to_stop() {
    let rows: Vec<Value> = (0..60).map(row).collect();
    let (folder, path) = config(&rows, SMALL);
    let out = folder.path().join("model");
    let made = turnwise(&["sft", arg(&path), "--out", arg(&out), "--json"], "");
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let answer: Value = serde_json::from_str(&made.stdout).unwrap();
    assert_eq!((&answer["data"]["conversations"], &answer["accuracy"]), (&60.into(), &Value::Null));
    assert!(made.stderr.contains("60 rows, 60 conversations in 60 sequences"), "{}", made.stderr);
    let record: Value =
        serde_json::from_str(&std::fs::read_to_string(out.join("sft_data.json")).unwrap()).unwrap();
    assert_eq!(record, answer["data"]);
    let offered = folder.path().join("tools.json");
    std::fs::write(&offered, tools().to_string()).unwrap();
    for (question, name) in [("add 2 6", "add"), ("find Oslo", "find")] {
        let asked = folder.path().join("messages.json");
        std::fs::write(&asked, json!([{"role": "user", "content": question}]).to_string()).unwrap();
        let said: Value = turnwise(
            &[
                "generate",
                "--model",
                arg(&out),
                "--messages",
                arg(&asked),
                "--temperature",
                "0",
                "--max-tokens",
                "80",
                "--json",
            ],
            "",
        )
        .json();
        assert_eq!(said["stop"], "end_of_turn", "{said}");
        let text = said["text"].as_str().unwrap();
        let read: Value = turnwise(&["parse", "--format", "hermes", "--tools", arg(&offered)], text).json();
        assert_eq!(
            (&read["calls"][0]["ok"], &read["calls"][0]["name"]),
            (&true.into(), &name.into()),
            "{text}"
        );
    }
}

/// A config for models/tiny.
const TINY: &str = "steps = 1\nbatch = 1\n[model]\nfolder = \"models/tiny\"\n\
                    [rollout]\nformat = \"fenced_python\"\ndescribe_tools = false\n";

#[test]
fn a_dry_run_shows_what_is_trained_and_what_is_left_out() {
    let mut wrong = row(0);
    wrong["messages"][1]["tool_calls"][0]["function"]["name"] = "ad".into();
    let mut marked = row(1);
    marked["messages"][1]["train"] = false.into();
    let (_folder, path) = config(&[wrong, marked, row(2)], &TINY.replace("fenced_python", "hermes"));
    let dry = |more: &[&str]| turnwise(&[&["sft", arg(&path), "--dry-run"], more].concat(), "");
    let shown = dry(&[]);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    assert!(shown.stdout.contains("train_on = \"assistant\""), "{}", shown.stdout);
    for part in [
        "3 rows, 2 conversations in 2 sequences",
        "left out: 1 with a call of a tool that isn't offered\n    line 1: messages[1].tool_calls[0]: unknown tool",
        "line 2, trained between ⟦ and ⟧:\n<|im_start|>user\nfind Oslo<|im_end|>\n<|im_start|>assistant\n<tool_call>",
        "\n<|im_start|>assistant\n⟦It is found.<|im_end|>⟧\n",
    ] {
        assert!(shown.stderr.contains(part), "{part}\n{}", shown.stderr);
    }
    let tokens = dry(&["--json", "--show", "3"]);
    let lines: Vec<Value> = tokens.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (of_line, tokens) = (&lines[1]["line"], lines[1]["tokens"].as_array().unwrap());
    let text = |trained: bool| -> String {
        let kept = tokens.iter().filter(|token| token["trained"] == trained);
        kept.map(|token| token["text"].as_str().unwrap()).collect()
    };
    assert_eq!(of_line, 3);
    let call =
        "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 3, \"b\": 4}}\n</tool_call><|im_end|>";
    assert_eq!(text(true), format!("{call}It is 7.<|im_end|>"));
    assert!(text(false).starts_with("<|im_start|>user\nadd 3 4<|im_end|>"), "{}", text(false));
    let absent = dry(&["--show", "1"]);
    assert_eq!(absent.code, Some(2));
    assert!(
        absent.stderr.contains("--show 1: no conversation of that line is trained on"),
        "{}",
        absent.stderr
    );
}

#[test]
fn a_file_without_conversations_or_with_a_broken_line_is_named() {
    let (folder, path) = config(&[json!({"text": "a"})], TINY);
    let out = folder.path().join("out");
    let nothing = turnwise(&["sft", arg(&path), "--out", arg(&out)], "");
    assert_eq!(nothing.code, Some(1), "{}", nothing.stderr);
    let why = "data.jsonl: nothing is left to train on of 1 rows: 1 without a conversation; \
               line 1: neither `messages`";
    assert!(nothing.stderr.contains(why), "{}", nothing.stderr);
    std::fs::write(folder.path().join("data.jsonl"), "{\"messages\": [}\n").unwrap();
    let broken = turnwise(&["sft", arg(&path), "--out", arg(&out)], "");
    assert_eq!(broken.code, Some(1), "{}", broken.stderr);
    assert!(broken.stderr.contains("data.jsonl:1: "), "{}", broken.stderr);
    assert!(!out.exists());
    std::fs::write(&path, TINY).unwrap();
    let neither = turnwise(&["sft", arg(&path), "--out", arg(&out)], "");
    assert_eq!(neither.code, Some(2), "{}", neither.stderr);
    assert!(neither.stderr.contains("`env` is missing, and so is `data`"), "{}", neither.stderr);
}

#[test]
fn demonstrations_of_a_rollout_are_trained_as_they_were_sampled() {
    let folder = tempfile::tempdir().unwrap();
    let played = folder.path().join("data.jsonl");
    let play =
        ["rollout", "--config", "configs/tiny.toml", "--model", "models/tiny", "--set", "eval.tasks=12"];
    let done = turnwise(&[&play[..], &["--right", "--train", "--out", arg(&played)]].concat(), "");
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let path = folder.path().join("sft.toml");
    std::fs::write(&path, format!("{TINY}[data]\nfile = {:?}\n", played.display().to_string())).unwrap();
    let records = std::fs::read_to_string(&played).unwrap();
    let compared: Vec<bool> =
        records.lines().zip(1..).filter_map(|(record, line)| is_the_record(&path, line, record)).collect();
    // A policy may sample other tokens for a text than a tokenizer writes.
    let equal = compared.iter().filter(|equal| **equal).count();
    assert!(
        compared.len() > 3 && 2 * equal > compared.len(),
        "{equal} of {} in the same tokens",
        compared.len()
    );
}

/// Compares what is trained of a line with its record: the same text, and whether all tokens are the same.
/// None if a turn isn't trained because of a malformed call.
fn is_the_record(path: &Path, line: usize, record: &str) -> Option<bool> {
    let record: Value = serde_json::from_str(record).unwrap();
    let list = |value: &Value| value.as_array().unwrap().clone();
    let played = &record["trajectories"][0]["played"];
    let turns = list(&played["turns"]);
    if turns.iter().any(|turn| list(&turn["calls"]).iter().any(|call| call["malformed"].is_object())) {
        return None;
    }
    let shown = turnwise(&["sft", arg(path), "--dry-run", "--json", "--show", &line.to_string()], "");
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    let shown: Value = serde_json::from_str(shown.stdout.lines().nth(1).unwrap()).unwrap();
    let tokens = list(&shown["tokens"]);
    let trained: String = tokens
        .iter()
        .filter(|token| token["trained"] == true)
        .map(|token| token["text"].as_str().unwrap())
        .collect();
    let sampled: String =
        turns.iter().flat_map(|turn| [turn["text"].as_str().unwrap(), "<|im_end|>"]).collect();
    assert_eq!(trained, sampled, "line {line}");
    let whole: Vec<Value> = list(&played["prompt"])
        .into_iter()
        .chain(turns.iter().flat_map(|turn| [list(&turn["tokens"]), list(&turn["observation"])].concat()))
        .collect();
    // The template's text ends with a line break after the last turn.
    let ids = tokens.iter().map(|token| &token["id"]).take(whole.len());
    Some(ids.eq(whole.iter()))
}

/// A float would change the number that the model is taught to write. Columns that no conversation needs may
/// hold anything.
#[test]
fn an_integer_beyond_64_bits_is_trained_exactly_or_not_at_all() {
    let big = "123456789012345678901234567890";
    let written = |arguments: Value| {
        let mut row = row(0);
        row["messages"][1]["tool_calls"][0]["function"]["arguments"] = arguments;
        row
    };
    let marked = || written(json!({"a": "BIG", "b": 2}));
    let (mut in_text, mut in_column, mut in_tools) = (marked(), marked(), row(0));
    in_text["messages"][1]["tool_calls"][0]["function"]["arguments"] = json!("{\"a\": BIG, \"b\": 2}");
    in_column["messages"] = in_column["messages"].to_string().replace("\"BIG\"", "BIG").into();
    in_tools["tools"][0]["parameters"]["properties"]["a"]["maximum"] = "BIG".into();
    let mut elsewhere = row(0);
    elsewhere["meta"] = json!({"messages": ["BIG"]});
    let exact = written(json!({"a": u64::MAX, "b": i64::MIN}));
    let rows = [marked(), in_text, in_column, in_tools, elsewhere, exact];
    let (folder, path) = config(&[], &TINY.replace("fenced_python", "hermes"));
    let lines: Vec<String> =
        rows.iter().map(|row| row.to_string().replace("\"BIG\"", big).replace("BIG", big)).collect();
    std::fs::write(folder.path().join("data.jsonl"), lines.join("\n")).unwrap();
    let dry = |more: &[&str]| turnwise(&[&["sft", arg(&path), "--dry-run"], more].concat(), "").stderr;
    let told = dry(&["--show", "5"]);
    for part in [
        "6 rows, 2 conversations in 2 sequences".to_string(),
        "left out: 4 with an integer beyond 64 bits".to_string(),
        format!(
            "line 1: messages[1].tool_calls[0].function.arguments.a is {big}; hint: as a text it would be exact"
        ),
        format!("line 2: an integer in messages[1].tool_calls[0]: arguments is {big}; hint: "),
        format!("line 3: an integer in `messages` is {big}; hint: "),
        "{\"a\": 1, \"b\": 2}".to_string(),
    ] {
        assert!(told.contains(&part), "{part}\n{told}");
    }
    let shown = dry(&["--show", "6"]);
    assert!(shown.contains("{\"a\": 18446744073709551615, \"b\": -9223372036854775808}"), "{shown}");
    // Columns of other names are the same columns.
    let renamed = lines.join("\n").replace("\"messages\":", "\"dialog\":");
    std::fs::write(folder.path().join("data.jsonl"), renamed).unwrap();
    let named = dry(&["--set", "data.columns.messages=dialog", "--show", "6"]);
    assert!(named.contains("left out: 4 with an integer beyond 64 bits"), "{named}");
}
