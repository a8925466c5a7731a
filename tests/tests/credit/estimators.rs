//! Advantages against verl's and TRL's own functions, on random groups (`golden/rl`).

use serde::Deserialize;
use turnwise_credit::{
    AdvantageConfig, FilterConfig, Group, PerTurn, ScoredGroup, ScoredTrajectory, Scorer, ShapingConfig,
};
use turnwise_tests::golden;
use turnwise_trajectory::Rewards;

/// Groups as `[group][trajectory][turn] = [acc, fmt]`.
type Recorded = Vec<Vec<Vec<[f64; 2]>>>;

#[derive(Deserialize)]
struct Golden {
    trajectory_level: Recorded,
    turn_level: Recorded,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    source: String,
    config: AdvantageConfig,
    groups: String,
    advantages: Vec<PerTurn>,
}

fn read() -> Golden {
    let text = std::fs::read_to_string(golden("rl/advantages.json")).expect("golden file");
    serde_json::from_str(&text).expect("golden vectors")
}

fn score(recorded: &Recorded, advantage: AdvantageConfig) -> Vec<ScoredGroup> {
    let groups: Vec<Group> = recorded
        .iter()
        .map(|group| Group {
            group: String::new(),
            trajectories: group
                .iter()
                .map(|turns| ScoredTrajectory {
                    turns: turns.iter().map(|[acc, fmt]| Rewards::new(*acc, *fmt)).collect(),
                    ..ScoredTrajectory::default()
                })
                .collect(),
        })
        .collect();
    let scorer = Scorer::new(advantage, ShapingConfig::default(), FilterConfig::default());
    scorer.score(&groups, 0).expect("offline")
}

#[test]
fn advantages_equal_those_of_verl_and_trl() {
    let golden = read();
    assert!(golden.trajectory_level.len() >= 50 && golden.turn_level.len() >= 50, "at least 50 groups");
    assert_eq!(golden.cases.len(), 11);
    for case in golden.cases {
        let groups = match case.groups.as_str() {
            "trajectory_level" => &golden.trajectory_level,
            "turn_level" => &golden.turn_level,
            other => panic!("unknown groups {other}"),
        };
        let scored = score(groups, case.config);
        assert_eq!(scored.len(), case.advantages.len());
        for (g, (ours, theirs)) in scored.iter().zip(&case.advantages).enumerate() {
            let (ours, theirs) = (ours.advantages.concat(), theirs.concat());
            assert_eq!(ours.len(), theirs.len(), "{} group {g}", case.source);
            for (a, b) in ours.iter().zip(&theirs) {
                assert!((a - b).abs() <= 1e-6, "{} group {g}: {a} is not {b}", case.source);
            }
        }
    }
}

/// verl returns the raw reward here; a trajectory that is alone has nothing to be better than.
#[test]
fn a_trajectory_alone_in_its_group_has_no_advantage() {
    let alone = vec![vec![vec![[1.0, 0.0]]]];
    for name in AdvantageConfig::NAMES {
        let config: AdvantageConfig = serde_json::from_value((*name).into()).expect("a name");
        assert_eq!(score(&alone, config)[0].advantages, [[0.0]], "{name}");
    }
}
