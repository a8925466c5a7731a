//! Identities that hold for every group: equality with GRPO, invariances, and finite values.

use proptest::prelude::*;
use turnwise_credit::{
    AdvantageConfig, AdvantageEstimator, Episode, Gigpo, Grpo, GrpoMin, Gtpo, NormScope, PerTurn,
    ProcessGrpo, Rebn, WeightsConfig,
};

const SCOPES: [NormScope; 3] = [NormScope::Pooled, NormScope::TurnIndex, NormScope::FirstReturn];

/// Makes an episode from `(acc, fmt)` per turn.
fn episode(turns: &[(f64, f64)]) -> Episode<'static> {
    Episode {
        rewards: turns.iter().map(|(acc, fmt)| acc + fmt).collect(),
        formats: turns.iter().map(|turn| turn.1).collect(),
        violations: turns.iter().map(|turn| turn.1 < 0.0).collect(),
        outcome: turns.iter().map(|turn| turn.0).sum(),
        right: turns.iter().map(|turn| turn.0).sum::<f64>() >= 1.0,
        states: &[],
        calls: &[],
    }
}

/// Makes a trajectory of one turn, right or wrong, without a violation.
fn single(correct: bool) -> Episode<'static> {
    episode(&[(f64::from(u8::from(correct)), 0.0)])
}

fn named(name: &str) -> AdvantageConfig {
    AdvantageConfig::named(name).expect("a name")
}

fn every_estimator() -> Vec<AdvantageConfig> {
    AdvantageConfig::NAMES.iter().map(|name| named(name)).collect()
}

/// Generates a trajectory: its last turn may be right, and each turn may have a violation that costs
/// `penalty`.
fn penalised(turns: std::ops::Range<usize>, penalty: f64) -> impl Strategy<Value = Episode<'static>> {
    (proptest::collection::vec(any::<bool>(), turns), any::<bool>()).prop_map(move |(violations, correct)| {
        let last = violations.len().wrapping_sub(1);
        let reward = |(j, bad): (usize, &bool)| {
            (if correct && j == last { 1.0 } else { 0.0 }, if *bad { penalty } else { 0.0 })
        };
        episode(&violations.iter().enumerate().map(reward).collect::<Vec<_>>())
    })
}

fn trajectory(turns: std::ops::Range<usize>) -> impl Strategy<Value = Episode<'static>> {
    penalised(turns, -0.1)
}

/// Generates a batch of groups, with empty trajectories and groups.
fn batch() -> impl Strategy<Value = Vec<Vec<Episode<'static>>>> {
    proptest::collection::vec(proptest::collection::vec(trajectory(0..6), 0..7), 1..4)
}

fn advantages(estimator: &dyn AdvantageEstimator, groups: &[Vec<Episode>]) -> Vec<PerTurn> {
    estimator.credit(groups).into_iter().map(|c| c.advantages).collect()
}

fn assert_close(a: &[PerTurn], b: &[PerTurn], tolerance: f64) -> Result<(), TestCaseError> {
    for (a, b) in a.iter().zip(b) {
        for (a, b) in a.iter().flatten().zip(b.iter().flatten()) {
            prop_assert!((a - b).abs() <= tolerance * (1.0 + a.abs()), "{a} is not {b}");
        }
    }
    Ok(())
}

/// Adds `c` to every discounted return: `c` to the last reward and `c·(1-γ)` to the others.
fn shift_returns(group: &[Episode<'static>], c: f64, gamma: f64) -> Vec<Episode<'static>> {
    let mut shifted = group.to_vec();
    for episode in &mut shifted {
        if let Some((last, others)) = episode.rewards.split_last_mut() {
            *last += c;
            for other in others {
                *other += c * (1.0 - gamma);
            }
        }
    }
    shifted
}

/// Permutes each group at random: its members in the order of their keys.
fn permute<T: Clone>(groups: &[Vec<T>], keys: &[Vec<u64>]) -> Vec<Vec<T>> {
    let permuted = |(group, keys): (&Vec<T>, &Vec<u64>)| {
        let mut order: Vec<usize> = (0..group.len()).collect();
        order.sort_by_key(|&i| keys[i]);
        order.into_iter().map(|i| group[i].clone()).collect()
    };
    groups.iter().zip(keys).map(permuted).collect()
}

/// Makes one single-turn trajectory with the last reward for each turn.
fn votes(episode: &Episode) -> Vec<Episode<'static>> {
    let last = episode.rewards.last().copied();
    episode.rewards.iter().filter_map(|_| Some(self::episode(&[(last?, 0.0)]))).collect()
}

/// Generates a trajectory with any rewards.
fn any_trajectory() -> impl Strategy<Value = Episode<'static>> {
    let number = || proptest::num::f64::NORMAL;
    proptest::collection::vec((number(), number()), 0..5).prop_map(|turns| episode(&turns))
}

proptest! {
    /// Identity 1: single turns, no shaping, no violations.
    #[test]
    fn with_single_turns_gtpo_is_grpo(correct in proptest::collection::vec(any::<bool>(), 0..9)) {
        let groups = [correct.into_iter().map(single).collect::<Vec<_>>()];
        let grpo = advantages(&Grpo::default(), &groups);
        prop_assert_eq!(&grpo, &advantages(&GrpoMin::default(), &groups));
        for norm_scope in SCOPES {
            prop_assert_eq!(&grpo, &advantages(&Gtpo { norm_scope, ..Gtpo::default() }, &groups));
        }
    }

    /// Identity 1 for the others: with single turns and no violations each equals a trajectory-level method
    /// that it contains. GiGPO counts its one state again; estimators over a batch get a batch of one group.
    #[test]
    fn with_single_turns_every_estimator_is_its_trajectory_level_one(
        correct in proptest::collection::vec(any::<bool>(), 0..9),
    ) {
        let groups = [correct.into_iter().map(single).collect::<Vec<_>>()];
        let n = groups[0].len() as f64;
        let leave_one_out = if n > 1.0 { n / (n - 1.0) } else { 1.0 };
        for (name, plain, times) in [
            ("process_grpo", "grpo", 1.0),
            ("mt_grpo", "grpo", 1.0),
            ("gigpo", "grpo", 2.0),
            ("rebn", "grpo", 1.0),
            ("reinforce_pp", "grpo", 1.0),
            ("turn_tree", "rloo", 1.0),
            // Leave-one-out of z-scores: n/(n-1) times them.
            ("gated_tree", "grpo", leave_one_out),
            ("cross_group", "grpo", leave_one_out),
        ] {
            let of = |name: &str| advantages(named(name).estimator(), &groups)[0].concat();
            for (a, b) in of(name).iter().zip(of(plain)) {
                prop_assert!((a - times * b).abs() < 1e-9, "{name}: {a} is not {times} times {b}");
            }
        }
    }

    /// Identity 2: with γ = 1 and terminal rewards, GTPO is GRPO up to the counts behind its statistics.
    #[test]
    fn undiscounted_terminal_rewards_give_grpo(
        // A trajectory without turns has no first return, but a total of 0.
        groups in proptest::collection::vec(proptest::collection::vec(penalised(1..6, 0.0), 0..7), 1..4),
    ) {
        let gtpo = Gtpo { gamma: 1.0, norm_scope: NormScope::FirstReturn, ..Gtpo::default() };
        for credit in gtpo.credit(&groups) {
            for returns in credit.returns {
                prop_assert!(returns.windows(2).all(|w| w[0] == w[1]));
            }
        }
        prop_assert_eq!(advantages(&gtpo, &groups), advantages(&Grpo::default(), &groups));

        // Pooled: the z-score of the same rewards, each counted once per turn.
        let voters: Vec<Vec<Episode>> = groups
            .iter()
            .map(|g| g.iter().flat_map(votes).collect())
            .collect();
        let pooled = advantages(&Gtpo { gamma: 1.0, ..Gtpo::default() }, &groups);
        let voted = advantages(&Grpo::default(), &voters);
        for (pooled, voted) in pooled.iter().zip(&voted) {
            prop_assert_eq!(pooled.concat(), voted.concat());
        }
    }

    /// Identity 3: the order of a group doesn't matter.
    #[test]
    fn permuting_a_group_permutes_its_advantages(
        groups in batch(),
        keys in proptest::collection::vec(proptest::collection::vec(any::<u64>(), 6), 3),
    ) {
        let permuted = permute(&groups, &keys);
        for config in every_estimator() {
            let expect = permute(&advantages(config.estimator(), &groups), &keys);
            assert_close(&advantages(config.estimator(), &permuted), &expect, 1e-9)?;
        }
    }

    /// Identity 3: a constant on every return changes nothing.
    #[test]
    fn a_constant_on_every_return_changes_nothing(groups in batch(), c in -3.0..3.0_f64) {
        let check = |estimator: &dyn AdvantageEstimator, gamma: f64| {
            let shifted: Vec<_> = groups.iter().map(|g| shift_returns(g, c, gamma)).collect();
            assert_close(&advantages(estimator, &groups), &advantages(estimator, &shifted), 1e-8)
        };
        for norm_scope in SCOPES {
            check(&Gtpo { norm_scope, ..Gtpo::default() }, 0.9)?;
        }
        check(&Rebn::default(), 0.9)?;
    }

    /// Identity 3 for estimators of the trajectory's reward; a trajectory without turns can't be shifted.
    #[test]
    fn a_constant_on_every_trajectory_changes_nothing(mut groups in batch(), c in -3.0..3.0_f64) {
        for group in &mut groups {
            group.retain(|e| !e.rewards.is_empty());
        }
        let shifted: Vec<_> = groups.iter().map(|g| shift_returns(g, c, 1.0)).collect();
        for name in ["grpo", "dr_grpo", "rloo", "reinforce_pp", "mt_grpo"] {
            let config = named(name);
            let estimator = config.estimator();
            assert_close(&advantages(estimator, &groups), &advantages(estimator, &shifted), 1e-8)?;
        }
        // GiGPO compares returns as well: without a discount they all shift by the same.
        let gigpo = Gigpo { gamma: 1.0, ..Gigpo::default() };
        assert_close(&advantages(&gigpo, &groups), &advantages(&gigpo, &shifted), 1e-8)?;
    }

    /// Identity 3 for the estimator that scores single turn rewards.
    #[test]
    fn a_constant_on_every_turn_reward_changes_nothing_in_process_grpo(groups in batch(), c in -3.0..3.0_f64) {
        let mut shifted = groups.clone();
        for reward in shifted.iter_mut().flatten().flat_map(|e| &mut e.rewards) {
            *reward += c;
        }
        let estimator = ProcessGrpo::default();
        assert_close(&advantages(&estimator, &groups), &advantages(&estimator, &shifted), 1e-8)?;
    }

    /// For any rewards there is one finite advantage per turn, and 0 for a trajectory that is alone.
    #[test]
    fn advantages_are_finite_and_have_the_shape_of_the_turns(
        groups in proptest::collection::vec(proptest::collection::vec(any_trajectory(), 0..6), 1..4),
    ) {
        for config in every_estimator() {
            let credit = config.estimator().credit(&groups);
            prop_assert_eq!(credit.len(), groups.len());
            for (credit, group) in credit.iter().zip(&groups) {
                let turns: Vec<usize> = group.iter().map(|e| e.rewards.len()).collect();
                prop_assert_eq!(&credit.advantages.iter().map(Vec::len).collect::<Vec<_>>(), &turns);
                prop_assert_eq!(&credit.returns.iter().map(Vec::len).collect::<Vec<_>>(), &turns);
                prop_assert!(credit.advantages.concat().iter().all(|a| a.is_finite()), "{}", config.name());
            }
        }
    }

    /// Equal trajectories have no advantage under any estimator.
    #[test]
    fn equal_trajectories_of_one_turn_have_no_advantage(one in trajectory(1..2), n in 1..6_usize) {
        for config in every_estimator() {
            let groups = [vec![one.clone(); n]];
            let flat = advantages(config.estimator(), &groups)[0].concat();
            prop_assert!(flat.iter().all(|a| *a == 0.0), "{}: {flat:?}", config.name());
        }
    }

    /// The weights of the two means add up to one for any batch.
    #[test]
    fn means_weigh_one(
        masks in proptest::collection::vec(proptest::collection::vec(any::<bool>(), 0..20), 0..9),
    ) {
        let any = masks.iter().flatten().any(|m| *m);
        for name in ["token_mean", "seq_mean_token_mean"] {
            let config: WeightsConfig = serde_json::from_value(name.into()).expect("a name");
            let weights = config.token_weights(&masks, 10);
            let sum: f64 = weights.iter().flatten().map(|w| f64::from(*w)).sum();
            prop_assert!((sum - f64::from(u8::from(any))).abs() < 1e-5, "{name}: {sum}");
            for (mask, weights) in masks.iter().zip(&weights) {
                prop_assert!(mask.iter().zip(weights).all(|(m, w)| (*w > 0.0) == *m));
            }
        }
    }
}
