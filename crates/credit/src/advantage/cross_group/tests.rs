use super::*;
use crate::advantage::enumerated::{PARAMETERS, add_group, apart, exact, groups, paths};
use crate::advantage::testing::{assert_per_turn, episodes};

const RIGHT: &[(f64, f64)] = &[(0.0, 0.0), (1.0, 0.0)];
const WRONG: &[(f64, f64)] = &[(0.0, 0.0), (0.0, 0.0)];
const FINED: &[(f64, f64)] = &[(0.0, -0.1), (1.0, 0.0)];

fn gated_rewards(groups: &[Vec<Episode>]) -> Vec<Vec<f64>> {
    groups.iter().map(|group| group.iter().map(gated).collect()).collect()
}

/// All 15,625 batches of three groups of two: the expectation is the policy gradient, though the predictions
/// are learnt from the batch.
#[test]
fn differences_are_the_policy_gradient_of_each_group() {
    let paths = paths(false);
    let estimator = CrossGroup::default();
    let all = groups(paths.len(), 2);
    let mut total = [0.0; PARAMETERS];
    let (mut sum, mut moved) = (0.0, 0);
    for batch in groups(all.len(), 3) {
        let chosen: Vec<&Vec<usize>> = batch.iter().map(|at| &all[*at]).collect();
        let chance: f64 =
            chosen.iter().flat_map(|group| group.iter()).map(|at| paths[*at].probability).product();
        let episodes: Vec<Vec<Episode>> =
            chosen.iter().map(|group| group.iter().map(|at| paths[*at].episode()).collect()).collect();
        let rewards = gated_rewards(&episodes);
        let baselines = estimator.baselines(&episodes, &rewards);
        sum += chance;
        for ((group, rewards), baselines) in chosen.iter().zip(&rewards).zip(&baselines) {
            let differences: PerTurn = rewards
                .iter()
                .zip(baselines)
                .map(|(g, turns)| turns.iter().map(|value| g - value).collect())
                .collect();
            add_group(&mut total, chance / 6.0, &paths, group, &differences);
            let predicted = baselines.iter().enumerate().flat_map(|(i, turns)| {
                let m = mean_of_others(rewards, i);
                turns.iter().map(move |value| (value - m).abs())
            });
            moved += usize::from(predicted.fold(0.0, f64::max) > 0.01);
        }
    }
    assert!((sum - 1.0).abs() < 1e-12);
    assert!(apart(&total, &exact(&paths)) < 1e-12, "{total:?}");
    assert!(moved > 1000, "the predictions matter in {moved} groups");
}

#[test]
fn fewer_than_three_groups_give_the_baseline_of_the_others() {
    let group: Vec<&[(f64, f64)]> = vec![RIGHT, WRONG, FINED, RIGHT];
    let batch = [episodes(&group), episodes(&group)];
    let plain = crate::GrpoMin::default().credit(&batch);
    for (credit, plain) in CrossGroup::default().credit(&batch).iter().zip(&plain) {
        for (a, b) in credit.advantages.concat().iter().zip(plain.advantages.concat()) {
            assert!((a - b * 4.0 / 3.0).abs() < 1e-9, "{a} is not 4/3 of {b}");
        }
    }
}

/// A violation closes the gate in every group, so what follows one is expected to earn nothing.
#[test]
fn a_turn_after_the_mistake_is_blamed_less_than_the_mistake() {
    let group: Vec<&[(f64, f64)]> = vec![RIGHT, WRONG, FINED, RIGHT, FINED, RIGHT];
    let batch = vec![episodes(&group); 8];
    let credit = CrossGroup::default().credit(&batch).remove(0);
    let [first, last] = [credit.advantages[2][0], credit.advantages[2][1]];
    assert!(first < -0.6 && last > 0.3 * first, "{first} and {last}");
    let [first, last] = [credit.advantages[0][0], credit.advantages[0][1]];
    assert!(last < first, "after a turn in the format success is likelier: {first} and {last}");
}

#[test]
fn a_group_without_spread_and_a_lone_trajectory_get_nothing() {
    let mixed: Vec<&[(f64, f64)]> = vec![RIGHT, WRONG];
    let batch = [episodes(&[RIGHT, RIGHT]), episodes(&[RIGHT]), episodes(&mixed), episodes(&mixed), vec![]];
    let credit = CrossGroup::default().credit(&batch);
    assert_per_turn(&credit[0].advantages, &[&[0.0; 2], &[0.0; 2]]);
    assert_per_turn(&credit[1].advantages, &[&[0.0; 2]]);
    assert!(credit[2].advantages[0][0] > 0.5 && credit[4].advantages.is_empty());
}
