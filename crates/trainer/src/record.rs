//! The record of a step: one line of metrics, and one line per group of rollouts.

use std::collections::BTreeMap;
use std::time::Duration;

use turnwise_credit::{
    Dropped, FilterConfig, Group, Masked, NamedReward, RewardWeights, ScoredGroup, calls_by_turn,
    credit_by_turn, entropy_by_turn, is_dummy_first_call, is_graded, outcome_shares, rewards_by_name,
};
use turnwise_curriculum::Shares;
use turnwise_loss::LossSums;
use turnwise_rollout::Played;
use turnwise_run::{
    DroppedBy, GroupRecord, Metric, RewardMetrics, SequenceMetrics, StepMetrics, StepTimes, TurnLoss,
    TurnMetrics,
};
use turnwise_trajectory::{CallRecord, OutputStatus, Rewards, Trajectory};

use crate::learn::learner::PolicyStats;
use crate::learn::optimizer::Update;
use crate::play::evaluate::Tally;
use crate::play::lost_rollouts::reasons;
use crate::step_rollouts::scored_record;
use crate::task_choice::{curriculum, refill};
use crate::watch::phase::Spent;

/// Holds the time and memory of a step's phases.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    pub(crate) rollout: Spent,
    pub(crate) score: Duration,
    /// Training. Its peak of memory covers scoring too.
    pub(crate) train: Spent,
    /// The part of training that other ranks took; none without them.
    pub(crate) exchange: Option<Duration>,
}

/// Holds a finished step.
pub struct StepRecord {
    pub(crate) step: usize,
    pub(crate) levels: Vec<u32>,
    pub(crate) answers: Vec<String>,
    pub(crate) indices: Vec<Option<usize>>,
    pub(crate) played: Played,
    pub(crate) groups: Vec<Group>,
    /// Groups that others replaced.
    pub(crate) replaced: Vec<GroupRecord>,
    /// Whether the run replaces groups without signal.
    pub(crate) refills: bool,
    /// Recent attempts at all tasks, for a curriculum that reads them.
    pub(crate) shares: Option<Shares>,
    /// Weights of the rewards by name.
    pub(crate) reward_weights: RewardWeights,
    /// The filter of sequences, in runs whose trajectories may have several.
    pub(crate) filter: Option<FilterConfig>,
    pub(crate) scored: Vec<ScoredGroup>,
    pub(crate) learned: Vec<(PolicyStats, Update)>,
    /// `logp - rollout_logp` of sampled tokens by trajectory and turn, group after group; empty where it
    /// wasn't trained on.
    pub(crate) log_ratios: Vec<Vec<Vec<f32>>>,
    pub(crate) times: Times,
}

impl StepRecord {
    /// Returns one JSON line per group.
    pub fn rollout_lines(&self) -> Vec<String> {
        let groups = self.groups.iter().zip(&self.played.groups).zip(self.scored.iter().zip(&self.levels));
        let mut log_ratios = self.log_ratios.iter();
        groups
            .zip(&self.answers)
            .enumerate()
            .map(|(place, (((group, played), (scored, &level)), expected))| {
                let mut record = GroupRecord {
                    step: self.step,
                    level,
                    index: self.indices.get(place).copied().flatten(),
                    expected: Some(expected.clone()),
                    ..scored_record(group, played, scored)
                };
                for trajectory in &mut record.trajectories {
                    let values = log_ratios.next();
                    trajectory.log_ratios = values.and_then(|values| by_turn(&trajectory.played, values));
                }
                line(&record)
            })
            .collect()
    }

    /// Returns one JSON line per group that another one replaced.
    pub fn replaced_lines(&self) -> Vec<String> {
        self.replaced.iter().map(line).collect()
    }

    /// Returns the step's line of `times.jsonl`.
    pub fn times(&self) -> StepTimes {
        let calls = self.played.groups.iter().flatten().flat_map(|t| &t.turns).flat_map(|turn| &turn.calls);
        let calls = calls.filter_map(|call| match call {
            CallRecord::Executed { output, .. } => Some(output.wall_ms),
            CallRecord::Malformed(_) => None,
        });
        let executor = &self.played.executor;
        StepTimes {
            step: self.step,
            time_rollout: self.times.rollout.wall.as_secs_f64(),
            time_score: self.times.score.as_secs_f64(),
            time_train: self.times.train.wall.as_secs_f64(),
            time_exchange: self.times.exchange.map(|exchange| exchange.as_secs_f64()),
            cpu_rollout: self.times.rollout.cpu.map(|cpu| cpu.as_secs_f64()),
            cpu_train: self.times.train.cpu.map(|cpu| cpu.as_secs_f64()),
            peak_rollout: self.times.rollout.peak,
            peak_train: self.times.train.peak,
            tool_executions: executor.executions,
            tool_remembered: executor.remembered,
            time_tool_cpu: executor.cpu_ms / 1e3,
            time_tool_p50: executor.wall_ms_p50 / 1e3,
            time_tool_p99: executor.wall_ms_p99 / 1e3,
            time_tool_queue_p50: executor.queue_ms_p50 / 1e3,
            time_tool_queue_p99: executor.queue_ms_p99 / 1e3,
            call_wall_ms: calls.collect(),
        }
    }

    /// Returns the step's line of `metrics.jsonl`, without guards and held-out accuracy.
    pub fn metrics(&self) -> StepMetrics {
        let (stats, updates): (Vec<PolicyStats>, Vec<Update>) = self.learned.iter().cloned().unzip();
        let metrics = StepMetrics { by_turn: self.by_turn(&stats), ..self.rollout_metrics() };
        let (Some(first), Some(last)) = (stats.first(), updates.last()) else { return metrics };
        let n = stats.len() as f64;
        let mean = |value: &dyn Fn(&PolicyStats) -> f64| stats.iter().map(value).sum::<f64>() / n;
        let balanced: Option<f64> = stats.iter().map(|s| s.balance).sum();
        // A weight is above 0 or was cut to 0, if tokens are weighed.
        let weighed = stats.iter().map(PolicyStats::means).any(|m| m.tis_weight != 0.0 || m.tis_cut != 0.0);
        let of_weights = |value: &dyn Fn(&PolicyStats) -> f64| {
            if weighed { mean(value).into() } else { Metric::default() }
        };
        StepMetrics {
            loss: mean(&|s| s.loss).into(),
            router_aux_loss: balanced.map_or(Metric::default(), |sum| (sum / n).into()),
            ratio: mean(&|s| s.means().ratio).into(),
            clipped: mean(&|s| s.means().clipped).into(),
            old_kl: mean(&|s| s.means().old_kl).into(),
            ref_kl: mean(&|s| s.means().ref_kl).into(),
            tis_weight: of_weights(&|s| s.means().tis_weight),
            tis_cut: of_weights(&|s| s.means().tis_cut),
            logprob_gap: first.logprob_gap.into(),
            grad_norm: (updates.iter().map(|u| u.grad_norm).sum::<f64>() / n).into(),
            weight_norm: last.weight_norm.into(),
            lr: last.lr.into(),
            updates: updates.len(),
            ..metrics
        }
    }

    /// Summarises the step in a line.
    pub fn sentence(&self, steps: usize) -> String {
        let m = self.metrics();
        let shown = |metric: Metric| metric.value().unwrap_or_default();
        let seconds = (self.times.rollout.wall + self.times.score + self.times.train.wall).as_secs_f64();
        let update = if self.learned.is_empty() {
            "no update".into()
        } else {
            format!("loss {:.4}, |grad| {:.2}", shown(m.loss), shown(m.grad_norm))
        };
        let update = match self.replaced.len() {
            0 => update,
            replaced => format!("replaced {replaced}, {update}"),
        };
        // Trajectories of agents may have several.
        let update = match m.sequences {
            None => update,
            Some(counts) => {
                let kept = 100.0 * shown(m.prefix_kept);
                format!("sequences {}, prefix kept {kept:.1} %, {update}", counts.count)
            }
        };
        format!(
            "step {}/{steps}: right {:.1} %, reward {:.3}, violations {:.1} %, turns {:.2}, {update}, {seconds:.1} s",
            self.step + 1,
            100.0 * shown(m.accuracy),
            shown(m.reward),
            100.0 * shown(m.violations),
            shown(m.turns),
        )
    }

    /// Returns lines about lost rollouts: their number, and each reason with its number.
    pub(crate) fn lost_lines(&self) -> Vec<String> {
        let lines = reasons(&self.played.lost).into_iter();
        lines.map(|line| format!("step {}: {line}", self.step + 1)).collect()
    }

    /// Returns credit, tool status, entropy and the statistics of the updates by turn index. The entropy is
    /// estimated from the sampled tokens, because most losses don't compute it.
    fn by_turn(&self, stats: &[PolicyStats]) -> Vec<TurnMetrics> {
        let credit = credit_by_turn(&self.scored);
        let played = || self.played.groups.iter().flatten();
        let (calls, entropy) = (calls_by_turn(played()), entropy_by_turn(played()));
        let mut loss = vec![LossSums::default(); credit.len()];
        for update in stats {
            for (sums, &part) in loss.iter_mut().zip(&update.by_turn) {
                *sums += part;
            }
        }
        let turn = |j: usize| TurnMetrics {
            credit: credit[j].into(),
            calls: calls[j],
            entropy: entropy[j].into(),
            loss: trained(loss[j]),
        };
        (0..credit.len()).map(turn).collect()
    }

    /// Returns the rewards by name; none where they say no more than `accuracy` and `violations`.
    fn rewards(&self) -> BTreeMap<String, RewardMetrics> {
        let found = rewards_by_name(&self.groups);
        let mut trajectories = self.groups.iter().flat_map(|group| &group.trajectories);
        let ours = |name: &String| [Rewards::ACC, Rewards::FMT].contains(&name.as_str());
        if found.keys().all(ours) && !trajectories.any(|trajectory| is_graded(&trajectory.turns)) {
            return BTreeMap::new();
        }
        let metrics = |(name, reward): (String, NamedReward)| {
            let by_turn = reward.by_turn.into_iter().map(Metric::from).collect();
            (name, RewardMetrics { mean: reward.mean.into(), by_turn })
        };
        found.into_iter().map(metrics).collect()
    }

    /// Returns the share of calls whose prompts keep what was sampled, and counts the sequences.
    fn sequences(&self, filter: FilterConfig) -> (f64, SequenceMetrics) {
        let mut counts = SequenceMetrics::default();
        let mut calls = 0;
        for (played, scored) in self.played.groups.iter().zip(&self.scored) {
            for (trajectory, dropped) in played.iter().zip(&scored.dropped) {
                calls += trajectory.turns.len();
                let branches = trajectory.turns.iter().filter_map(|turn| turn.branch.as_ref());
                counts.diverged += branches.filter(|branch| branch.diverged).count();
                for sequence in trajectory.sequences() {
                    counts.count += 1;
                    match filter.masks(trajectory, &sequence).filter(|_| dropped.is_none()) {
                        Some(Masked::Cut) => counts.masked_cut += 1,
                        Some(Masked::Diverged) => counts.masked_diverged += 1,
                        None => {}
                    }
                }
            }
        }
        let kept = calls - counts.diverged;
        (if calls == 0 { 1.0 } else { kept as f64 / calls as f64 }, counts)
    }

    /// Returns the metrics that rollouts determine, without those of learning.
    fn rollout_metrics(&self) -> StepMetrics {
        let mut tally = Tally::default();
        let (mut tokens, mut sampled, mut logprobs, mut rewards) = (0_usize, 0_usize, 0.0_f64, 0.0);
        let (mut truncated, mut dummy_first) = (0_u32, 0_u32);
        for ((group, played), &level) in self.groups.iter().zip(&self.played.groups).zip(&self.levels) {
            for (scored, played) in group.trajectories.iter().zip(played) {
                tally.add(level, played, scored);
                tokens += played.len();
                sampled += played.turns.iter().map(|turn| turn.tokens.len()).sum::<usize>();
                logprobs += played.turns.iter().flat_map(|t| &t.logprobs).map(|&l| f64::from(l)).sum::<f64>();
                truncated += u32::from(played.stop.is_truncated());
                dummy_first += u32::from(is_dummy_first_call(played));
                rewards += scored.turns.iter().map(|turn| self.reward_weights.sum(turn)).sum::<f64>();
            }
        }
        let sequences = self.filter.map(|filter| self.sequences(filter));
        let summary = tally.evaluation();
        let n = summary.trajectories.max(1) as f64;
        let groups = outcome_shares(&self.groups);
        let dropped: Vec<Dropped> =
            self.scored.iter().flat_map(|group| group.dropped.iter().flatten().copied()).collect();
        let dropped_by = |filter: Dropped| dropped.iter().filter(|dropped| **dropped == filter).count();
        let turns = self.played.groups.iter().flatten().flat_map(|trajectory| &trajectory.turns);
        let calls: Vec<&CallRecord> = turns.flat_map(|turn| &turn.calls).collect();
        let ended = |status: OutputStatus| {
            let so = |call: &&&CallRecord| matches!(call, CallRecord::Executed { output, .. } if output.status == status);
            calls.iter().filter(so).count()
        };
        StepMetrics {
            step: self.step,
            accuracy: summary.accuracy.into(),
            reward: (rewards / n).into(),
            rewards: self.rewards(),
            turns: summary.turns.into(),
            tokens: (tokens as f64 / n).into(),
            sampled_tokens: (sampled as f64 / n).into(),
            tool_success: summary.tool_success.into(),
            violations: summary.violations.into(),
            truncated: (f64::from(truncated) / n).into(),
            dummy_first_call: (f64::from(dummy_first) / n).into(),
            groups_all_right: groups.all_right.into(),
            groups_all_wrong: groups.all_wrong.into(),
            refill: self.refills.then(|| refill(&self.replaced, &self.groups, &self.scored)),
            curriculum: self.shares.map(curriculum),
            dropped: (dropped.len() as f64 / n).into(),
            dropped_by: DroppedBy {
                zero_variance: dropped_by(Dropped::ZeroVariance),
                truncated: dropped_by(Dropped::Truncated),
                void_turn: dropped_by(Dropped::VoidTurn),
            },
            prefix_kept: sequences.map_or(Metric::default(), |(kept, _)| kept.into()),
            sequences: sequences.map(|(_, counts)| counts),
            tool_timeouts: ended(OutputStatus::Timeout),
            tool_out_of_memory: ended(OutputStatus::OutOfMemory),
            tool_killed: ended(OutputStatus::Killed),
            // A fault costs nothing if the retry succeeds. Otherwise it costs its rollout, as does a turn
            // that the policy gave up, a conversation that can't be rendered or an answer that can't be
            // judged.
            executor_faults: self.played.executor.faults,
            rollouts_lost: self.played.lost.len(),
            env_faults: self.played.env_faults,
            entropy: (if sampled == 0 { 0.0 } else { -logprobs / sampled as f64 }).into(),
            ..StepMetrics::default()
        }
    }
}

/// Spells a record as a line.
fn line(record: &GroupRecord) -> String {
    serde_json::to_string(record).expect("a record holds no map with odd keys and no NaN")
}

/// Rounds values of sampled tokens. None if there are none or if one isn't finite, which JSON can't hold.
fn by_turn(played: &Trajectory, values: &[Vec<f32>]) -> Option<Vec<Vec<f64>>> {
    let mut all = values.iter().flatten().peekable();
    if all.peek().is_none() || !all.all(|value| value.is_finite()) {
        return None;
    }
    let rounded = |value: &f32| (f64::from(*value) * 1e5).round() / 1e5;
    let mut turns: Vec<Vec<f64>> = values.iter().map(|turn| turn.iter().map(rounded).collect()).collect();
    // Turns after the last one with a trained token.
    turns.resize(played.turns.len(), Vec::new());
    Some(turns)
}

/// Returns the loss statistics of a turn as means; none if no token of it was trained on.
fn trained(sums: LossSums) -> Option<TurnLoss> {
    let LossSums { weight, ratio, clipped, old_kl, ref_kl, .. } = sums.means();
    (weight != 0.0).then(|| TurnLoss {
        ratio: ratio.into(),
        clipped: clipped.into(),
        old_kl: old_kl.into(),
        ref_kl: ref_kl.into(),
    })
}
