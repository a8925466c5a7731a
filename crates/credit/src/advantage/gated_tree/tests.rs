use super::*;
use crate::advantage::enumerated::{apart, exact, expected, paths};
use crate::advantage::testing::{assert_per_turn, episodes};

const RIGHT: &[(f64, f64)] = &[(0.0, 0.0), (1.0, 0.0)];
const WRONG: &[(f64, f64)] = &[(0.0, 0.0), (0.0, 0.0)];

fn credit(tree: &GatedTree, group: &[&[(f64, f64)]], states: &[&[&str]]) -> Credit {
    let calls = vec![String::new(); 8];
    let states: Vec<Vec<String>> =
        states.iter().map(|keys| keys.iter().map(ToString::to_string).collect()).collect();
    let mut group = episodes(group);
    for (episode, states) in group.iter_mut().zip(&states) {
        (episode.states, episode.calls) = (states, &calls);
    }
    tree.credit(&[group]).remove(0)
}

/// Two went to `a`, one of them right, and two to `b`, neither right. σ is 1/2, κ is 2.
#[test]
fn a_worked_example() {
    let states: [&[&str]; 4] = [&["", "a"], &["", "a"], &["", "b"], &["", "b"]];
    let tree = GatedTree { eps: 0.0, ..GatedTree::default() };
    let credit = credit(&tree, &[RIGHT, WRONG, WRONG, WRONG], &states);
    assert_per_turn(&credit.returns, &[&[1.0; 2], &[0.0; 2], &[0.0; 2], &[0.0; 2]]);
    let (third, ninth) = (1.0 / 3.0, 1.0 / 9.0);
    assert_per_turn(
        &credit.advantages,
        &[
            // w = 1/3: the other one in `a` failed, so the turn there is worth 2/3.
            &[2.0 * 2.0 * third, 2.0],
            // Its turn to `a` is worth the 1/3 that was expected; the loss is the last turn's, from 5/9.
            &[0.0, -2.0 * 5.0 * ninth],
            &[-2.0 * third, -2.0 * 2.0 * ninth],
            &[-2.0 * third, -2.0 * 2.0 * ninth],
        ],
    );
}

#[test]
fn a_violation_costs_its_turn_and_closes_the_gate_and_no_spread_is_no_credit() {
    let fined: &[(f64, f64)] = &[(0.0, -0.1), (1.0, 0.0)];
    let tree = GatedTree { eps: 0.0, ..GatedTree::default() };
    let found = credit(&tree, &[RIGHT, fined], &[]).advantages;
    let root = 2.0_f64.sqrt();
    assert_per_turn(&found, &[&[root, root], &[-root - 0.1, -root]]);
    let found = credit(&tree, &[fined, fined, WRONG], &[]).advantages;
    assert_per_turn(&found, &[&[0.0; 2], &[0.0; 2], &[0.0; 2]]);
}

/// The two trajectories saw the same after the same calls, but only one of them can still earn anything.
#[test]
fn a_closed_gate_is_another_state() {
    let fined: &[(f64, f64)] = &[(0.0, -0.1), (1.0, 0.0)];
    let states: [&[&str]; 2] = [&["", "a"], &["", "a"]];
    let tree = GatedTree { eps: 0.0, ..GatedTree::default() };
    let apart = credit(&tree, &[RIGHT, fined], &states);
    assert_eq!(apart, credit(&tree, &[RIGHT, fined], &[]));
}

#[test]
fn without_shared_states_it_leaves_one_out_of_the_baseline() {
    let group: Vec<&[(f64, f64)]> = vec![RIGHT, WRONG, WRONG, RIGHT, WRONG];
    let tree = credit(&GatedTree::default(), &group, &[]).advantages;
    let plain = crate::GrpoMin::default().credit(&[episodes(&group)]).remove(0).advantages;
    for (a, b) in tree.concat().iter().zip(plain.concat()) {
        assert!((a - b * 5.0 / 4.0).abs() < 1e-9, "{a} is not 5/4 of {b}");
    }
}

fn differences(tree: &GatedTree) -> impl Fn(&[Episode]) -> PerTurn {
    |group| tree.differences(group, &group.iter().map(gated).collect::<Vec<_>>())
}

/// All 625 groups of four: the expectation is the policy gradient where equal states have equal prospects.
#[test]
fn differences_are_the_policy_gradient_where_states_tell_prospects() {
    let paths = paths(false);
    for kappa in [0.5, 2.0, 50.0] {
        let tree = GatedTree { kappa, ..GatedTree::default() };
        let found = expected(&paths, 4, differences(&tree));
        assert!(apart(&found, &exact(&paths)) < 1e-12, "κ {kappa}: {found:?}");
    }
}

/// The two branches look alike here. The bias is at most the largest weight of others, times the largest
/// `|∇log π|` and difference of rewards, which are below 1, in at most one turn that others share.
#[test]
fn the_bias_where_they_do_not_is_that_of_the_weight_of_others() {
    let paths = paths(true);
    let bias = |kappa: f64| {
        let tree = GatedTree { kappa, ..GatedTree::default() };
        apart(&expected(&paths, 4, differences(&tree)), &exact(&paths))
    };
    let found = [2.0, 20.0, 1000.0].map(|kappa| (bias(kappa), 3.0 / (3.0 + kappa)));
    assert!(found.iter().all(|(bias, most)| bias < most), "{found:?}");
    assert!(found[0].0 > 0.02 && found[1].0 < found[0].0 && found[2].0 < 1e-3, "{found:?}");
}
