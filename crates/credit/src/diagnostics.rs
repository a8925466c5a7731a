//! Statistics of a step by turn index, and shares that warn of collapse. They don't affect training.

use serde::{Deserialize, Serialize};
use turnwise_trajectory::{CallRecord, OutputStatus, Trajectory};

use crate::score::ScoredGroup;
use crate::scored::Group;

/// Holds means over all trajectories of a step at one turn index.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct TurnCredit {
    /// Trajectories that reach this turn.
    pub turns: usize,
    /// Mean reward, shaping included.
    pub reward: f64,
    /// Mean return.
    pub returns: f64,
    /// Mean advantage.
    pub advantage: f64,
    /// Mean absolute advantage: the turn's share in the gradient.
    pub abs_advantage: f64,
}

/// Returns rewards, returns and advantages by turn index, first turn first. Dropped trajectories count.
pub fn credit_by_turn(groups: &[ScoredGroup]) -> Vec<TurnCredit> {
    let mut by_turn: Vec<TurnCredit> = Vec::new();
    let trajectories = groups.iter().flat_map(|g| g.rewards.iter().zip(g.returns.iter().zip(&g.advantages)));
    for (rewards, (returns, advantages)) in trajectories {
        by_turn.resize(by_turn.len().max(rewards.len()), TurnCredit::default());
        for (sums, (reward, (returned, advantage))) in
            by_turn.iter_mut().zip(rewards.iter().zip(returns.iter().zip(advantages)))
        {
            sums.turns += 1;
            sums.reward += reward;
            sums.returns += returned;
            sums.advantage += advantage;
            sums.abs_advantage += advantage.abs();
        }
    }
    for mean in &mut by_turn {
        let n = mean.turns as f64;
        for value in [&mut mean.reward, &mut mean.returns, &mut mean.advantage, &mut mean.abs_advantage] {
            *value /= n;
        }
    }
    by_turn
}

/// Counts how the tool calls of one turn index ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TurnCalls {
    /// Trajectories that reach this turn.
    pub turns: usize,
    /// Calls that could not be parsed or checked.
    pub malformed: usize,
    /// Calls that ran to their end.
    pub ok: usize,
    /// Calls that raised.
    pub error: usize,
    /// Calls that a limit (time, memory) or a signal stopped, and calls that were rejected.
    pub stopped: usize,
}

impl TurnCalls {
    /// Counts the calls that failed: malformed ones, errors and stopped ones.
    pub fn failed(self) -> usize {
        self.malformed + self.error + self.stopped
    }
}

/// Counts tool outcomes by turn index, first turn first.
pub fn calls_by_turn<'a>(trajectories: impl IntoIterator<Item = &'a Trajectory>) -> Vec<TurnCalls> {
    let mut by_turn: Vec<TurnCalls> = Vec::new();
    for trajectory in trajectories {
        by_turn.resize(by_turn.len().max(trajectory.turns.len()), TurnCalls::default());
        for (counts, turn) in by_turn.iter_mut().zip(&trajectory.turns) {
            counts.turns += 1;
            for call in &turn.calls {
                *match call {
                    CallRecord::Malformed(_) => &mut counts.malformed,
                    CallRecord::Executed { output, .. } => match output.status {
                        OutputStatus::Ok => &mut counts.ok,
                        OutputStatus::Error => &mut counts.error,
                        _ => &mut counts.stopped,
                    },
                } += 1;
            }
        }
    }
    by_turn
}

/// Returns the entropy of the policy by turn index, in nats per token, first turn first. It is the mean of
/// `-logp` over sampled tokens, an estimate without another forward pass; 0 for a turn without tokens.
pub fn entropy_by_turn<'a>(trajectories: impl IntoIterator<Item = &'a Trajectory>) -> Vec<f64> {
    let mut sums: Vec<(f64, usize)> = Vec::new();
    for trajectory in trajectories {
        sums.resize(sums.len().max(trajectory.turns.len()), (0.0, 0));
        for ((sum, tokens), turn) in sums.iter_mut().zip(&trajectory.turns) {
            *sum -= turn.logprobs.iter().map(|&logprob| f64::from(logprob)).sum::<f64>();
            *tokens += turn.logprobs.len();
        }
    }
    sums.into_iter().map(|(sum, tokens)| if tokens == 0 { 0.0 } else { sum / tokens as f64 }).collect()
}

/// Returns whether all calls of the first turn ran to their end without output. Such calls satisfy the rule
/// that there must be a call and tell the policy nothing. Rewarding the first call encourages them, so watch
/// their share.
pub fn is_dummy_first_call(trajectory: &Trajectory) -> bool {
    let Some(first) = trajectory.turns.first() else { return false };
    let silent = |call: &CallRecord| match call {
        CallRecord::Malformed(_) => false,
        CallRecord::Executed { output, .. } => {
            output.status == OutputStatus::Ok && output.stdout.trim().is_empty() && output.value.is_none()
        }
    };
    !first.calls.is_empty() && first.calls.iter().all(silent)
}

/// Holds the shares of groups that teach GRPO nothing.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct OutcomeShares {
    /// Groups whose trajectories are all right.
    pub all_right: f64,
    /// Groups whose trajectories are all wrong.
    pub all_wrong: f64,
}

/// Returns the shares of all-right and all-wrong groups, among those with a trajectory.
pub fn outcome_shares(groups: &[Group]) -> OutcomeShares {
    let held: Vec<&Group> = groups.iter().filter(|g| !g.trajectories.is_empty()).collect();
    let share = |correct: bool| {
        let uniform = |g: &&&Group| g.trajectories.iter().all(|t| t.correct == correct);
        held.iter().filter(uniform).count() as f64 / held.len().max(1) as f64
    };
    OutcomeShares { all_right: share(true), all_wrong: share(false) }
}

#[cfg(test)]
mod tests {
    use turnwise_trajectory::{Finish, MalformedCall, Stop, ToolCall, ToolOutput, Turn, ViolationKind};

    use super::*;
    use crate::scored::ScoredTrajectory;

    fn executed(status: OutputStatus, stdout: &str) -> CallRecord {
        let (value, error) = (None, None);
        CallRecord::Executed {
            call: ToolCall { name: "python".into(), arguments: serde_json::Map::new(), span: 0..0 },
            output: ToolOutput {
                status,
                stdout: stdout.into(),
                value,
                error,
                truncated: false,
                wall_ms: 0.0,
                cpu_ms: 0.0,
            },
        }
    }

    fn malformed() -> CallRecord {
        let kind = ViolationKind::Empty;
        CallRecord::Malformed(MalformedCall { kind, message: String::new(), span: 0..0 })
    }

    fn trajectory(turns: Vec<Vec<CallRecord>>) -> Trajectory {
        let turn = |calls| Turn {
            tokens: vec![],
            logprobs: vec![],
            text: String::new(),
            finish: Finish::EndOfTurn,
            calls,
            observation: vec![],
            ..Turn::default()
        };
        let turns = turns.into_iter().map(turn).collect();
        Trajectory { task: String::new(), sample: 0, prompt: vec![], turns, stop: Stop::Answer }
    }

    #[test]
    fn means_are_over_the_trajectories_that_reach_the_turn() {
        let group = ScoredGroup {
            group: "g".into(),
            estimator: "gtpo".into(),
            norm_scope: "pooled".into(),
            rewards: vec![vec![0.0, 1.0], vec![-0.1], vec![]],
            returns: vec![vec![0.9, 1.0], vec![-0.1], vec![]],
            advantages: vec![vec![0.5, 1.0], vec![-1.5], vec![]],
            dropped: vec![None; 3],
            shaped: vec![None; 3],
        };
        let by_turn = credit_by_turn(&[group]);
        assert_eq!(by_turn.iter().map(|t| t.turns).collect::<Vec<_>>(), [2, 1]);
        assert!((by_turn[0].returns - 0.4).abs() < 1e-12);
        assert!((by_turn[0].reward + 0.05).abs() < 1e-12);
        assert!((by_turn[0].advantage + 0.5).abs() < 1e-12);
        assert!((by_turn[0].abs_advantage - 1.0).abs() < 1e-12);
        assert_eq!(credit_by_turn(&[]), []);
    }

    #[test]
    fn entropy_is_a_mean_over_the_tokens_of_the_turn() {
        let mut long = trajectory(vec![vec![], vec![], vec![]]);
        long.turns[0].logprobs = vec![-0.5, -1.5];
        long.turns[1].logprobs = vec![-3.0];
        let mut short = trajectory(vec![vec![]]);
        short.turns[0].logprobs = vec![-1.0];
        assert_eq!(entropy_by_turn([&long, &short]), [1.0, 3.0, 0.0]);
        assert_eq!(entropy_by_turn([]), [] as [f64; 0]);
    }

    #[test]
    fn tool_status_is_counted_by_turn() {
        let all = [
            trajectory(vec![vec![executed(OutputStatus::Ok, "1"), malformed()], vec![]]),
            trajectory(vec![vec![executed(OutputStatus::Error, ""), executed(OutputStatus::Timeout, "")]]),
        ];
        let first = TurnCalls { turns: 2, malformed: 1, ok: 1, error: 1, stopped: 1 };
        assert_eq!(calls_by_turn(&all), [first, TurnCalls { turns: 1, ..TurnCalls::default() }]);
    }

    #[test]
    fn a_dummy_call_runs_and_says_nothing() {
        let check = |turns, expect| assert_eq!(is_dummy_first_call(&trajectory(turns)), expect);
        check(vec![vec![executed(OutputStatus::Ok, " \n")], vec![executed(OutputStatus::Ok, "1")]], true);
        check(vec![vec![executed(OutputStatus::Ok, "1")]], false);
        check(vec![vec![executed(OutputStatus::Error, "")]], false);
        check(vec![vec![malformed()]], false);
        check(vec![vec![]], false);
        check(vec![], false);
    }

    #[test]
    fn shares_are_of_groups_that_hold_something() {
        let group = |correct: &[bool]| Group {
            group: "g".into(),
            trajectories: correct
                .iter()
                .map(|&correct| ScoredTrajectory { correct, ..ScoredTrajectory::default() })
                .collect(),
        };
        let groups =
            [group(&[true, true]), group(&[false]), group(&[true, false]), group(&[false]), group(&[])];
        assert_eq!(outcome_shares(&groups), OutcomeShares { all_right: 0.25, all_wrong: 0.5 });
        assert_eq!(outcome_shares(&[]), OutcomeShares::default());
    }
}
