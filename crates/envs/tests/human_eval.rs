//! HumanEval as it was published: the unpacked file that `TURNWISE_HUMAN_EVAL` names.

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
    let config = HumanEvalConfig { train, held_out: file.into() };
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
