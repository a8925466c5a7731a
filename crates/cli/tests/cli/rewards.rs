//! Rewards by name, graded and normalised, from a process to records, metrics, scores, replays and reports.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::binary::{arg, turnwise};
use crate::runs::Runs;

/// Rewards that say turn and text: `cost` in other units, grades that add up to less than 1, and some at the
/// end.
const ENVIRONMENT: &str = r#"
import sys
sys.path[:0] = ["python"]
import turnwise_env
from turnwise_env import Step, Task, tool
class Graded(turnwise_env.Env):
    train, held_out = 64, 8
    tools = [tool("python", "Repeats.", code="string")]
    def reset(self, split, index, seed):
        self.index = index
        return Task(f"{split}/{index}", f"{index}+1", level=1)
    def step(self, text, calls, malformed):
        self.length = len(text)
        rewards = {"progress": self.length % 7 / 8, "cost": -float(self.length), "acc": self.length % 3 / 8}
        return Step([str(call["arguments"].get("code", ""))[:8] for call in calls], rewards)
    def close(self):
        return {"acc": self.length % 4 / 8, "late": float(self.index + 1)}
turnwise_env.serve(Graded)
"#;

const SETTINGS: [&str; 9] = [
    "train.steps=2",
    "rollout.samples=4",
    "reward.correct_at=0.5",
    "reward.normalise.cost=gdpo",
    "reward.normalise.acc=gdpo",
    "reward.normalise.progress=group",
    "reward.weights.cost=0.5",
    "eval.tasks=8",
    "eval.samples=2",
];

/// Returns the arguments of the environment and the settings.
fn settings(folder: &Path) -> Vec<String> {
    let program = folder.join("env.py");
    std::fs::write(&program, ENVIRONMENT).unwrap();
    let command = format!("env.process.command=[\"python3\", {:?}]", arg(&program));
    SETTINGS.iter().copied().chain([command.as_str()]).flat_map(|set| ["--set".into(), set.into()]).collect()
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn trajectories(groups: &[Value]) -> Vec<&Value> {
    groups.iter().flat_map(|group| group["trajectories"].as_array().unwrap()).collect()
}

/// Returns the turns of a trajectory by name, as the scoring left them.
fn turns(trajectory: &Value) -> Vec<BTreeMap<String, f64>> {
    serde_json::from_value(trajectory["turns"].clone()).unwrap()
}

fn acc(trajectory: &Value) -> f64 {
    turns(trajectory).iter().map(|turn| turn["acc"]).sum()
}

/// Recomputes `rewards` of a line of metrics from the records of its step.
#[track_caller]
fn agrees(metrics: &Value, groups: &[Value]) {
    let all: Vec<_> = trajectories(groups).into_iter().map(turns).collect();
    let named = metrics["rewards"].as_object().unwrap();
    assert_eq!(named.keys().collect::<Vec<_>>(), ["acc", "cost", "fmt", "late", "progress"]);
    let close = |found: &Value, expect: f64| {
        assert!((found.as_f64().unwrap() - expect).abs() < 1e-9, "{found} is not {expect}: {metrics}");
    };
    let longest = all.iter().map(Vec::len).max().unwrap();
    for (name, found) in named {
        let of = |turn: &BTreeMap<String, f64>| turn.get(name).copied().unwrap_or(0.0);
        let total: f64 = all.iter().flatten().map(of).sum();
        close(&found["mean"], total / all.len() as f64);
        assert_eq!(found["by_turn"].as_array().unwrap().len(), longest);
        for (j, found) in found["by_turn"].as_array().unwrap().iter().enumerate() {
            let at: Vec<f64> = all.iter().filter_map(|turns| turns.get(j)).map(of).collect();
            close(found, at.iter().sum::<f64>() / at.len() as f64);
        }
    }
    let right = trajectories(groups).iter().filter(|trajectory| trajectory["correct"] == true).count();
    close(&metrics["accuracy"], right as f64 / all.len() as f64);
}

#[test]
fn named_rewards_are_the_same_in_records_metrics_scores_and_replays() {
    let (runs, folder) = (Runs::new(), tempfile::tempdir().unwrap());
    let settings = settings(folder.path());
    let more: Vec<&str> = settings.iter().map(String::as_str).collect();
    runs.finishes("a", &more);
    let metrics = lines(&runs.path("a/metrics.jsonl"));
    let mut records = String::new();
    let (mut right, mut wrong) = (0, 0);
    for (step, metrics) in metrics.iter().enumerate() {
        let path = runs.path(&format!("a/rollouts/step_{step:05}.jsonl"));
        let groups = lines(&path);
        agrees(metrics, &groups);
        for trajectory in trajectories(&groups) {
            let (grade, turns) = (acc(trajectory), turns(trajectory));
            assert_eq!(trajectory["correct"], grade >= 0.5, "{trajectory}");
            *(if grade >= 0.5 { &mut right } else { &mut wrong }) += 1;
            // Rewards of the end are on the last turn, and those of a step are on its turn.
            let late: Vec<bool> = turns.iter().map(|turn| turn.contains_key("late")).collect();
            assert_eq!(late.iter().position(|late| *late), Some(turns.len() - 1));
            for (turn, played) in turns.iter().zip(trajectory["played"]["turns"].as_array().unwrap()) {
                let written = played["text"].as_str().unwrap().chars().count();
                assert_eq!(turn["cost"], -(written as f64), "{played}");
            }
        }
        records += &std::fs::read_to_string(&path).unwrap();
    }
    assert!(right > 0 && wrong > 0, "{right} right and {wrong} wrong: a threshold that decides nothing");

    // Under the run's own file a score is what the run learned from, to the last digit.
    let config = runs.path("a/config.toml");
    let scored: Vec<Value> = turnwise(&["score", "--config", arg(&config)], &records).lines();
    let plain: Vec<Value> =
        turnwise(&["score", "--config", arg(&config), "--set", "reward.normalise.cost=none"], &records)
            .lines();
    let recorded: Vec<Value> = records.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(scored.len(), recorded.len());
    for (scored, recorded) in scored.iter().zip(&recorded) {
        for key in ["rewards", "returns", "advantages", "dropped", "group"] {
            assert_eq!(scored[key], recorded[key], "{key}");
        }
    }
    assert!(scored.iter().zip(&plain).any(|(a, b)| a["advantages"] != b["advantages"]));

    let replayed = turnwise(&["replay", arg(&runs.path("a")), "--run", arg(&runs.path("b"))], "");
    assert_eq!(replayed.code, Some(0), "{}", replayed.stderr);
    for (step, (first, again)) in metrics.iter().zip(lines(&runs.path("b/metrics.jsonl"))).enumerate() {
        for key in ["rewards", "reward", "accuracy", "by_turn", "loss"] {
            assert_eq!(first[key], again[key], "{key} of step {step}");
        }
    }

    let report = runs.path("report");
    let told = turnwise(&["report", arg(&runs.path("a")), "--out", arg(&report)], "");
    assert_eq!((told.code, told.stderr.as_str()), (Some(0), ""));
    let text = std::fs::read_to_string(report.join("report.md")).unwrap();
    for name in ["acc", "cost", "fmt", "late", "progress"] {
        // The table is of the last tenth of the steps: the last one here.
        let mean = metrics[1]["rewards"][name]["mean"].as_f64().unwrap();
        let row = format!("{name} | {mean:.3} | ");
        assert!(text.contains(&row), "{row}\n{text}");
    }
    assert!(text.contains("mean grade") && report.join("reward-4.svg").is_file(), "{text}");
    assert!(text.contains("accuracy (acc ≥ 0.5) |"), "{text}");
}

#[test]
fn a_replay_that_evaluates_nothing_starts_no_environment() {
    let (runs, folder) = (Runs::new(), tempfile::tempdir().unwrap());
    let settings = settings(folder.path());
    let more: Vec<&str> = settings.iter().map(String::as_str).collect();
    runs.finishes("a", &more);
    let gone = ["--set", "env.process.command=[\"/no/such/program\"]", "--set", "eval.tasks=0"];
    let (a, b) = (runs.path("a"), runs.path("b"));
    let evaluates = turnwise(&[&["replay", arg(&a), "--run", arg(&b)], &gone[..2]].concat(), "");
    evaluates.fails(1, &["doesn't start: No such file or directory\n  hint: a path, or a name on the PATH"]);
    let replayed = turnwise(&[&["replay", arg(&a), "--run", arg(&b)], &gone[..]].concat(), "");
    assert_eq!(replayed.code, Some(0), "{}", replayed.stderr);
    let weights =
        |run: &Path| std::fs::read(run.join("checkpoints/step_00002/model.safetensors")).expect("weights");
    assert!(weights(&a) == weights(&b), "it learns from the records alone");
}

#[test]
fn a_grade_decides_evaluations_by_its_threshold() {
    let folder = tempfile::tempdir().unwrap();
    let (settings, out) = (settings(folder.path()), folder.path().join("out.jsonl"));
    let common =
        ["rollout", "--config", "configs/tiny.toml", "--model", "models/tiny", "--out", arg(&out), "--json"];
    let played = |more: &[&str]| -> (Value, Vec<Value>, String) {
        let args: Vec<&str> = common.into_iter().chain(settings.iter().map(String::as_str)).collect();
        let ran = turnwise(&[&args[..], more].concat(), "");
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        (serde_json::from_str(&ran.stdout).unwrap(), lines(&out), ran.stderr)
    };
    let (answer, all, table) = played(&[]);
    let grades: Vec<f64> = trajectories(&all).into_iter().map(acc).collect();
    let mean = grades.iter().sum::<f64>() / grades.len() as f64;
    assert!((answer["mean_acc"].as_f64().unwrap() - mean).abs() < 1e-12);
    assert!(table.contains(&format!("{mean:.3}")) && table.contains("mean grade"), "{table}");
    assert_eq!(answer["correct_at"], 0.5, "the threshold stands beside the mean grade");
    for at in [0.25, 0.5] {
        let (answer, _, table) = played(&["--set", &format!("reward.correct_at={at}")]);
        let right: Vec<bool> = grades.iter().map(|grade| *grade >= at).collect();
        let share = |right: usize, all: usize| right as f64 / all as f64;
        let count = right.iter().filter(|right| **right).count();
        assert_eq!(answer["accuracy"], share(count, right.len()), "at {at}");
        // Lines are in the order of tasks and samples, two of each.
        let solved = right.chunks(2).filter(|pair| pair.contains(&true)).count();
        assert_eq!(answer["summary"]["pass"]["2"]["value"], share(solved, right.len() / 2), "at {at}");
        let samples =
            answer["outcomes"].as_array().unwrap().iter().flat_map(|t| t["samples"].as_array().unwrap());
        let judged: Vec<bool> = samples.map(|sample| sample["failure"].is_null()).collect();
        assert_eq!(judged, right, "at {at}");
        assert_eq!(answer["correct_at"], at);
        for name in ["right", "pass@2"] {
            assert!(table.contains(&format!("{name} (acc ≥ {at}) ")), "{table}");
        }
    }
    let (_, kept, _) = played(&["--right"]);
    assert_eq!(kept.len(), grades.iter().filter(|grade| **grade >= 0.5).count());
    assert!(trajectories(&kept).into_iter().all(|trajectory| acc(trajectory) >= 0.5));
}

/// Returns the number that each trajectory of a group is judged by: the verdict of a clean trajectory, or the
/// sum of its rewards.
fn values(group: &Value, by_verdict: bool) -> Vec<f64> {
    let verdict = |trajectory: &Value| {
        let clean = !trajectory["violations"].as_array().unwrap().contains(&true.into());
        f64::from(u8::from(clean && trajectory["correct"] == true))
    };
    let total = |row: &Value| row.as_array().unwrap().iter().map(|reward| reward.as_f64().unwrap()).sum();
    if by_verdict {
        group["trajectories"].as_array().unwrap().iter().map(verdict).collect()
    } else {
        group["rewards"].as_array().unwrap().iter().map(total).collect()
    }
}

fn differ(values: &[f64]) -> bool {
    values.iter().any(|value| (value - values[0]).abs() > 1e-9)
}

/// The threshold decides for estimators that read verdicts, and grades decide for those that read rewards.
#[test]
fn grades_decide_what_is_replaced_filtered_and_drawn_again() {
    let (runs, folder) = (Runs::new(), tempfile::tempdir().unwrap());
    let mut settings = settings(folder.path());
    let more = ["filter.zero_variance=true", "rollout.refill=2", "rollout.curriculum=success"];
    settings.extend(more.iter().flat_map(|set| ["--set".into(), (*set).to_string()]));
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    for estimator in ["grpo_min", "grpo"] {
        let by_verdict = estimator == "grpo_min";
        let advantage = format!("advantage={estimator}");
        runs.finishes(
            estimator,
            &[&settings[..], &["--set", &advantage, "--set", "shaping.alpha=0"]].concat(),
        );
        let signal = |group: &Value| differ(&values(group, by_verdict)) && differ(&values(group, false));
        let (mut rates, mut graded) = (Vec::new(), 0);
        for (step, metrics) in lines(&runs.path(&format!("{estimator}/metrics.jsonl"))).iter().enumerate() {
            let file = |name: &str| runs.path(&format!("{estimator}/rollouts/{name}_{step:05}.jsonl"));
            let kept = lines(&file("step"));
            let replaced = if file("replaced").exists() { lines(&file("replaced")) } else { Vec::new() };
            for group in kept.iter().chain(&replaced) {
                let all = group["trajectories"].as_array().unwrap();
                let right: Vec<bool> = all.iter().map(|trajectory| acc(trajectory) >= 0.5).collect();
                let told: Vec<bool> = all.iter().map(|trajectory| trajectory["correct"] == true).collect();
                assert_eq!(told, right, "{group}");
                rates.push(right.iter().filter(|right| **right).count() as f64 / right.len() as f64);
            }
            for group in &replaced {
                assert!(!signal(group), "{group}");
                let grades: Vec<f64> = group["trajectories"].as_array().unwrap().iter().map(acc).collect();
                graded += usize::from(differ(&grades));
                let uniform = grades.iter().all(|grade| *grade >= 0.5) || grades.iter().all(|g| *g < 0.5);
                let reason = if grades[0] >= 0.5 { "all_right" } else { "all_wrong" };
                assert!(!uniform || group["replaced"]["reason"] == reason, "{group}");
            }
            for group in &kept {
                let dropped = group["dropped"].as_array().unwrap().iter().all(|why| why == "zero_variance");
                assert_eq!(dropped, !differ(&values(group, false)), "{group}");
            }
            let idle = kept.iter().filter(|group| !signal(group)).count();
            assert_eq!(metrics["refill"]["without_signal"], idle);
            assert_eq!(metrics["refill"]["replaced"], replaced.len());
            if step == 0 {
                // No task was drawn twice yet, and later steps discount these attempts.
                let mean = rates.iter().sum::<f64>() / rates.len() as f64;
                assert!((metrics["curriculum"]["success"].as_f64().unwrap() - mean).abs() < 1e-12);
            }
        }
        assert_eq!(graded > 0, by_verdict, "{graded} replaced groups whose grades differ");
    }
}

/// An environment may reward `acc` in several turns. The reward is what it says; a grade is at most 1.
#[test]
fn a_grade_is_at_most_1_and_rewards_stay_as_they_were_given() {
    let folder = tempfile::tempdir().unwrap();
    let (settings, out) = (settings(folder.path()), folder.path().join("out.jsonl"));
    let generous = ENVIRONMENT.replace("self.length % 3 / 8", "0.75");
    std::fs::write(folder.path().join("env.py"), generous).unwrap();
    let common =
        ["rollout", "--config", "configs/tiny.toml", "--model", "models/tiny", "--out", arg(&out), "--json"];
    let args: Vec<&str> = common.into_iter().chain(settings.iter().map(String::as_str)).collect();
    let ran = turnwise(&args, "");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let (answer, all): (Value, Vec<Value>) = (serde_json::from_str(&ran.stdout).unwrap(), lines(&out));
    let given: Vec<f64> = trajectories(&all).into_iter().map(acc).collect();
    assert!(given.iter().any(|given| *given > 1.25), "{given:?}");
    let mean = given.iter().map(|given| given.min(1.0)).sum::<f64>() / given.len() as f64;
    assert!((answer["mean_acc"].as_f64().unwrap() - mean).abs() < 1e-12, "{answer}");
}
