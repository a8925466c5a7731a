//! An environment in a process, through the binary: its stderr, its faults, and whether it is deterministic.

use std::path::Path;

use serde_json::Value;

use crate::binary::{arg, turnwise};
use crate::runs::Runs;

/// Arithmetic's steps, with code in front of every call of a method. `asked` are its arguments.
fn steps_with(folder: &Path, method: &str, code: &str) -> String {
    let program = folder.join("env.py");
    let text = format!(
        r#"
import os, sys
sys.path[:0] = ["crates/envs/examples/process", "python"]
import steps, turnwise_env
class Odd(steps.Steps):
    def {method}(self, *asked):
        {code}
        return super().{method}(*asked)
turnwise_env.serve(Odd)
"#
    );
    std::fs::write(&program, text).unwrap();
    format!("env.process.command=[\"python3\", {:?}]", arg(&program))
}

#[test]
fn faults_are_counted_and_stderr_is_in_the_log() {
    let runs = Runs::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("faulty");
    // One fault, at the first step of all.
    let code = format!(
        "if not os.path.exists({file:?}): open({file:?}, 'w'); print('\\x1b[31mred'); raise OSError('no game')"
    );
    let set = steps_with(folder.path(), "step", &code);
    runs.finishes("a", &["--set", &set, "--set", "train.steps=1"]);
    let evaluation: Value =
        serde_json::from_slice(&std::fs::read(runs.path("a/evaluation.json")).unwrap()).unwrap();
    assert_eq!(evaluation["before"]["env_faults"], 1, "the evaluation before met it");
    assert_eq!(evaluation["after"].get("env_faults"), None);
    assert_eq!(evaluation["before"].get("rollouts_lost"), None, "it was played once more");
    let log = std::fs::read_to_string(runs.path("a/log.txt")).unwrap();
    for expect in ["Z env.process 1: \\u{1b}[31mred\n", "Z env.process 1: OSError: no game\n"] {
        assert!(log.contains(expect), "{log}");
    }
}

#[test]
fn a_process_that_fails_three_times_ends_the_run_with_its_last_words() {
    let runs = Runs::new();
    let folder = tempfile::tempdir().unwrap();
    let set = steps_with(folder.path(), "reset", "print('out of cheese'); os._exit(7)");
    let ran = runs.train("a", &["--set", &set]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let (line, hint) = ran.stderr.trim_end().rsplit_once('\n').unwrap();
    let line = line.lines().last().unwrap();
    assert!(line.starts_with("env.process: command = [\"python3\", "), "{}", ran.stderr);
    let expect = "worker 1: failed 3 times in a row: the process has ended (exit status: 7); \
                  the end of its stderr: out of cheese";
    assert!(line.ends_with(expect) && hint.starts_with("  hint: "), "{}", ran.stderr);
}

#[test]
fn doctor_plays_the_environment_twice() {
    let folder = tempfile::tempdir().unwrap();
    let doctor = |code: &str| -> Value {
        let set = steps_with(folder.path(), "step", code);
        let config = std::fs::read_to_string("../../crates/envs/examples/process/steps.toml").unwrap();
        let (key, value) = set.split_once('=').unwrap();
        assert_eq!(key, "env.process.command");
        let line = r#"command = ["python3", "crates/envs/examples/process/steps.py"]"#;
        assert!(config.contains(line));
        let file = folder.path().join("run.toml");
        std::fs::write(&file, config.replace(line, &format!("command = {value}"))).unwrap();
        let model = format!("model = {:?}", arg(&crate::binary::root().join("models/tiny")));
        let text = std::fs::read_to_string(&file).unwrap().replace("model = \"models/tiny\"", &model);
        std::fs::write(&file, text).unwrap();
        let found: Value = turnwise(&["doctor", "--config", arg(&file), "--json"], "").json();
        found["environment"].clone()
    };
    let same = doctor("pass");
    assert_eq!((&same["deterministic"], &same["reason"]), (&Value::Bool(true), &Value::Null), "{same}");
    let odd = doctor("if asked[1]: return turnwise_env.Step([str(os.getpid())], {'progress': 0.5})");
    assert_eq!(odd["deterministic"], false, "{odd}");
    assert!(odd["reason"].as_str().unwrap().starts_with("train 0, turn 1, an output: "), "{odd}");
    let broken = doctor("os._exit(7)");
    assert_eq!(broken["deterministic"], Value::Null, "{broken}");
    assert!(broken["reason"].as_str().unwrap().contains("(exit status: 7)"), "{broken}");
}
