//! Answers to the page, as JSON. Text goes out as text: the page never makes markup of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;
use turnwise_run::{Evaluations, GroupRecord, StepMetrics};
use turnwise_trajectory::{CallRecord, Finish, Rewards, Trajectory};

use crate::conversation;
use crate::curves::{CURVES, points, reward};
use crate::error::InspectError;
use crate::index::{Bad, Index, Row};
use crate::run::Run;

/// Holds a part of a list.
#[derive(Serialize)]
pub(super) struct Listed<'a> {
    pub(super) total: usize,
    pub(super) offset: usize,
    /// Position of the sought rollout in the list.
    pub(super) found: Option<usize>,
    pub(super) rows: Vec<&'a Row>,
}

/// Describes a run.
#[derive(Serialize)]
pub(super) struct RunAnswer<'a> {
    name: &'a str,
    folder: String,
    rollouts: usize,
    groups: usize,
    steps: Vec<u32>,
    /// Lines that aren't rollouts.
    bad: Vec<Bad>,
    /// Files of the run that can't be read, each with its reason.
    unreadable: Vec<String>,
    /// Paths that were searched for a tokenizer, if none was found.
    tokenizer_missing: Option<Vec<String>>,
    curves: Vec<Drawn>,
    config: BTreeMap<String, String>,
    evaluation: Option<Evaluations>,
}

/// Holds a curve over steps.
#[derive(Serialize)]
struct Drawn {
    name: String,
    points: Vec<(f64, f64)>,
}

/// Returns every run. A file that can't be read is named, and the rest is shown.
pub(super) fn runs(runs: &[Run]) -> Vec<RunAnswer<'_>> {
    runs.iter().map(one).collect()
}

fn one(run: &Run) -> RunAnswer<'_> {
    let mut unreadable = Vec::new();
    let metrics = readable(run.metrics(), &mut unreadable);
    let evaluation = readable(run.evaluation(), &mut unreadable);
    let index = run.index();
    let mut steps: Vec<u32> = index.rows().iter().map(|row| row.step).collect();
    steps.dedup();
    let shown = |paths: &[std::path::PathBuf]| paths.iter().map(|path| path.display().to_string()).collect();
    RunAnswer {
        name: run.name(),
        folder: run.folder().display().to_string(),
        rollouts: index.rows().len(),
        groups: index.groups(),
        steps,
        bad: index.bad().cloned().collect(),
        // Tokens of conversations have no tokenizer.
        tokenizer_missing: run.pieces().missing().filter(|looked| !looked.is_empty()).map(shown),
        unreadable,
        curves: curves(&metrics),
        config: run.config(),
        evaluation,
    }
}

/// Returns all curves, then those of rewards by name. A curve without a value has no points.
fn curves(metrics: &[StepMetrics]) -> Vec<Drawn> {
    let fixed =
        CURVES.iter().map(|curve| Drawn { name: curve.name.into(), points: points(metrics, curve.metric) });
    let names: BTreeSet<&String> = metrics.iter().flat_map(|step| step.rewards.keys()).collect();
    let named = names.into_iter().map(|name| Drawn {
        name: format!("reward of {name}"),
        points: points(metrics, |step| reward(step, name)),
    });
    fixed.chain(named).collect()
}

/// Returns the value, or its default after adding the reason to `unreadable`.
fn readable<T: Default>(read: Result<T, InspectError>, unreadable: &mut Vec<String>) -> T {
    read.unwrap_or_else(|error| {
        unreadable.push(error.to_string());
        T::default()
    })
}

/// Holds one rollout, and its group's credit.
#[derive(Serialize)]
pub(super) struct RolloutAnswer<'a> {
    row: &'a Row,
    expected: Option<&'a str>,
    estimator: &'a str,
    norm_scope: &'a str,
    prompt: Tokens<'a>,
    /// The prompt, where there is text and no tokens.
    opening: Option<String>,
    turns: Vec<TurnAnswer<'a>>,
    group: Vec<Sibling<'a>>,
}

/// Holds tokens with their texts.
#[derive(Serialize)]
struct Tokens<'a> {
    ids: &'a [u32],
    pieces: &'a [String],
}

/// Says where a turn stands that doesn't follow the turn before it.
#[derive(Serialize)]
struct BranchAnswer<'a> {
    /// The index of the turn that it continues.
    parent: Option<usize>,
    diverged: bool,
    /// The tokens that the model read after that turn.
    context: Tokens<'a>,
}

#[derive(Serialize)]
struct TurnAnswer<'a> {
    branch: Option<BranchAnswer<'a>>,
    /// The number of its sequence.
    sequence: usize,
    sampled: Tokens<'a>,
    /// The turn's text, where there are no tokens.
    text: Option<&'a str>,
    logprobs: &'a [f32],
    /// Log of the ratio, per token; absent if the record lacks it.
    log_ratios: Option<&'a [f64]>,
    finish: Finish,
    calls: &'a [CallRecord],
    observation: Tokens<'a>,
    /// Rewards by name, before shaping.
    parts: Rewards,
    /// Whether the turn broke the format.
    violation: bool,
    reward: Option<f64>,
    #[serde(rename = "return")]
    returned: Option<f64>,
    advantage: Option<f64>,
}

/// Holds a member of the group with its credit, turn by turn.
#[derive(Serialize)]
struct Sibling<'a> {
    row: &'a Row,
    rewards: &'a [f64],
    returns: &'a [f64],
    advantages: &'a [f64],
}

fn of(values: &[Vec<f64>], at: u32) -> &[f64] {
    values.get(at as usize).map_or(&[], Vec::as_slice)
}

/// Returns the number of each turn's sequence. None if a record's turns are no tree.
fn sequences(played: &Trajectory) -> Vec<usize> {
    if !played.is_tree() {
        return Vec::new();
    }
    let mut numbers = vec![0; played.turns.len()];
    for (number, sequence) in played.sequences().into_iter().enumerate() {
        sequence.turns.into_iter().for_each(|(turn, _)| numbers[turn] = number);
    }
    numbers
}

/// Returns a rollout in full.
///
/// None if the group has changed since it was listed and no longer has this rollout.
pub(super) fn rollout(run: &Run, index: &Index, row: &Row, group: &GroupRecord) -> Option<Value> {
    let trajectory = group.trajectories.get(row.at as usize)?;
    let (scored, played) = (&trajectory.scored, &trajectory.played);
    let opening = conversation::opening(&group.messages);
    // All tokens are decoded together: a character may begin in one part and end in the next.
    let pieces = run.pieces().of(&played.tokens());
    let mut rest = pieces.as_slice();
    let mut take = |count: usize| {
        let (head, tail) = rest.split_at(count);
        rest = tail;
        head
    };
    let parts = |j: usize| scored.turns.get(j).cloned().unwrap_or_default();
    let value = |values: &[Vec<f64>], j: usize| of(values, row.at).get(j).copied();
    let prompt = Tokens { ids: &played.prompt, pieces: take(played.prompt.len()) };
    let sequences = sequences(played);
    let turns = played.turns.iter().enumerate().map(|(j, turn)| TurnAnswer {
        branch: turn.branch.as_ref().map(|branch| BranchAnswer {
            parent: branch.parent,
            diverged: branch.diverged,
            context: Tokens { ids: &branch.context, pieces: take(branch.context.len()) },
        }),
        sequence: sequences.get(j).copied().unwrap_or_default(),
        sampled: Tokens { ids: &turn.tokens, pieces: take(turn.tokens.len()) },
        text: opening.is_some().then_some(turn.text.as_str()),
        logprobs: &turn.logprobs,
        log_ratios: trajectory.log_ratios.as_ref().and_then(|turns| turns.get(j)).map(Vec::as_slice),
        finish: turn.finish,
        calls: &turn.calls,
        observation: Tokens { ids: &turn.observation, pieces: take(turn.observation.len()) },
        parts: parts(j),
        violation: scored.violates(j),
        reward: value(&group.rewards, j),
        returned: value(&group.returns, j),
        advantage: value(&group.advantages, j),
    });
    let sibling = |row| Sibling {
        row,
        rewards: of(&group.rewards, row.at),
        returns: of(&group.returns, row.at),
        advantages: of(&group.advantages, row.at),
    };
    let answer = RolloutAnswer {
        row,
        expected: group.expected.as_deref(),
        estimator: &group.estimator,
        norm_scope: &group.norm_scope,
        prompt,
        turns: turns.collect(),
        opening,
        group: index.siblings(row).iter().map(sibling).collect(),
    };
    Some(serde_json::to_value(&answer).expect("an answer holds plain values"))
}
