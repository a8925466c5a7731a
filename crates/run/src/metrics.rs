//! A line of `metrics.jsonl`. `trainer/record.rs` computes it, and `trainer/training_loop.rs` appends it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::metric::{Metric, is_zero};
use crate::reward_metrics::RewardMetrics;
use crate::task_choice::{CurriculumMetrics, RefillMetrics};
use crate::turn_metrics::TurnMetrics;

/// Holds the numbers of a step: the same for two runs of the same seed on a CPU backend.
///
/// Shares are between 0 and 1. Means are over the step's trajectories unless the field says otherwise. Fields
/// stand in the order of the keys in the file. A step with nothing to train on lacks the numbers of updates.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StepMetrics {
    /// The step, counted from 0.
    pub step: usize,
    /// Share of trajectories whose final answer is right.
    pub accuracy: Metric,
    /// Reward of a trajectory, before shaping and normalisation.
    pub reward: Metric,
    /// Rewards by name and turn index, where there are names besides `acc` and `fmt`, or grades.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rewards: BTreeMap<String, RewardMetrics>,
    /// Turns of a trajectory.
    pub turns: Metric,
    /// Tokens of a trajectory, prompt and observations included.
    pub tokens: Metric,
    /// Tokens of a trajectory that the policy sampled.
    pub sampled_tokens: Metric,
    /// Share of valid calls whose execution went well.
    pub tool_success: Metric,
    /// Share of turns that broke the format.
    pub violations: Metric,
    /// Share of trajectories that a limit ended.
    pub truncated: Metric,
    /// Share of trajectories whose first call told the policy nothing.
    pub dummy_first_call: Metric,
    /// Share of groups whose trajectories are all right.
    pub groups_all_right: Metric,
    /// Share of groups whose trajectories are all wrong.
    pub groups_all_wrong: Metric,
    /// Groups that were played and replaced, in runs with `rollout.refill`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refill: Option<RefillMetrics>,
    /// All tasks by recent success, in runs with `rollout.curriculum = "success"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curriculum: Option<CurriculumMetrics>,
    /// Share of trajectories that filters took out of the loss.
    pub dropped: Metric,
    /// How many trajectories each filter took out of the loss.
    pub dropped_by: DroppedBy,
    /// Share of agents' calls whose prompt keeps the tokens that were sampled before, where it repeats them.
    #[serde(skip_serializing_if = "Metric::is_absent")]
    pub prefix_kept: Metric,
    /// Sequences of agents' trajectories.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequences: Option<SequenceMetrics>,
    /// Calls that hit a limit of time.
    pub tool_timeouts: usize,
    /// Calls that hit the limit of memory.
    pub tool_out_of_memory: usize,
    /// Calls that a signal ended.
    pub tool_killed: usize,
    /// Faults of the executor, including those that a retry made good. They are not the model's.
    pub executor_faults: u64,
    /// Trajectories that were lost to errors of turnwise or of a service that the run depends on.
    pub rollouts_lost: usize,
    /// Faults of environments. Those that a second play made good count too.
    #[serde(skip_serializing_if = "is_zero")]
    pub env_faults: u64,
    /// Mean of `-log p` over sampled tokens, in nats: an estimate of the policy's entropy.
    pub entropy: Metric,
    /// Loss, a mean over updates.
    #[serde(skip_serializing_if = "Metric::is_absent")]
    pub loss: Metric,
    /// Load-balancing loss of the experts, a mean over sequences, without its coefficient, in runs with one.
    #[serde(skip_serializing_if = "Metric::is_absent")]
    pub router_aux_loss: Metric,
    /// Importance ratio, a weighted mean over tokens.
    #[serde(skip_serializing_if = "Metric::is_absent")]
    pub ratio: Metric,
    /// Share of tokens whose surrogate was clipped.
    #[serde(skip_serializing_if = "Metric::is_absent")]
    pub clipped: Metric,
    /// KL between the policies before and after, in nats per token.
    #[serde(skip_serializing_if = "Metric::is_absent")]
    pub old_kl: Metric,
    /// KL to the reference, in nats per token; 0 without one.
    #[serde(skip_serializing_if = "Metric::is_absent")]
    pub ref_kl: Metric,
    /// Importance weight of stale rollouts, bounded, a weighted mean over tokens, in runs that weigh them.
    #[serde(skip_serializing_if = "Metric::is_absent")]
    pub tis_weight: Metric,
    /// Share of tokens whose importance weight was bounded or masked.
    #[serde(skip_serializing_if = "Metric::is_absent")]
    pub tis_cut: Metric,
    /// Credit, calls, entropy and loss by turn index, first turn first.
    pub by_turn: Vec<TurnMetrics>,
    /// Largest difference between sampler's and trainer's log-probabilities before the first update, in nats.
    #[serde(skip_serializing_if = "Metric::is_absent")]
    pub logprob_gap: Metric,
    /// Global norm of the gradient before clipping, a mean over updates.
    #[serde(skip_serializing_if = "Metric::is_absent")]
    pub grad_norm: Metric,
    /// Global norm of the weights after the last update.
    #[serde(skip_serializing_if = "Metric::is_absent")]
    pub weight_norm: Metric,
    /// Learning rate of the last update.
    #[serde(skip_serializing_if = "Metric::is_absent")]
    pub lr: Metric,
    /// Optimizer updates.
    pub updates: usize,
    /// Guards that fire at this step, by their keys in `[guards]`.
    pub guards: Vec<String>,
    /// Held-out accuracy after the step, if it was measured.
    #[serde(skip_serializing_if = "Metric::is_absent")]
    pub held_out_accuracy: Metric,
}

/// Counts the sequences of the trajectories of agents. A call whose prompt doesn't continue an earlier one
/// begins a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SequenceMetrics {
    /// All sequences.
    pub count: usize,
    /// Calls whose prompt holds an answer that was changed since it was sampled.
    pub diverged: usize,
    /// Sequences that `filter.diverged` took out of the loss.
    pub masked_diverged: usize,
    /// Sequences that `filter.truncated` took out of the loss, without their trajectory.
    pub masked_cut: usize,
}

/// Counts the trajectories that left the loss, by filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DroppedBy {
    /// All trajectories of a group had the same reward.
    pub zero_variance: usize,
    /// A limit ended the trajectory.
    pub truncated: usize,
    /// Some turn held neither a complete call nor an answer.
    pub void_turn: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two steps of a real run, from its `metrics.jsonl`.
    const RECORDED: &str = include_str!("metrics.jsonl");

    #[test]
    fn a_recorded_line_is_read_and_written_to_the_byte() {
        for line in RECORDED.lines() {
            let metrics: StepMetrics = serde_json::from_str(line).unwrap();
            assert_eq!(serde_json::to_string(&metrics).unwrap(), line);
        }
    }

    #[test]
    fn a_step_without_an_update_has_no_key_that_speaks_of_one() {
        let mut metrics: StepMetrics = serde_json::from_str(RECORDED.lines().next().unwrap()).unwrap();
        let m = &mut metrics;
        let of_losses = [&mut m.loss, &mut m.ratio, &mut m.clipped, &mut m.old_kl, &mut m.ref_kl];
        let of_updates = [&mut m.logprob_gap, &mut m.grad_norm, &mut m.weight_norm, &mut m.lr];
        of_losses.into_iter().chain(of_updates).for_each(|metric| *metric = Metric::default());
        (metrics.updates, metrics.by_turn) = (0, Vec::new());
        let line = serde_json::to_string(&metrics).unwrap();
        assert!(line.ends_with(r#","by_turn":[],"updates":0,"guards":[]}"#), "{line}");
        assert_eq!(serde_json::from_str::<StepMetrics>(&line).unwrap(), metrics);
    }

    #[test]
    fn rewards_stand_by_name_where_there_are_some() {
        let line = r#"{"step":0,"reward":0.5,"rewards":{"progress":{"mean":0.5,"by_turn":[0.25,0.0]}}}"#;
        let metrics: StepMetrics = serde_json::from_str(line).unwrap();
        let progress = &metrics.rewards["progress"];
        assert_eq!((progress.mean.value(), progress.by_turn[0].value()), (Some(0.5), Some(0.25)));
        let written = serde_json::to_string(&metrics).unwrap();
        assert!(written.contains(&line[line.find(r#""rewards""#).unwrap()..line.len() - 1]), "{written}");
        assert!(!serde_json::to_string(&StepMetrics::default()).unwrap().contains("rewards"));
    }

    #[test]
    fn faults_of_environments_are_written_where_there_are_some() {
        let line = |env_faults| serde_json::to_string(&StepMetrics { env_faults, ..StepMetrics::default() });
        assert!(line(2).unwrap().contains(r#""rollouts_lost":0,"env_faults":2,"entropy""#));
        assert!(!line(0).unwrap().contains("env_faults"));
    }

    #[test]
    fn a_broken_number_is_null_and_a_record_of_another_version_is_read() {
        let broken = StepMetrics { loss: f64::NAN.into(), ..StepMetrics::default() };
        let line = serde_json::to_string(&broken).unwrap();
        assert!(line.contains(r#""loss":null"#), "{line}");
        let read: StepMetrics = serde_json::from_str(&line).unwrap();
        assert!(read.loss.is_broken() && read.grad_norm.is_absent());
        let turn = r#"{"loss":{"ratio":1.5,"entropy":2}}"#;
        let other = format!(r#"{{"step":3,"accuracy":0.5,"dropped_truncated":1,"by_turn":[{turn}]}}"#);
        let read: StepMetrics = serde_json::from_str(&other).unwrap();
        assert_eq!((read.step, read.accuracy.value(), read.reward.value()), (3, Some(0.5), None));
        assert_eq!(read.by_turn[0].loss.unwrap().ratio.value(), Some(1.5));
    }
}
