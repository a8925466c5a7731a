//! `turnwise view` and `turnwise report` on a run that `turnwise train` made.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::binary::{BINARY, arg, root, turnwise};

fn train(run: &Path) {
    let sets =
        ["train.steps=2", "rollout.groups=2", "rollout.samples=4", "eval.tasks=4", "optimizer.minibatches=2"];
    let mut args = vec!["train", "configs/tiny.toml", "--run", arg(run)];
    args.extend(sets.iter().flat_map(|set| ["--set", *set]));
    let ran = turnwise(&args, "");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

/// Body of a GET, as a browser sends it.
fn get(url: &str, path: &str) -> String {
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    body.to_string()
}

/// `turnwise view`, until it is dropped.
struct View {
    process: Child,
    url: String,
}

impl View {
    fn of(run: &Path) -> Self {
        let mut command = Command::new(BINARY);
        command.args(["view", arg(run)]).current_dir(root()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let mut url = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Self { process, url: url.trim().into() }
    }

    fn get(&self, path: &str) -> Value {
        serde_json::from_str(&get(&self.url, path)).unwrap()
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn what_rollout_wrote_is_viewed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("played.jsonl");
    let args = ["rollout", "--config", "configs/tiny.toml", "--model", "models/tiny", "--out", arg(&file)];
    let ran = turnwise(&[&args[..], &["--set", "eval.tasks=4", "--set", "eval.samples=2"]].concat(), "");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let view = View::of(&file);
    let runs = view.get("/api/runs");
    assert_eq!((&runs[0]["name"], &runs[0]["rollouts"]), (&"played.jsonl".into(), &8.into()));
    assert!(
        runs[0]["bad"].as_array().unwrap().is_empty() && runs[0]["tokenizer_missing"].is_null(),
        "{runs}"
    );
    for (id, line) in lines.iter().enumerate() {
        let rollout = view.get(&format!("/api/rollout?run=0&id={id}"));
        let one = &line["trajectories"][0];
        assert_eq!((&rollout["row"]["task"], &rollout["row"]["correct"]), (&line["group"], &one["correct"]));
        assert_eq!(rollout["expected"], line["expected"]);
        assert_eq!(rollout["opening"], line["messages"][0]["content"]);
        assert_eq!(rollout["turns"][0]["text"], line["messages"][1]["content"]);
        assert_eq!(rollout["turns"][0]["calls"], one["played"]["turns"][0]["calls"]);
        assert!(rollout["turns"][0]["advantage"].is_null() && rollout["turns"][0]["reward"].is_number());
    }
    let question = lines[0]["messages"][0]["content"].as_str().unwrap();
    let encoded = question.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02X}"));
    assert_eq!(view.get(&format!("/api/list?run=0&q={encoded}"))["total"], 2, "both samples of the task");
    turnwise(&["report", arg(&file)], "").fails(1, &["played.jsonl: this is no run directory"]);
}

#[test]
fn a_run_is_viewed_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("first");
    train(&run);
    let picture = std::fs::read_to_string(run.join("curve.svg")).unwrap();
    assert_eq!(picture.matches("held out ").count(), 2, "before and after");

    let out = folder.path().join("out");
    let report = turnwise(&["report", arg(&run), "--out", arg(&out)], "");
    assert_eq!((report.code, report.stderr.as_str()), (Some(0), ""));
    assert_eq!(report.stdout.trim(), out.join("report.html").display().to_string());
    let text = std::fs::read_to_string(out.join("report.md")).unwrap();
    assert!(text.starts_with("# Run first\n") && text.contains("](accuracy.svg)"), "{text}");
    assert!(out.join("accuracy.svg").is_file());

    let view = View::of(&run);
    let runs = view.get("/api/runs");
    assert_eq!((&runs[0]["name"], &runs[0]["rollouts"]), (&"first".into(), &16.into()));
    let rollout = view.get("/api/rollout?run=0&id=9");
    let turn = &rollout["turns"][0];
    let (tokens, ratios) =
        (turn["sampled"]["ids"].as_array().unwrap(), turn["log_ratios"].as_array().unwrap());
    assert_eq!(tokens.len(), ratios.len());
    assert!(ratios.iter().all(|ratio| ratio.as_f64().unwrap().abs() < 0.5), "{ratios:?}");
    let piece: String =
        turn["sampled"]["pieces"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect();
    assert!(piece.ends_with("<|im_end|>") && !rollout["expected"].as_str().unwrap().is_empty(), "{piece}");
}

#[test]
fn what_is_no_run_is_refused() {
    turnwise(&["view", "configs"], "").fails(1, &["configs: this is no run directory", "hint: "]);
    turnwise(&["report", "nowhere"], "").fails(1, &["nowhere: this is no run directory"]);
}
