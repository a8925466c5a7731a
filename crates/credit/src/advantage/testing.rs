//! Building blocks of the estimators' tests.

use crate::episode::{Episode, PerTurn};

/// Makes a group from `(acc, fmt)` per turn.
pub(super) fn episodes(group: &[&[(f64, f64)]]) -> Vec<Episode<'static>> {
    group
        .iter()
        .map(|turns| Episode {
            rewards: turns.iter().map(|&(acc, fmt)| acc + fmt).collect(),
            formats: turns.iter().map(|turn| turn.1).collect(),
            violations: turns.iter().map(|turn| turn.1 < 0.0).collect(),
            outcome: turns.iter().map(|t| t.0).sum(),
            right: turns.iter().map(|t| t.0).sum::<f64>() >= 1.0,
            states: &[],
            calls: &[],
        })
        .collect()
}

/// Makes single-turn trajectories with these accuracies.
pub(super) fn single_turns(rewards: &[f64]) -> Vec<Episode<'static>> {
    let turns: Vec<[(f64, f64); 1]> = rewards.iter().map(|&acc| [(acc, 0.0)]).collect();
    episodes(&turns.iter().map(<[_; 1]>::as_slice).collect::<Vec<_>>())
}

/// Checks shapes, and values to the six decimals of the published fixtures.
pub(super) fn assert_per_turn(got: &PerTurn, expect: &[&[f64]]) {
    assert_eq!(got.len(), expect.len(), "trajectories of {got:?}");
    for (i, (got, expect)) in got.iter().zip(expect).enumerate() {
        assert_eq!(got.len(), expect.len(), "turns of trajectory {i}");
        for (j, (g, e)) in got.iter().zip(expect.iter()).enumerate() {
            assert!((g - e).abs() < 1e-6, "trajectory {i} turn {j}: {g} is not {e}");
        }
    }
}
