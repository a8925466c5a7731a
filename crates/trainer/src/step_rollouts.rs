//! The rollouts that a step learns from, whatever their source.

use turnwise_credit::Group;
use turnwise_rollout::Played;
use turnwise_run::GroupRecord;

/// Holds the rollouts of one step, with the turn rewards that they earned when they were played.
#[derive(Debug, Clone)]
pub struct StepRollouts {
    /// Level of each group's task.
    pub levels: Vec<u32>,
    /// Right answer of each group's task; empty where a record lacks it.
    pub answers: Vec<String>,
    /// Trajectories by group.
    pub played: Played,
    /// Their turn rewards, before shaping.
    pub groups: Vec<Group>,
}

impl From<Vec<GroupRecord>> for StepRollouts {
    fn from(records: Vec<GroupRecord>) -> Self {
        let (mut levels, mut answers) = (Vec::new(), Vec::new());
        let (mut groups, mut all) = (Vec::new(), Vec::new());
        for GroupRecord { group, trajectories, level, expected, .. } in records {
            let (scored, played) =
                trajectories.into_iter().map(|trajectory| (trajectory.scored, trajectory.played)).unzip();
            levels.push(level);
            answers.push(expected.unwrap_or_default());
            groups.push(Group { group, trajectories: scored });
            all.push(played);
        }
        let played = Played { groups: all, ..Played::default() };
        Self { levels, answers, played, groups }
    }
}
