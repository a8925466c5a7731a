//! Measures what turn-level credit does inside the groups of an update: which groups it comes from, whether
//! it rewards being short, and how trajectories begin. It reads the rollouts, which are too large to keep.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

/// A line of `rollouts/step_*.jsonl`, with the keys that are needed.
#[derive(Deserialize)]
struct Group {
    trajectories: Vec<Trajectory>,
    /// By trajectory and turn.
    advantages: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Trajectory {
    correct: bool,
    turns: Vec<Reward>,
    /// Whether each turn broke the format. Records of earlier versions have a format reward below 0 there.
    #[serde(default)]
    violations: Vec<bool>,
    played: Played,
}

#[derive(Deserialize)]
struct Reward {
    #[serde(default)]
    fmt: f64,
}

#[derive(Deserialize)]
struct Played {
    turns: Vec<Turn>,
}

#[derive(Deserialize)]
struct Turn {
    tokens: Vec<u32>,
    calls: Vec<Value>,
}

/// Sums over an update's trajectories, each divided by their number, so that a quotient of two means over
/// updates is the quotient of the sums.
///
/// - `turns_of_right`: turns of trajectories that are right;
/// - `turns_all_right`: turns in groups that are right throughout;
/// - `violations_all_wrong`: turns that break the format in groups that are wrong throughout;
/// - `turns_all_wrong`: all turns there;
/// - `weight`: Σ |A| over sampled tokens, and of it `weight_all_right` and `weight_all_wrong`;
/// - `brevity_all_right`: mean advantage of a trajectory's tokens times its turns above the group's mean, in
///   groups that are right throughout. Below 0, short ones are rewarded there;
/// - `brevity`: the same in all groups;
/// - `first_turn_no_call`: trajectories whose first turn calls nothing;
/// - `first_call_failed`: trajectories whose first call is malformed or ends with an error;
/// - `first_call_idle`: trajectories whose first call runs and has no arithmetic operator in its code;
/// - `credit_right_1` to `credit_wrong_5`: Σ A over sampled tokens of right and of wrong trajectories in
///   their first turn, in their second, and so on; the fifth and all later ones count together.
pub(crate) fn of_update(rollouts: &Path) -> Result<BTreeMap<&'static str, f64>> {
    let text =
        std::fs::read_to_string(rollouts).with_context(|| format!("{}: cannot read", rollouts.display()))?;
    let mut sums: BTreeMap<&'static str, f64> = NAMES.iter().map(|name| (*name, 0.0)).collect();
    let mut trajectories = 0;
    for line in text.lines() {
        let group: Group = serde_json::from_str(line).with_context(|| rollouts.display().to_string())?;
        trajectories += group.trajectories.len();
        for (name, value) in of_group(&group) {
            *sums.get_mut(name).expect("one of NAMES") += value;
        }
    }
    Ok(sums.into_iter().map(|(name, sum)| (name, sum / f64::from(trajectories.max(1) as u32))).collect())
}

const NAMES: [&str; 22] = [
    "turns_of_right",
    "turns_all_right",
    "violations_all_wrong",
    "turns_all_wrong",
    "weight",
    "weight_all_right",
    "weight_all_wrong",
    "brevity_all_right",
    "brevity",
    "first_turn_no_call",
    "first_call_failed",
    "first_call_idle",
    "credit_right_1",
    "credit_right_2",
    "credit_right_3",
    "credit_right_4",
    "credit_right_5",
    "credit_wrong_1",
    "credit_wrong_2",
    "credit_wrong_3",
    "credit_wrong_4",
    "credit_wrong_5",
];

/// Returns the key for the credit of a turn, from 0, by whether its trajectory is right.
fn credit_name(correct: bool, turn: usize) -> &'static str {
    NAMES[if correct { 12 } else { 17 } + turn.min(4)]
}

fn of_group(group: &Group) -> Vec<(&'static str, f64)> {
    let all = &group.trajectories;
    let mut sums = Vec::new();
    let right = all.iter().filter(|trajectory| trajectory.correct).count();
    let (all_right, all_wrong) = (right == all.len(), right == 0);
    let mean_turns = all.iter().map(|t| t.turns.len() as f64).sum::<f64>() / all.len() as f64;
    for (trajectory, advantages) in all.iter().zip(&group.advantages) {
        let turns = trajectory.turns.len() as f64;
        let tokens: Vec<f64> = trajectory.played.turns.iter().map(|turn| turn.tokens.len() as f64).collect();
        let over_tokens = |value: fn(f64) -> f64| -> f64 {
            advantages.iter().zip(&tokens).map(|(advantage, tokens)| value(*advantage) * tokens).sum()
        };
        let weight = over_tokens(f64::abs);
        let mean_advantage = over_tokens(|a| a) / tokens.iter().sum::<f64>().max(1.0);
        let brevity = mean_advantage * (turns - mean_turns);
        sums.extend([("weight", weight), ("brevity", brevity)]);
        let credit = advantages.iter().zip(&tokens).map(|(advantage, tokens)| advantage * tokens);
        sums.extend(credit.enumerate().map(|(j, credit)| (credit_name(trajectory.correct, j), credit)));
        if trajectory.correct {
            sums.push(("turns_of_right", turns));
        }
        if all_right {
            sums.extend([("turns_all_right", turns), ("weight_all_right", weight)]);
            sums.push(("brevity_all_right", brevity));
        }
        if all_wrong {
            let violates = |(j, turn): &(usize, &Reward)| {
                trajectory.violations.get(*j).copied().unwrap_or(turn.fmt < 0.0)
            };
            let violations = trajectory.turns.iter().enumerate().filter(violates).count();
            sums.extend([("turns_all_wrong", turns), ("weight_all_wrong", weight)]);
            sums.push(("violations_all_wrong", violations as f64));
        }
        sums.extend(beginning(&trajectory.played).map(|name| (name, 1.0)));
    }
    sums
}

/// Returns the flaw of the first turn, if it has one.
fn beginning(played: &Played) -> Option<&'static str> {
    let Some(call) = played.turns.first().and_then(|turn| turn.calls.first()) else {
        return Some("first_turn_no_call");
    };
    let ran = &call["executed"];
    if ran["output"]["status"] != "ok" {
        return Some("first_call_failed");
    }
    let code = ran["call"]["arguments"]["code"].as_str()?;
    (!code.contains(['+', '-', '*', '/', '%'])).then_some("first_call_idle")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trajectory(correct: bool, formats: &[f64], first_call: &str) -> String {
        let rewards: Vec<String> =
            formats.iter().map(|fmt| format!(r#"{{"acc":0.0,"fmt":{fmt:.1}}}"#)).collect();
        let turns: Vec<String> = (0..formats.len())
            .map(|j| {
                format!(r#"{{"tokens":[1,2],"calls":[{}],"text":""}}"#, if j == 0 { first_call } else { "" })
            })
            .collect();
        let (rewards, turns) = (rewards.join(","), turns.join(","));
        format!(r#"{{"correct":{correct},"turns":[{rewards}],"played":{{"turns":[{turns}]}}}}"#)
    }

    fn group(trajectories: &[String], advantages: &str) -> String {
        format!(r#"{{"trajectories":[{}],"advantages":{advantages}}}"#, trajectories.join(","))
    }

    fn ran(code: &str, status: &str) -> String {
        format!(
            r#"{{"executed":{{"call":{{"arguments":{{"code":"{code}"}}}},"output":{{"status":"{status}"}}}}}}"#
        )
    }

    #[test]
    fn sums_are_told_apart_by_what_the_group_came_to() {
        let right = group(
            &[trajectory(true, &[0.0], &ran("print(5)", "ok")), trajectory(true, &[0.0; 3], "")],
            "[[1.0],[-1.0,0.0,0.5]]",
        );
        let wrong = group(
            &[
                trajectory(false, &[-0.1, 0.0], &ran("1+1", "error")),
                trajectory(false, &[0.0, 0.0], &ran("1+1", "ok")),
            ],
            "[[-2.0,0.0],[0.0,0.0]]",
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("step_00000.jsonl");
        std::fs::write(&file, format!("{right}\n{wrong}\n")).unwrap();
        let found = of_update(&file).unwrap();
        let by_hand = [
            ("turns_of_right", 4.0),
            ("turns_all_right", 4.0),
            ("violations_all_wrong", 1.0),
            ("turns_all_wrong", 4.0),
            ("weight", 2.0 + 3.0 + 4.0),
            ("weight_all_right", 5.0),
            ("weight_all_wrong", 4.0),
            // The mean of the group is two turns: 1 · (1 − 2) + (−1/6) · (3 − 2).
            ("brevity_all_right", -7.0 / 6.0),
            ("brevity", -7.0 / 6.0),
            ("first_turn_no_call", 1.0),
            ("first_call_failed", 1.0),
            ("first_call_idle", 1.0),
            ("credit_right_1", 2.0 - 2.0),
            ("credit_right_3", 1.0),
            ("credit_wrong_1", -4.0),
        ];
        let others = found.keys().filter(|name| !by_hand.iter().any(|(known, _)| known == *name));
        assert!(others.map(|name| found[name]).all(|sum| sum == 0.0));
        for (name, sum) in by_hand {
            assert!((found[name] - sum / 4.0).abs() < 1e-12, "{name}: {} and {}", found[name], sum / 4.0);
        }
    }
}
