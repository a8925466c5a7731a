//! Every estimator and the shaping against numpy written from the papers' formulas
//! (`golden/rl/reference.py`).

use std::collections::BTreeSet;

use serde::Deserialize;
use turnwise_credit::{
    AdvantageConfig, FilterConfig, Group, Normalise, PerTurn, RewardWeights, ScoredTrajectory, Scorer,
    ShapingConfig, shaped_accuracies,
};
use turnwise_tests::golden;
use turnwise_trajectory::Rewards;

#[derive(Deserialize)]
struct Golden {
    /// `[group][trajectory][turn] = [acc, fmt]`
    groups: Vec<Vec<Vec<[f64; 2]>>>,
    /// `[group][trajectory][turn]`: what the policy saw.
    states: Vec<Vec<Vec<String>>>,
    /// The calls of each turn.
    calls: Vec<Vec<Vec<String>>>,
    cases: Vec<Case>,
    /// `[group][trajectory] = (correct, code)`
    programs: Vec<Vec<(bool, String)>>,
    shaping: Vec<Shaped>,
}

#[derive(Deserialize)]
struct Case {
    config: AdvantageConfig,
    advantages: Vec<PerTurn>,
}

#[derive(Deserialize)]
struct Shaped {
    config: ShapingConfig,
    /// `[group][trajectory]`: the accuracy that a failed trajectory gets; none if it keeps its own.
    acc: Vec<Vec<Option<f64>>>,
}

fn read() -> Golden {
    let text = std::fs::read_to_string(golden("rl/reference.json")).expect("golden file");
    serde_json::from_str(&text).expect("golden vectors")
}

#[test]
fn every_estimator_equals_its_formula_in_numpy() {
    let golden = read();
    assert!(golden.groups.len() >= 50, "at least 50 groups");
    let trajectory = |g: usize, i: usize| ScoredTrajectory {
        turns: golden.groups[g][i].iter().map(|[acc, fmt]| Rewards::new(*acc, *fmt)).collect(),
        states: golden.states[g][i].clone(),
        calls: golden.calls[g][i].clone(),
        ..ScoredTrajectory::default()
    };
    let group = |g: usize| Group {
        group: String::new(),
        trajectories: (0..golden.groups[g].len()).map(|i| trajectory(g, i)).collect(),
    };
    let groups: Vec<Group> = (0..golden.groups.len()).map(group).collect();
    let mut seen = BTreeSet::new();
    for Case { config, advantages } in golden.cases {
        seen.insert(config.name());
        let unshaped = ShapingConfig { alpha: 0.0, ..ShapingConfig::default() };
        let scorer = Scorer::new(config.clone(), unshaped, FilterConfig::default());
        let scored = scorer.score(&groups, 0).expect("offline");
        for (g, (ours, theirs)) in scored.iter().zip(&advantages).enumerate() {
            let shape = |of: &PerTurn| of.iter().map(Vec::len).collect::<Vec<_>>();
            assert_eq!(shape(&ours.advantages), shape(theirs), "{config:?} group {g}");
            for (a, b) in ours.advantages.concat().iter().zip(theirs.concat()) {
                assert!((a - b).abs() <= 1e-6, "{config:?} group {g}: {a} is not {b}");
            }
        }
    }
    assert_eq!(seen, AdvantageConfig::NAMES.iter().copied().collect(), "every estimator has vectors");
}

#[test]
fn shaped_rewards_equal_those_of_numpy() {
    let golden = read();
    let trajectory = |(correct, code): &(bool, String)| ScoredTrajectory {
        turns: vec![Rewards::new(f64::from(u8::from(*correct)), -0.1)],
        correct: *correct,
        code: code.clone(),
        ..ScoredTrajectory::default()
    };
    let groups: Vec<Group> = golden
        .programs
        .iter()
        .map(|group| Group { group: String::new(), trajectories: group.iter().map(trajectory).collect() })
        .collect();
    assert!(groups.len() >= 50 && golden.shaping.len() == 4);
    for Shaped { config, acc } in golden.shaping {
        let similarity = config.similarity.build();
        let shaped = shaped_accuracies(&groups, config.alpha, config.centre, &*similarity).expect("offline");
        for (g, (ours, theirs)) in shaped.iter().zip(&acc).enumerate() {
            for (i, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                let name = format!("{config:?} group {g} trajectory {i}: {ours:?}, not {theirs:?}");
                assert_eq!(ours.is_some(), theirs.is_some(), "{name}");
                assert!((ours.unwrap_or(0.0) - theirs.unwrap_or(0.0)).abs() <= 1e-6, "{name}");
            }
        }
    }
}

#[derive(Deserialize)]
struct Normalised {
    /// `[group][trajectory][turn]`: rewards by name.
    groups: Vec<Vec<Vec<Rewards>>>,
    weights: RewardWeights,
    /// `[group][trajectory]`: the advantages of GDPO.
    gdpo: Vec<Vec<f64>>,
    /// `[group][trajectory]`: rewards where the name `cost` is normalised in its group.
    cost_in_group: Vec<Vec<f64>>,
}

#[test]
fn rewards_normalised_by_name_equal_those_of_numpy() {
    let text = std::fs::read_to_string(golden("rl/normalised.json")).expect("golden file");
    let golden: Normalised = serde_json::from_str(&text).expect("golden vectors");
    let trajectory = |turns| ScoredTrajectory { turns, ..ScoredTrajectory::default() };
    let group = |group: Vec<Vec<Rewards>>| Group {
        group: String::new(),
        trajectories: group.into_iter().map(trajectory).collect(),
    };
    let groups: Vec<Group> = golden.groups.into_iter().map(group).collect();
    let score = |name: &str, normalise: &[(&str, Normalise)]| {
        let advantage = AdvantageConfig::named(name).expect("a name");
        let normalise = normalise.iter().map(|(name, how)| ((*name).to_string(), *how)).collect();
        let shaping = ShapingConfig { alpha: 0.0, ..ShapingConfig::default() };
        let scorer = Scorer::new(advantage, shaping, FilterConfig::default());
        scorer.weighing(golden.weights.clone()).normalising(normalise).score(&groups, 0).expect("offline")
    };
    let close = |found: f64, expect: f64| assert!((found - expect).abs() < 2e-6, "{found} is not {expect}");
    let gdpo = ["acc", "cost", "progress"].map(|name| (name, Normalise::Gdpo));
    for name in ["dr_grpo", "reinforce_pp"] {
        for (scored, expect) in score(name, &gdpo).iter().zip(&golden.gdpo) {
            assert_eq!(scored.advantages.len(), expect.len());
            for (turns, expect) in scored.advantages.iter().zip(expect) {
                for advantage in turns {
                    close(*advantage, *expect);
                }
            }
        }
    }
    let scored = score("gtpo", &[("cost", Normalise::Group)]);
    for (scored, expect) in scored.iter().zip(&golden.cost_in_group) {
        for (turns, expect) in scored.rewards.iter().zip(expect) {
            close(turns.iter().sum(), *expect);
        }
    }
}
