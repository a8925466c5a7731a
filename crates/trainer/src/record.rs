//! What a step leaves behind: one line of metrics, and one line per group of rollouts.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};
use turnwise_credit::{
    Dropped, Group, RewardWeights, ScoredGroup, ScoredTrajectory, calls_by_turn, credit_by_turn,
    entropy_by_turn, is_dummy_first_call, outcome_shares,
};
use turnwise_loss::LossSums;
use turnwise_rollout::Played;
use turnwise_trajectory::{CallRecord, OutputStatus, Trajectory};

use crate::learn::learner::PolicyStats;
use crate::learn::optimizer::Update;
use crate::play::evaluate::Tally;
use crate::watch::phase::Spent;

/// What the phases of a step took.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    pub(crate) rollout: Spent,
    pub(crate) score: Duration,
    /// Its peak of memory is that of scoring and training.
    pub(crate) train: Spent,
}

/// A finished step.
pub struct StepRecord {
    pub(crate) step: usize,
    pub(crate) levels: Vec<u32>,
    pub(crate) answers: Vec<String>,
    pub(crate) played: Played,
    pub(crate) groups: Vec<Group>,
    pub(crate) scored: Vec<ScoredGroup>,
    pub(crate) reward_weights: RewardWeights,
    pub(crate) learned: Vec<(PolicyStats, Update)>,
    /// By trajectory, group after group: `logp - rollout_logp` of its sampled tokens; empty if it was not trained on.
    pub(crate) log_ratios: Vec<Vec<f32>>,
    pub(crate) times: Times,
}

/// A group as a line of `rollouts/step_*.jsonl`. `turnwise score` reads it too: the first two keys are its input.
#[derive(Serialize)]
struct GroupLine<'a> {
    group: &'a str,
    trajectories: Vec<TrajectoryLine<'a>>,
    step: usize,
    level: u32,
    /// The right answer, for a reader.
    expected: &'a str,
    estimator: &'a str,
    norm_scope: &'a str,
    rewards: &'a [Vec<f64>],
    returns: &'a [Vec<f64>],
    advantages: &'a [Vec<f64>],
    dropped: Value,
}

#[derive(Serialize)]
struct TrajectoryLine<'a> {
    #[serde(flatten)]
    scored: &'a ScoredTrajectory,
    played: &'a Trajectory,
    /// `[turn][token]`: the trainer's log-probability minus the sampler's, to five places.
    #[serde(skip_serializing_if = "Option::is_none")]
    log_ratios: Option<Vec<Vec<f64>>>,
}

impl StepRecord {
    /// One JSON line per group.
    pub fn rollout_lines(&self) -> Vec<String> {
        let groups = self.groups.iter().zip(&self.played.groups).zip(self.scored.iter().zip(&self.levels));
        let mut log_ratios = self.log_ratios.iter();
        groups
            .zip(&self.answers)
            .map(|(((group, played), (scored, &level)), expected)| {
                let line = GroupLine {
                    group: &group.group,
                    trajectories: group
                        .trajectories
                        .iter()
                        .zip(played)
                        .map(|(scored, played)| TrajectoryLine {
                            scored,
                            played,
                            log_ratios: log_ratios.next().and_then(|values| by_turn(played, values)),
                        })
                        .collect(),
                    step: self.step,
                    level,
                    expected,
                    estimator: &scored.estimator,
                    norm_scope: &scored.norm_scope,
                    rewards: &scored.rewards,
                    returns: &scored.returns,
                    advantages: &scored.advantages,
                    dropped: json!(scored.dropped),
                };
                serde_json::to_string(&line).expect("a record holds no map with odd keys and no NaN")
            })
            .collect()
    }

    /// The step's line of `times.jsonl`: wall and processor time of the phases in seconds and their peak of
    /// memory in bytes, how many calls ran and how many were answered from memory, and wall time of every call in
    /// milliseconds, in the order in which the rollouts hold them. These differ between two runs of the same seed, or
    /// between one that was stopped and one that wasn't: memory ends with the process.
    pub fn times(&self) -> Map<String, Value> {
        let calls = self.played.groups.iter().flatten().flat_map(|t| &t.turns).flat_map(|turn| &turn.calls);
        let calls = calls.filter_map(|call| match call {
            CallRecord::Executed { output, .. } => Some(output.wall_ms),
            CallRecord::Malformed(_) => None,
        });
        let executor = &self.played.executor;
        let value = json!({
            "step": self.step,
            "time_rollout": self.times.rollout.wall.as_secs_f64(),
            "time_score": self.times.score.as_secs_f64(),
            "time_train": self.times.train.wall.as_secs_f64(),
            "cpu_rollout": self.times.rollout.cpu.map(|cpu| cpu.as_secs_f64()),
            "cpu_train": self.times.train.cpu.map(|cpu| cpu.as_secs_f64()),
            "peak_rollout": self.times.rollout.peak,
            "peak_train": self.times.train.peak,
            "tool_executions": executor.executions,
            "tool_remembered": executor.remembered,
            "time_tool_cpu": executor.cpu_ms / 1e3,
            "time_tool_p50": executor.wall_ms_p50 / 1e3,
            "time_tool_p99": executor.wall_ms_p99 / 1e3,
            "time_tool_queue_p50": executor.queue_ms_p50 / 1e3,
            "time_tool_queue_p99": executor.queue_ms_p99 / 1e3,
            "call_wall_ms": calls.collect::<Vec<f64>>(),
        });
        value.as_object().expect("an object").clone()
    }

    /// The step's line of `metrics.jsonl`: the same for two runs of the same seed on a CPU backend. A step
    /// without an update, because nothing was left to train on, has `updates: 0` and none of the keys that
    /// speak of updates.
    pub fn metrics(&self) -> Map<String, Value> {
        let mut metrics = self.rollout_metrics();
        let (stats, updates): (Vec<PolicyStats>, Vec<Update>) = self.learned.iter().cloned().unzip();
        let (Some(first), Some(last)) = (stats.first(), updates.last()) else {
            metrics.insert("by_turn".into(), self.by_turn(&stats).into());
            metrics.insert("updates".into(), 0.into());
            return metrics;
        };
        let n = stats.len() as f64;
        let mean = |value: &dyn Fn(&PolicyStats) -> f64| stats.iter().map(value).sum::<f64>() / n;
        let learned = json!({
            "loss": mean(&|s| s.loss),
            "ratio": mean(&|s| s.means().ratio),
            "clipped": mean(&|s| s.means().clipped),
            "old_kl": mean(&|s| s.means().old_kl),
            "ref_kl": mean(&|s| s.means().ref_kl),
            "by_turn": self.by_turn(&stats),
            "logprob_gap": first.logprob_gap,
            "grad_norm": updates.iter().map(|u| u.grad_norm).sum::<f64>() / n,
            "weight_norm": last.weight_norm,
            "lr": last.lr,
            "updates": updates.len(),
        });
        metrics.extend(learned.as_object().expect("an object").clone());
        metrics
    }

    /// The step in a line.
    pub fn sentence(&self, steps: usize) -> String {
        let m = self.metrics();
        let number = |key: &str| m.get(key).and_then(Value::as_f64).unwrap_or_default();
        let seconds = (self.times.rollout.wall + self.times.score + self.times.train.wall).as_secs_f64();
        let update = if self.learned.is_empty() {
            "no update".into()
        } else {
            format!("loss {:.4}, |grad| {:.2}", number("loss"), number("grad_norm"))
        };
        format!(
            "step {}/{steps}: right {:.1} %, reward {:.3}, violations {:.1} %, turns {:.2}, {update}, {seconds:.1} s",
            self.step + 1,
            100.0 * number("accuracy"),
            number("reward"),
            100.0 * number("violations"),
            number("turns"),
        )
    }

    /// How many rollouts were lost and why the first one was, if any were.
    pub(crate) fn losses(&self) -> Option<String> {
        let lost = &self.played.lost;
        let first = lost.first()?;
        Some(format!("step {}: rollouts lost: {}; the first: {first}", self.step + 1, lost.len()))
    }

    /// Credit, tool status, entropy and what the updates saw, by turn index. The entropy is estimated from the sampled
    /// tokens: most losses don't compute it.
    fn by_turn(&self, stats: &[PolicyStats]) -> Vec<Value> {
        let credit = credit_by_turn(&self.scored);
        let played = || self.played.groups.iter().flatten();
        let (calls, entropy) = (calls_by_turn(played()), entropy_by_turn(played()));
        let mut loss = vec![LossSums::default(); credit.len()];
        for update in stats {
            for (sums, &part) in loss.iter_mut().zip(&update.by_turn) {
                *sums += part;
            }
        }
        let turn = |j: usize| {
            let (credit, calls, entropy, loss) = (&credit[j], &calls[j], entropy[j], trained(loss[j]));
            json!({"credit": credit, "calls": calls, "entropy": entropy, "loss": loss})
        };
        (0..credit.len()).map(turn).collect()
    }

    fn rollout_metrics(&self) -> Map<String, Value> {
        let mut tally = Tally::default();
        let (mut tokens, mut sampled, mut logprobs) = (0_usize, 0_usize, 0.0_f64);
        let (mut truncated, mut dummy_first) = (0, 0);
        let mut rewards = 0.0;
        for ((group, played), &level) in self.groups.iter().zip(&self.played.groups).zip(&self.levels) {
            for (scored, played) in group.trajectories.iter().zip(played) {
                tally.add(level, played, scored);
                tokens += played.len();
                sampled += played.turns.iter().map(|turn| turn.tokens.len()).sum::<usize>();
                logprobs += played.turns.iter().flat_map(|t| &t.logprobs).map(|&l| f64::from(l)).sum::<f64>();
                truncated += usize::from(played.stop.is_truncated());
                dummy_first += usize::from(is_dummy_first_call(played));
                rewards += scored.turns.iter().map(|turn| self.reward_weights.sum(turn)).sum::<f64>();
            }
        }
        let summary = tally.evaluation();
        let n = summary.trajectories.max(1) as f64;
        let groups = outcome_shares(&self.groups);
        let dropped: Vec<Dropped> =
            self.scored.iter().flat_map(|group| group.dropped.iter().flatten().copied()).collect();
        let dropped_by = |filter: Dropped| dropped.iter().filter(|dropped| **dropped == filter).count();
        let executor = &self.played.executor;
        let turns = self.played.groups.iter().flatten().flat_map(|trajectory| &trajectory.turns);
        let calls: Vec<&CallRecord> = turns.flat_map(|turn| &turn.calls).collect();
        let ended = |status: OutputStatus| {
            let so = |call: &&&CallRecord| matches!(call, CallRecord::Executed { output, .. } if output.status == status);
            calls.iter().filter(so).count()
        };
        let value = json!({
            "step": self.step,
            "accuracy": summary.accuracy,
            "reward": rewards / n,
            "turns": summary.turns,
            "tokens": tokens as f64 / n,
            "sampled_tokens": sampled as f64 / n,
            "tool_success": summary.tool_success,
            "violations": summary.violations,
            "truncated": truncated as f64 / n,
            "dummy_first_call": dummy_first as f64 / n,
            "groups_all_right": groups.all_right,
            "groups_all_wrong": groups.all_wrong,
            // The share that is not in the loss, and how many trajectories each filter took out of it.
            "dropped": dropped.len() as f64 / n,
            "dropped_by": {
                "zero_variance": dropped_by(Dropped::ZeroVariance),
                "truncated": dropped_by(Dropped::Truncated),
                "void_turn": dropped_by(Dropped::VoidTurn),
            },
            "tool_timeouts": ended(OutputStatus::Timeout),
            "tool_out_of_memory": ended(OutputStatus::OutOfMemory),
            "tool_killed": ended(OutputStatus::Killed),
            // Ours, not the model's. A fault that the retry made good costs nothing; another one costs its
            // rollout, as does a turn that the policy gave up, a conversation that can't be spelled, an
            // answer that can't be judged.
            "executor_faults": executor.faults,
            "rollouts_lost": self.played.lost.len(),
            // The mean of -log p over sampled tokens estimates the entropy of the policy without another pass.
            "entropy": if sampled == 0 { 0.0 } else { -logprobs / sampled as f64 },
        });
        value.as_object().expect("an object").clone()
    }
}

/// Values of all sampled tokens, cut at turns. None if there are none, or if training broke down and they are no
/// numbers: JSON has no word for that.
fn by_turn(played: &Trajectory, values: &[f32]) -> Option<Vec<Vec<f64>>> {
    if values.is_empty() || !values.iter().all(|value| value.is_finite()) {
        return None;
    }
    let rounded = |value: f32| (f64::from(value) * 1e5).round() / 1e5;
    let mut values = values.iter().map(|&value| rounded(value));
    Some(played.turns.iter().map(|turn| values.by_ref().take(turn.tokens.len()).collect()).collect())
}

/// Means of what the loss saw of a turn; null if nothing of it was trained on.
fn trained(sums: LossSums) -> Value {
    let LossSums { weight, ratio, clipped, old_kl, ref_kl, .. } = sums.means();
    if weight == 0.0 {
        return Value::Null;
    }
    json!({"ratio": ratio, "clipped": clipped, "old_kl": old_kl, "ref_kl": ref_kl})
}
