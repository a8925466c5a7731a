//! A tree of decisions with known advantages: three binary turns, and a path that is right or wrong.

use turnwise_credit::{AdvantageConfig, FilterConfig, ScoredTrajectory, ShapingConfig};
use turnwise_trajectory::Rewards;

use super::*;
use crate::batches::batches;

const TURNS: usize = 3;
const SETTINGS: Settings = Settings { subgroup: 8, others: 12, states: States::Path, correct_at: 1.0 };

/// Whether the path of three choices is right in a task. The first choice decides most of it.
fn is_right(task: usize, path: &[bool]) -> bool {
    match task % 3 {
        0 => path[0] && (path[1] || path[2]),
        1 => path[0] ^ path[2],
        _ => path[1] && path[2],
    }
}

/// The success rate after some choices, if all others are coin tosses.
fn value(task: usize, path: &[bool]) -> f64 {
    if path.len() == TURNS {
        return f64::from(u8::from(is_right(task, path)));
    }
    [false, true].map(|next| value(task, &[path, &[next]].concat()) / 2.0).iter().sum()
}

/// Returns tasks of coin-tossing trajectories, and the choices behind each. `told` says whether observations
/// repeat the choices.
fn tasks(count: usize, size: usize, told: bool) -> (Vec<Task>, Vec<Vec<Vec<bool>>>) {
    let mut state = 5_u64;
    let mut toss = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 63 == 1
    };
    let paths: Vec<Vec<Vec<bool>>> =
        (0..count).map(|_| (0..size).map(|_| (0..TURNS).map(|_| toss()).collect()).collect()).collect();
    let trajectory = |task: usize, at: usize, path: &[bool]| {
        let acc = f64::from(u8::from(is_right(task, path)));
        let key = |j: usize| if told { path[j].to_string() } else { format!("{at} alone") };
        ScoredTrajectory {
            turns: (1..=TURNS).map(|turn| Rewards::new(if turn == TURNS { acc } else { 0.0 }, 0.0)).collect(),
            correct: acc == 1.0,
            states: (0..TURNS).map(|j| if j == 0 { String::new() } else { key(j - 1) }).collect(),
            calls: (0..TURNS).map(key).collect(),
            ..ScoredTrajectory::default()
        }
    };
    let task = |(task, paths): (usize, &Vec<Vec<bool>>)| Task {
        group: Group {
            group: format!("task {task}"),
            trajectories: paths.iter().enumerate().map(|(at, path)| trajectory(task, at, path)).collect(),
        },
        tokens: vec![vec![2; TURNS]; size],
    };
    (paths.iter().enumerate().map(task).collect(), paths)
}

fn named(names: &[&str]) -> Vec<Named> {
    let shaping = ShapingConfig { alpha: 0.0, ..ShapingConfig::default() };
    let one = |name: &&str| Named {
        name: (*name).into(),
        scorer: Scorer::new(
            AdvantageConfig::named(name).expect("an estimator"),
            shaping.clone(),
            FilterConfig::default(),
        ),
    };
    names.iter().map(one).collect()
}

fn diagnosed(tasks: &[Task], names: &[&str], seed: u64) -> Diagnosis {
    let sizes: Vec<usize> = tasks.iter().map(|task| task.group.trajectories.len()).collect();
    let draws = batches(&sizes, SETTINGS.subgroup, 2, seed);
    diagnose(tasks, &draws, &named(names), SETTINGS, &Sketches::default(), &[]).expect("offline")
}

#[test]
fn references_are_the_true_advantages_and_order_the_estimators() {
    let (tasks, paths) = tasks(6, 800, true);
    let (mut exact, mut same) = (vec![Moments::default(); 6], Moments::default());
    for (task, held) in tasks.iter().enumerate() {
        let prospects = Prospects::of(held, States::Path, 1.0);
        let members: Vec<usize> = (0..8).collect();
        for (member, references) in members.iter().zip(prospects.references(&members, 12)) {
            let path = &paths[task][*member];
            for (j, reference) in references.iter().enumerate() {
                let truth = value(task, &path[..=j]) - value(task, &path[..j]);
                let reference = reference.expect("every state is shared");
                assert!(
                    (reference.value - truth).abs() < 5.0 * reference.error + 1e-9,
                    "{reference:?} {truth}"
                );
                exact[task].add(truth, reference.value);
                same.add(truth, truth);
            }
        }
    }
    assert_eq!(correlation(&[same]).expect("a spread").value, 1.0);
    let exact = correlation(&exact).expect("a spread").value;
    assert!(exact > 0.99, "{exact}");

    let found = diagnosed(&tasks, &["grpo_min", "turn_tree", "gated_tree", "rloo"], 0);
    let fidelity = |at: usize| found.estimators[at].fidelity.expect("references");
    let [trajectory, tree, gated, rloo] = [0, 1, 2, 3].map(|at| fidelity(at).value);
    assert!(exact > tree && tree > gated && gated > trajectory + 0.1, "{tree} {gated} {trajectory}");
    assert!((trajectory - rloo).abs() < 0.03, "both credit trajectories: {trajectory} and {rloo}");
    let interval = fidelity(1).interval.expect("six tasks");
    assert!(interval.low <= tree && tree <= interval.high);
    assert_eq!(found.reference.with_reference, found.reference.turns);
    assert!(found.notes.is_empty() && found.shared_states.expect("later turns").value > 0.9);
}

#[test]
fn density_counts_the_turns_that_change_the_prospects() {
    // In task 1 only the last choice matters; before it all states are worth one half.
    let (tasks, _) = tasks(2, 800, true);
    let found = diagnosed(&tasks[1..], &["grpo"], 0);
    let density = found.decision_density.expect("references").value;
    assert!((density - 1.0 / 3.0).abs() < 0.03, "{density}");
}

#[test]
fn without_shared_states_the_reference_cannot_be_had_and_the_notes_say_so() {
    let (tasks, _) = tasks(3, 64, false);
    let found = diagnosed(&tasks, &["grpo", "gated_tree"], 0);
    assert_eq!((found.reference.with_reference, found.shared_states.expect("turns").value), (0, 0.0));
    assert_eq!(found.estimators[0].fidelity, None);
    assert!(found.notes[0].starts_with("No turn before the last has a reference"), "{:?}", found.notes);
    assert!(found.notes[1].starts_with("No state after the prompt is shared"), "{:?}", found.notes);
    let few = self::tasks(3, 8, true).0;
    assert_eq!((found.smallest_subgroup, found.subgroup), (8, 8));
    let found = diagnosed(&few, &["grpo"], 0);
    assert!(found.notes[0].contains("at least 20 of a task, and here a task has 8"), "{:?}", found.notes);
}

/// A task with few trajectories is one subgroup, and the report has its size.
#[test]
fn sizes_of_subgroups_are_those_that_were_cut() {
    let sizes = |sizes: &[usize]| {
        let tasks: Vec<Task> = sizes.iter().flat_map(|size| self::tasks(1, *size, true).0).collect();
        let found = diagnosed(&tasks, &["grpo"], 0);
        let told = found.notes.iter().any(|note| note.starts_with("Subgroups have at most"));
        (found.smallest_subgroup, found.subgroup, told)
    };
    assert_eq!(sizes(&[2, 2]), (2, 2, true));
    assert_eq!(sizes(&[2, 9]), (2, 8, false));
    assert_eq!(sizes(&[16, 8]), (8, 8, false));
}

#[test]
fn weights_of_solved_and_hopeless_subgroups_are_those_of_the_estimator() {
    let (tasks, _) = tasks(3, 64, true);
    let found = diagnosed(&tasks, &["grpo_min", "gtpo"], 0);
    let share = |at: usize| found.estimators[at].weight.solved.expect("weights").value;
    assert_eq!(share(0), 0.0, "a solved group has no spread");
    let report = &found.estimators[1].weight;
    let sum: f64 = report.by_turn.iter().map(|turn| turn.share.expect("weights").value).sum();
    assert!((sum - 1.0).abs() < 1e-12 && report.by_turn.len() == TURNS);
}

#[test]
fn the_same_seed_gives_the_same_diagnosis() {
    let (tasks, _) = tasks(4, 50, true);
    let json =
        |seed| serde_json::to_string(&diagnosed(&tasks, &["gtpo", "cross_group"], seed)).expect("finite");
    assert_eq!(json(3), json(3));
    assert_ne!(json(3), json(4));
}
