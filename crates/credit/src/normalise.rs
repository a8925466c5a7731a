//! Normalises the rewards of each name in their group, before they are weighted and summed:
//! `[reward.normalise]` of a run file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use turnwise_trajectory::Rewards;

use crate::moments::{ZScore, finite};
use crate::reward_weights::RewardWeights;

/// Names how the rewards of one name are normalised, before they are weighted and summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalise {
    /// Leaves rewards as they are.
    #[default]
    None,
    /// Takes z-scores in the group: a trajectory's rewards of the name add up to their z-score among the
    /// group's trajectories.
    Group,
    /// Takes z-scores in the group. The weighted sum of all names with `gdpo` is then divided by its σ over
    /// the batch (GDPO, arXiv:2601.05242).
    Gdpo,
}

/// The z-scores of rewards. The numbers are the defaults of the estimators.
const Z: ZScore = ZScore { ddof: 1, eps: 1e-6, std_floor: 0.0 };

/// Normalises rewards, `[group][trajectory][turn]`, in place.
///
/// ```text
/// R_i,n  = Σ_j r_ij,n                                     the reward of trajectory i by name, 0 without it
/// r'_ij,n = (r_ij,n - [j = T_i] · μ_n) / (σ_n + ε)        μ and σ of R_·,n in the group; Σ_j r'_ij,n = z(R_i,n)
/// r''_ij,n = r'_ij,n / (σ_B + ε)                          names with gdpo; σ_B of Σ_n w_n z(R_i,n) in the batch
/// ```
///
/// Turns keep their shares of a reward. The group's mean is charged to the last turn, as an outcome would be:
/// without discount, the return of every turn of a group falls by the same number.
///
/// GDPO (arXiv:2601.05242) is defined on trajectories with one reward of each name. There the sum over names
/// is normalised over the batch, by `(A - mean) / (std + ε)`. The mean is 0 here, since that of every group
/// is, and isn't subtracted. Deviations, ours: the result is a reward and not yet an advantage, shares of
/// turns are kept, ddof is 1, and a name that doesn't differ in its group gives 0.
pub(crate) fn normalise(
    groups: &mut [Vec<Vec<Rewards>>],
    by_name: &BTreeMap<String, Normalise>,
    weights: &RewardWeights,
) {
    for (name, _) in by_name.iter().filter(|(_, how)| **how != Normalise::None) {
        for group in &mut *groups {
            in_group(group, name);
        }
    }
    let of_sum = |how: &Normalise| *how == Normalise::Gdpo;
    let summed: Vec<&str> =
        by_name.iter().filter(|(_, how)| of_sum(how)).map(|(name, _)| name.as_str()).collect();
    let total = |name: &&str, turns: &[Rewards]| weights.of(name) * sum(turns, name);
    let trajectories = groups.iter().flatten();
    let sums: Vec<f64> =
        trajectories.map(|turns| summed.iter().map(|name| total(name, turns)).sum()).collect();
    let (_, scale) = Z.moments(&sums);
    for turn in groups.iter_mut().flatten().flatten() {
        for name in summed.iter().filter(|name| turn.has(name)).copied().collect::<Vec<_>>() {
            turn.set(name, finite(turn.get(name) / scale));
        }
    }
}

/// Normalises the rewards of one name in a group.
fn in_group(group: &mut [Vec<Rewards>], name: &str) {
    let totals: Vec<f64> = group.iter().map(|turns| sum(turns, name)).collect();
    let (mean, scale) = Z.moments(&totals);
    for turns in group {
        let last = turns.len().saturating_sub(1);
        for (j, turn) in turns.iter_mut().enumerate().filter(|(j, turn)| *j == last || turn.has(name)) {
            let baseline = if j == last { mean } else { 0.0 };
            turn.set(name, finite((turn.get(name) - baseline) / scale));
        }
    }
}

/// Returns the reward of a trajectory by name.
fn sum(turns: &[Rewards], name: &str) -> f64 {
    turns.iter().map(|turn| turn.get(name)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AdvantageConfig, FilterConfig, Group, ScoredGroup, Scorer, ShapingConfig};

    /// Two groups with a dense reward, an outcome and a cost in other units.
    const LINES: [&str; 2] = [
        r#"{"group":"a","trajectories":[
            {"turns":[{"progress":0.5,"cost":-40},{"acc":1,"progress":0.25,"cost":-10}]},
            {"turns":[{"progress":0.25,"cost":-30},{"cost":-30},{"acc":0}]},
            {"turns":[{"acc":1,"cost":-70}]}]}"#,
        r#"{"group":"b","trajectories":[
            {"turns":[{"progress":1},{"acc":0}]},
            {"turns":[{"progress":0.5},{"acc":0,"cost":-20}]}]}"#,
    ];

    fn groups() -> Vec<Group> {
        LINES.map(|line| serde_json::from_str(line).expect("a group")).into()
    }

    fn settings(text: &str) -> BTreeMap<String, Normalise> {
        toml::from_str(text).expect("names")
    }

    fn score(groups: &[Group], name: &str, normalise: &str, weights: &str) -> Vec<ScoredGroup> {
        let advantage = AdvantageConfig::named(name).expect("a name");
        let shaping = ShapingConfig { alpha: 0.0, ..ShapingConfig::default() };
        let weights: RewardWeights = toml::from_str(weights).expect("weights");
        let scorer = Scorer::new(advantage, shaping, FilterConfig::default());
        let scorer = scorer.weighing(weights).normalising(settings(normalise));
        scorer.score(groups, 0).expect("offline")
    }

    fn close(found: f64, expect: f64) {
        assert!((found - expect).abs() < 1e-5, "{found} is not {expect}");
    }

    #[test]
    fn the_turns_of_a_name_add_up_to_its_z_score_and_keep_their_shares() {
        let scored = score(&groups(), "gtpo", "progress = \"group\"", "acc = 0\ncost = 0");
        // Totals 0.75, 0.25 and 0: mean 1/3, σ 0.381881.
        let (mean, std) = (1.0 / 3.0, 0.381_881_3);
        let expect: [&[f64]; 3] = [&[0.5, 0.25 - mean], &[0.25, 0.0, -mean], &[-mean]];
        for (found, expect) in scored[0].rewards.iter().zip(expect) {
            assert_eq!(found.len(), expect.len());
            found.iter().zip(expect).for_each(|(found, expect)| close(*found, expect / std));
        }
        close(scored[0].rewards.concat().iter().sum(), 0.0);
    }

    /// With GDPO for every name, an estimator that divides by nothing gives the advantages of the paper.
    #[test]
    fn gdpo_sums_z_scores_of_the_names_and_scales_them_over_the_batch() {
        let gdpo = "acc = \"gdpo\"\nprogress = \"gdpo\"\ncost = \"gdpo\"";
        let (weights, half) = ("progress = 0.5", 0.5_f64.sqrt());
        // z-scores of acc, progress and cost by trajectory, as numpy gives them.
        let z: [&[[f64; 3]]; 2] = [
            &[[0.577_350, 1.091_089, 1.0], [-1.154_701, -0.218_218, 0.0], [0.577_350, -0.872_872, -1.0]],
            &[[0.0, half, half], [0.0, -half, -half]],
        ];
        let summed: Vec<f64> =
            z.concat().iter().map(|[acc, progress, cost]| acc + 0.5 * progress + cost).collect();
        let std = (summed.iter().map(|sum| sum * sum).sum::<f64>() / 4.0).sqrt();
        for name in ["dr_grpo", "reinforce_pp"] {
            let scored = score(&groups(), name, gdpo, weights);
            let found = scored.iter().flat_map(|group| &group.advantages);
            for (found, sum) in found.zip(&summed) {
                assert!(found.windows(2).all(|pair| pair[0] == pair[1]));
                close(found[0], sum / std);
            }
        }
    }

    #[test]
    fn units_of_a_normalised_name_are_of_no_account() {
        let scaled = |factor: f64| {
            let mut groups = groups();
            for turn in groups.iter_mut().flat_map(|g| &mut g.trajectories).flat_map(|t| &mut t.turns) {
                turn.set("cost", factor * turn.get("cost"));
            }
            groups
        };
        for how in ["group", "gdpo"] {
            for name in AdvantageConfig::NAMES {
                let text = format!("cost = {how:?}");
                let advantages = |factor| -> Vec<f64> {
                    let scored = score(&scaled(factor), name, &text, "");
                    scored.into_iter().flat_map(|group| group.advantages.concat()).collect()
                };
                for (one, other) in advantages(1.0).into_iter().zip(advantages(1000.0)) {
                    assert!((one - other).abs() < 1e-4, "{name} {how}: {one} {other}");
                }
            }
        }
    }

    #[test]
    fn a_name_that_does_not_differ_or_is_not_there_gives_nothing() {
        let line = r#"{"group":"g","trajectories":[
            {"turns":[{"acc":1,"even":0.25},{"even":0.25}]},{"turns":[{"even":0.5}]},{"turns":[]}]}"#;
        let mut group: Group = serde_json::from_str(line).expect("a group");
        group.trajectories.pop();
        for how in ["group", "gdpo"] {
            let names = format!("even = {how:?}\nmissing = {how:?}");
            let scored = score(std::slice::from_ref(&group), "grpo", &names, "");
            assert_eq!(scored[0].rewards, [&[1.0, 0.0][..], &[0.0]], "{how}");
        }
        let scored = score(&groups(), "gtpo", "acc = \"none\"", "");
        assert_eq!(scored, score(&groups(), "gtpo", "", ""));
    }

    #[test]
    fn every_estimator_stays_finite_whatever_is_normalised() {
        let lines = [
            r#"{"group":"g","trajectories":[]}"#,
            r#"{"group":"g","trajectories":[{"turns":[]},{"turns":[{"acc":1}]},{"turns":[{"acc":-1}]}]}"#,
            r#"{"group":"g","trajectories":[{"turns":[{"acc":1}]}]}"#,
        ];
        let mut groups: Vec<Group> = lines.map(|line| serde_json::from_str(line).expect("a group")).into();
        // Larger than any that is read.
        for trajectory in &mut groups[1].trajectories {
            trajectory.turns.iter_mut().for_each(|turn| turn.set("acc", 1e300 * turn.acc()));
        }
        for how in ["group", "gdpo"] {
            for name in AdvantageConfig::NAMES {
                let scored = score(&groups, name, &format!("acc = {how:?}\nfmt = {how:?}"), "");
                assert!(scored.iter().flat_map(|g| g.advantages.concat()).all(f64::is_finite), "{name}");
            }
        }
    }
}
