//! Plays HumanEval and MBPP as published: the files that `TURNWISE_HUMAN_EVAL` (unpacked) and `TURNWISE_MBPP`
//! name.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use turnwise_envs::{Env, HumanEval, HumanEvalConfig};
use turnwise_tools::executor::PythonConfig;

#[test]
fn the_published_problems_are_solved_by_their_solutions_alone() {
    let Some(file) = std::env::var_os("TURNWISE_HUMAN_EVAL") else {
        eprintln!("left out: TURNWISE_HUMAN_EVAL names no file");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let train = folder.path().join("train.jsonl");
    let other =
        json!({"task_id": "T/0", "prompt": "def f():\n", "entry_point": "f", "test": "def check(f): pass"});
    std::fs::write(&train, other.to_string()).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let config = HumanEvalConfig { train, held_out: file.into(), columns: BTreeMap::new() };
    let env = HumanEval::new(&config, &PythonConfig::default()).unwrap();
    let verdict = |(task, record): (_, &str)| {
        let record: Value = serde_json::from_str(record).unwrap();
        let [prompt, solution] = ["prompt", "canonical_solution"].map(|key| record[key].as_str().unwrap());
        let passes = |code: String| env.is_correct(task, &code).unwrap();
        (task.id.as_str(), passes(format!("{prompt}{solution}")), passes(format!("{prompt}    pass")))
    };
    let verdicts: Vec<(&str, bool, bool)> = env.held_out().iter().zip(text.lines()).map(verdict).collect();
    let wrong: Vec<_> = verdicts.iter().filter(|(_, solved, stub)| !solved || *stub).collect();
    assert!(verdicts.len() == 164 && wrong.is_empty(), "{wrong:?}");
}

/// Judges the solutions of the whole file, or of the sanitized one.
#[test]
fn the_published_solutions_of_mbpp_pass() {
    let Some(file) = std::env::var_os("TURNWISE_MBPP") else {
        eprintln!("left out: TURNWISE_MBPP names no file");
        return;
    };
    let text = std::fs::read_to_string(&file).unwrap();
    let records: Vec<Value> = match serde_json::from_str(&text) {
        Ok(array) => array,
        Err(_) => text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
    };
    // One of the solutions takes more than the default.
    let patient = PythonConfig { cpu_seconds: 20.0, wall_seconds: 60.0, ..PythonConfig::default() };
    let config =
        HumanEvalConfig { train: file.clone().into(), held_out: file.into(), columns: BTreeMap::new() };
    let env = HumanEval::new(&config, &patient).unwrap();
    let mut wrong = Vec::new();
    for task in env.held_out().iter().chain(env.train()) {
        let record = records.iter().find(|record| task.id == format!("mbpp/{}", record["task_id"])).unwrap();
        let code = record["code"].as_str().unwrap();
        if !env.is_correct(task, code).unwrap() || env.is_correct(task, "def f(): pass").unwrap() {
            wrong.push(&task.id);
        }
    }
    assert!(env.held_out().len() > 200 && wrong.is_empty(), "{wrong:?}");
}
