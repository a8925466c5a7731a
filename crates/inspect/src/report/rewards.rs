//! Shows the rewards of each name by turn, where runs have names besides those of turnwise.

use std::collections::{BTreeMap, BTreeSet};

use turnwise_run::{Metric, StepMetrics};
use turnwise_trajectory::Rewards;

use super::arms::Arm;
use super::document::{Block, Table, heads};

/// Holds the mean of a name and its means by turn, each with the number of values and their sum.
#[derive(Default)]
struct Sums {
    mean: (f64, f64),
    by_turn: Vec<(f64, f64)>,
}

/// Adds a mean that stands for `count` values.
fn add(sum: &mut (f64, f64), count: f64, mean: Metric) {
    *sum = (sum.0 + count, sum.1 + count * mean.value().unwrap_or_default());
}

fn shown((count, sum): (f64, f64)) -> String {
    if count > 0.0 { format!("{:.3}", sum / count) } else { "–".into() }
}

/// Returns the names of rewards that have curves: all but those of penalties for the format.
pub(super) fn names(arms: &[Arm<'_>]) -> BTreeSet<String> {
    let lines = arms.iter().flat_map(|arm| &arm.members).flat_map(|member| &member.metrics);
    lines.flat_map(|line| line.rewards.keys()).filter(|name| *name != Rewards::FMT).cloned().collect()
}

/// Returns the table of rewards by name and turn: means over the last tenth of the steps.
pub(super) fn rewards(arms: &[Arm<'_>]) -> Vec<Block> {
    let found: Vec<(&Arm<'_>, String, Sums)> = arms
        .iter()
        .flat_map(|arm| of_arm(arm).into_iter().map(move |(name, sums)| (arm, name, sums)))
        .collect();
    let turns = found.iter().map(|(.., sums)| sums.by_turn.len()).max().unwrap_or(0);
    if found.is_empty() {
        return Vec::new();
    }
    let numbers = (1..=turns).map(|turn| format!("turn {turn}"));
    let row = |(arm, name, sums): &(&Arm<'_>, String, Sums)| {
        let turn = |j: usize| sums.by_turn.get(j).map_or("–".into(), |sum| shown(*sum));
        let cells = (0..turns).map(turn);
        [format!("{}: {name}", arm.label), shown(sums.mean)].into_iter().chain(cells).collect()
    };
    let text = "Over the last tenth of the steps, before shaping, normalisation and weights. The first number is \
                per trajectory, the others are per turn.";
    vec![
        Block::Heading("Rewards by name, at the end of training".into()),
        Block::Text(text.into()),
        Block::Table(Table {
            heads: heads(&["", "trajectory"]).into_iter().chain(numbers).collect(),
            rows: found.iter().map(row).collect(),
        }),
    ]
}

fn of_arm(arm: &Arm<'_>) -> BTreeMap<String, Sums> {
    let mut found: BTreeMap<String, Sums> = BTreeMap::new();
    for member in &arm.members {
        let last = (member.metrics.len() / 10).max(1);
        let lines: &[StepMetrics] = &member.metrics[member.metrics.len().saturating_sub(last)..];
        for (line, (name, reward)) in
            lines.iter().flat_map(|line| line.rewards.iter().map(move |r| (line, r)))
        {
            let sums = found.entry(name.clone()).or_default();
            add(&mut sums.mean, 1.0, reward.mean);
            let missing = reward.by_turn.len().saturating_sub(sums.by_turn.len());
            sums.by_turn.extend(vec![(0.0, 0.0); missing]);
            // A step is weighted by its number of such turns.
            let reached = line.by_turn.iter().map(|turn| turn.credit.turns as f64);
            for ((sum, mean), reached) in sums.by_turn.iter_mut().zip(&reward.by_turn).zip(reached) {
                add(sum, reached, *mean);
            }
        }
    }
    found
}
