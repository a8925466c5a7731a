//! Reads a group of rollouts.

use turnwise_run::{GroupRecord, TrajectoryRecord};
use turnwise_trajectory::{TokenId, Trajectory, Turn};

use crate::document::Document;
use crate::error::Wrong;
use crate::exact::Columns;
use crate::judged::Judged;
use crate::trace::{Call, Trace};

/// Reads the trajectories of a group.
pub(crate) fn read(document: &Document<'_>, place: &str) -> Result<Vec<Trace>, Wrong> {
    let GroupRecord { group, trajectories, .. } = document.read()?;
    let trace = |(nth, record): (usize, TrajectoryRecord)| {
        let at = format!("trajectories[{nth}]");
        let TrajectoryRecord { scored, played, .. } = record;
        if scored.turns.len() != played.turns.len() {
            let (rewards, turns) = (scored.turns.len(), played.turns.len());
            return Err(Wrong::at(format!("{at}.turns"), format!("has {rewards} rewards for {turns} turns")));
        }
        let mut trace = Trace::new(format!("{}#{}", played.task, played.sample), place);
        trace.task.clone_from(&group);
        trace.stop = Some(played.stop);
        trace.correct = Some(scored.correct);
        calls(played, &at, &mut trace)?;
        for (call, rewards) in scored.turns.iter().enumerate() {
            trace.recorded(call, rewards.clone(), &format!("{at}.turns[{call}]"))?;
        }
        trace.judged = Judged::of(scored);
        Ok(trace)
    };
    trajectories.into_iter().enumerate().map(trace).collect()
}

/// Adds the turns of a trajectory as calls with their whole prompts.
fn calls(played: Trajectory, at: &str, trace: &mut Trace) -> Result<(), Wrong> {
    if !played.is_tree() {
        return Err(Wrong::at(format!("{at}.played.turns"), "a turn continues a later one"));
    }
    let Trajectory { prompt: mut opening, turns, .. } = played;
    let mut observation: Vec<TokenId> = Vec::new();
    for (nth, turn) in turns.into_iter().enumerate() {
        let Turn { tokens, logprobs, text, finish, calls, branch, version, .. } = turn;
        let (parent, context, diverged) = match branch {
            Some(branch) => (branch.parent, branch.context, branch.diverged),
            None => (nth.checked_sub(1), std::mem::take(&mut observation), false),
        };
        let before = match parent {
            Some(parent) => [&trace.calls[parent].prompt[..], &trace.calls[parent].tokens].concat(),
            // Other conversations begin with their context alone.
            None => std::mem::take(&mut opening),
        };
        let columns = Columns {
            prompt: Some([before, context].concat()),
            sampled: Some(tokens),
            logprobs: Some(logprobs),
        };
        let exact = columns.exact(&format!("{at}.played.turns[{nth}]"), ["prompt", "tokens", "logprobs"])?;
        observation = turn.observation;
        let call =
            Call { parent, finish, version, diverged, text, tools: calls, ..Call::of(nth as u32, exact) };
        trace.calls.push(call);
    }
    Ok(())
}
