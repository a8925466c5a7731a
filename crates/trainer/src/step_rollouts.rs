//! The rollouts that a step learns from, whatever their source.

use turnwise_credit::{Group, ScoredGroup};
use turnwise_curriculum::Outcome;
use turnwise_rollout::Played;
use turnwise_run::{GroupRecord, TrajectoryRecord};
use turnwise_trajectory::Trajectory;

/// Holds the rollouts of one step, with the turn rewards that they earned when they were played.
#[derive(Debug, Clone, Default)]
pub struct StepRollouts {
    /// Level of each group's task.
    pub levels: Vec<u32>,
    /// Right answer of each group's task; empty where a record lacks it.
    pub answers: Vec<String>,
    /// Number of each group's task in its split, for a draw of tasks that reads outcomes. Missing ones are
    /// unknown.
    pub indices: Vec<Option<usize>>,
    /// Trajectories by group.
    pub played: Played,
    /// Their turn rewards, before shaping.
    pub groups: Vec<Group>,
    /// Groups that others replaced, in the order of their rounds. The step doesn't learn from them.
    pub replaced: Vec<GroupRecord>,
}

impl StepRollouts {
    /// Returns the outcomes of all groups: replaced ones first, then those of the batch.
    pub(crate) fn outcomes(&self) -> Vec<Outcome> {
        let replaced = self.replaced.iter().map(|record| {
            outcome(record.index, record.trajectories.iter().map(|trajectory| trajectory.scored.correct))
        });
        let index = |place: usize| self.indices.get(place).copied().flatten();
        let learnt = self.groups.iter().enumerate().map(|(place, group)| {
            outcome(index(place), group.trajectories.iter().map(|trajectory| trajectory.correct))
        });
        replaced.chain(learnt).collect()
    }
}

/// Counts the right trajectories of a group.
fn outcome(task: Option<usize>, right: impl ExactSizeIterator<Item = bool>) -> Outcome {
    let played = right.len();
    Outcome { task, right: right.filter(|right| *right).count(), played }
}

/// Returns the record of a group with its credit. Step and task are for the caller to add.
pub(crate) fn scored_record(group: &Group, played: &[Trajectory], scored: &ScoredGroup) -> GroupRecord {
    let trajectories = group.trajectories.iter().zip(played).map(|(scored, played)| TrajectoryRecord {
        scored: scored.clone(),
        played: played.clone(),
        log_ratios: None,
    });
    GroupRecord {
        group: group.group.clone(),
        trajectories: trajectories.collect(),
        estimator: scored.estimator.clone(),
        norm_scope: scored.norm_scope.clone(),
        rewards: scored.rewards.clone(),
        returns: scored.returns.clone(),
        advantages: scored.advantages.clone(),
        dropped: scored.dropped.iter().map(|dropped| dropped.map(|d| d.name().to_string())).collect(),
        ..GroupRecord::default()
    }
}

impl From<Vec<GroupRecord>> for StepRollouts {
    fn from(records: Vec<GroupRecord>) -> Self {
        let mut rollouts = Self::default();
        for GroupRecord { group, trajectories, level, index, expected, .. } in records {
            let (scored, played) =
                trajectories.into_iter().map(|trajectory| (trajectory.scored, trajectory.played)).unzip();
            rollouts.levels.push(level);
            rollouts.indices.push(index);
            rollouts.answers.push(expected.unwrap_or_default());
            rollouts.groups.push(Group { group, trajectories: scored });
            rollouts.played.groups.push(played);
        }
        rollouts
    }
}
