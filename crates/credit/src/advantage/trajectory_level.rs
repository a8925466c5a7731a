//! The shape shared by estimators that give all turns of a trajectory the same advantage.

use super::Credit;
use crate::episode::Episode;

/// Returns credit from one reward per trajectory. `advantages` maps the rewards of a group to its advantages,
/// and both are copied to every turn. Each trajectory counts once, however many turns it has.
pub(super) fn trajectory_level<'a>(
    groups: &[Vec<Episode<'a>>],
    reward: impl Fn(&Episode<'a>) -> f64,
    advantages: impl Fn(&[f64]) -> Vec<f64>,
) -> Vec<Credit> {
    groups
        .iter()
        .map(|group| {
            let rewards: Vec<f64> = group.iter().map(&reward).collect();
            copied(group, &rewards, &advantages(&rewards))
        })
        .collect()
}

/// Copies one reward and one advantage per trajectory to its turns.
pub(super) fn copied(group: &[Episode], rewards: &[f64], advantages: &[f64]) -> Credit {
    let copy = |values: &[f64]| group.iter().zip(values).map(|(e, v)| e.copied(*v)).collect();
    Credit { returns: copy(rewards), advantages: copy(advantages) }
}
