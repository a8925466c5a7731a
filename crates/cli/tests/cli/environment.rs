//! An environment in a process, through the binary: its stderr, its faults, and whether it is deterministic.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::binary::{Ran, arg, turnwise};
use crate::runs::Runs;

/// Arithmetic's steps, with code in front of every call of a method. `asked` are its arguments.
fn steps_with(folder: &Path, method: &str, code: &str) -> String {
    let program = folder.join("env.py");
    let text = format!(
        r#"
import os, random, sys
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
    let ran = runs.train("a", &["--set", &set, "--set", "eval.tasks=4"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let (line, hint) = ran.stderr.trim_end().rsplit_once('\n').unwrap();
    let line = line.lines().last().unwrap();
    assert!(line.starts_with("env.process: command = [\"python3\", "), "{}", ran.stderr);
    let expect =
        " times in a row: the process has ended (exit status: 7); the end of its stderr: out of cheese";
    assert!(line.contains("worker 1: failed ") && line.ends_with(expect), "{}", ran.stderr);
    assert!(hint.starts_with("  hint: "), "{}", ran.stderr);
}

/// Writes a run file with steps.py, and with `code` in front of a method.
fn run_file(folder: &Path, method: &str, code: &str) -> PathBuf {
    let set = steps_with(folder, method, code);
    let config = std::fs::read_to_string("../../crates/envs/examples/process/steps.toml").unwrap();
    let (key, value) = set.split_once('=').unwrap();
    assert_eq!(key, "env.process.command");
    let line = r#"command = ["python3", "crates/envs/examples/process/steps.py"]"#;
    assert!(config.contains(line));
    let model = format!("model = {:?}", arg(&crate::binary::root().join("models/tiny")));
    let text = config.replace(line, &format!("command = {value}"));
    let file = folder.join("run.toml");
    std::fs::write(&file, text.replace("model = \"models/tiny\"", &model)).unwrap();
    file
}

#[test]
fn doctor_fails_where_the_environment_fails_or_differs() {
    let folder = tempfile::tempdir().unwrap();
    let doctor = |method: &str, code: &str| -> (Value, Ran) {
        let file = run_file(folder.path(), method, code);
        let ran = turnwise(&["doctor", "--config", arg(&file), "--json"], "");
        let found: Value = serde_json::from_str(&ran.stdout).unwrap();
        (found["environment"].clone(), ran)
    };
    let (same, ran) = doctor("step", "pass");
    assert_eq!((&same["deterministic"], &same["reason"]), (&Value::Bool(true), &Value::Null), "{same}");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for (method, code, expect) in [
        (
            "step",
            "if asked[1]: return turnwise_env.Step([str(os.getpid())], {'progress': 0.5})",
            "train 0, turn 1, an output: ",
        ),
        // Processes begin alike, so that only another order shows it.
        (
            "step",
            "global drawn; drawn = random.Random(4) if 'drawn' not in globals() else drawn; \
             return turnwise_env.Step([str(drawn.random())] * len(asked[1]))",
            "train 0, turn 1, an output: ",
        ),
        (
            "reset",
            "return turnwise_env.Task(f'{asked[0]}/{asked[1]}', str(random.random()))",
            "train 0, the opening: ",
        ),
    ] {
        let (odd, ran) = doctor(method, code);
        assert_eq!((&odd["deterministic"], ran.code), (&Value::Bool(false), Some(1)), "{odd}");
        assert!(odd["reason"].as_str().unwrap().starts_with(expect), "{odd}");
        let failure = "run.toml: the environment isn't deterministic in its seed: train 0, ";
        assert!(ran.stderr.lines().any(|line| line.contains(failure)), "{}", ran.stderr);
    }
    let (broken, ran) = doctor("step", "os._exit(7)");
    assert_eq!((&broken["deterministic"], ran.code), (&Value::Null, Some(1)), "{broken}");
    assert!(broken["reason"].as_str().unwrap().contains("(exit status: 7)"), "{broken}");
    assert!(ran.stderr.contains("run.toml: the environment can't be played: train 0: "), "{}", ran.stderr);
}

#[test]
fn a_task_that_ends_its_process_costs_its_group_and_the_run_goes_on() {
    let runs = Runs::new();
    let folder = tempfile::tempdir().unwrap();
    // The task that is drawn third, of four groups.
    let code = "self.odd = asked[0] == 'train' and asked[1] == NUMBER";
    let program = |number: usize| {
        let text = format!(
            r#"
import os, sys
sys.path[:0] = ["crates/envs/examples/process", "python"]
import steps, turnwise_env
class Odd(steps.Steps):
    def reset(self, *asked):
        {}
        return super().reset(*asked)
    def step(self, *asked):
        if self.odd: os.kill(os.getpid(), 11)
        return super().step(*asked)
turnwise_env.serve(Odd)
"#,
            code.replace("NUMBER", &number.to_string())
        );
        let path = folder.path().join(format!("{number}.py"));
        std::fs::write(&path, text).unwrap();
        format!("env.process.command=[\"python3\", {:?}]", arg(&path))
    };
    let small = ["--set", "train.steps=1", "--set", "rollout.groups=4", "--set", "rollout.samples=3"];
    let played = |name: &str, number: usize| -> Vec<Value> {
        let set = program(number);
        runs.finishes(name, &[&small[..], &["--set", &set]].concat());
        let lines = std::fs::read_to_string(runs.path(name).join("rollouts/step_00000.jsonl")).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let whole = played("whole", usize::MAX >> 1);
    let group = |line: &Value| line["group"].as_str().unwrap().to_string();
    let odd = group(&whole[2]);
    let number: usize = odd.rsplit('/').next().unwrap().parse().unwrap();
    let without = played("without", number);
    let count = |line: &Value| line["trajectories"].as_array().unwrap().len();
    for line in &whole {
        let again = without.iter().find(|again| group(again) == group(line));
        if group(line) == odd {
            assert!(again.is_none_or(|again| count(again) == 0), "{again:?}");
        } else {
            let turns = |line: &Value| line["trajectories"].clone();
            assert_eq!(count(again.unwrap()), 3);
            assert_eq!(turns(again.unwrap())[0]["played"], turns(line)[0]["played"], "neighbours play alike");
        }
    }
    let metrics = std::fs::read_to_string(runs.path("without/metrics.jsonl")).unwrap();
    let metrics: Value = serde_json::from_str(metrics.trim_end()).unwrap();
    assert_eq!(metrics["rollouts_lost"], 3, "{metrics}");
}

#[test]
fn a_run_whose_prompts_have_changed_is_refused() {
    let runs = Runs::new();
    let folder = tempfile::tempdir().unwrap();
    let set = steps_with(folder.path(), "reset", "pass");
    let two = ["--set", "train.steps=2", "--set", "train.checkpoint_every=1"];
    runs.finishes("a", &[&two[..], &["--set", &set]].concat());
    // The same file on more steps, and then with other words in its openings.
    let three = ["--set", "train.steps=3", "--set", "train.checkpoint_every=1", "--set", &set];
    runs.finishes("a", &three);
    steps_with(folder.path(), "reset", "t = super().reset(*asked); t.opening += '!'; return t");
    let four = ["--set", "train.steps=4", "--set", "train.checkpoint_every=1", "--set", &set];
    let refused = runs.train("a", &four);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    let expect = "the environment has other tasks, tools or prompts than when the run was started";
    assert!(
        refused.stderr.contains(expect) && refused.stderr.contains("--allow-changes"),
        "{}",
        refused.stderr
    );
    runs.finishes("a", &[&four[..], &["--allow-changes"]].concat());
}
