//! Writes traces as groups of rollouts.

use std::collections::HashMap;

use turnwise_credit::{ScoredTrajectory, is_right};
use turnwise_run::{GroupRecord, TrajectoryRecord};
use turnwise_trajectory::{Branch, Rewards, Trajectory, Turn};

use crate::trace::{Call, Trace};

/// Returns the traces as groups, in the order of their first traces. `correct_at`: the accuracy from which
/// one without a verdict is right.
pub(crate) fn groups(traces: &[Trace], correct_at: f64) -> Vec<GroupRecord> {
    let (mut groups, mut places) = (Vec::new(), HashMap::new());
    for trace in traces.iter().filter(|trace| !trace.calls.is_empty()) {
        let place = *places.entry(&trace.task).or_insert_with(|| {
            groups.push(GroupRecord { group: trace.task.clone(), ..GroupRecord::default() });
            groups.len() - 1
        });
        let group: &mut GroupRecord = &mut groups[place];
        let played = trajectory(trace, group.trajectories.len() as u32);
        let scored = scored(trace, correct_at);
        group.trajectories.push(TrajectoryRecord { scored, played, log_ratios: None });
    }
    groups
}

fn scored(trace: &Trace, correct_at: f64) -> ScoredTrajectory {
    let turns: Vec<Rewards> = trace.calls.iter().map(|call| call.rewards.clone()).collect();
    let grade: f64 = turns.iter().map(Rewards::acc).sum();
    let mut scored = ScoredTrajectory {
        correct: trace.correct.unwrap_or_else(|| is_right(grade, correct_at)),
        turns,
        truncated: trace.stopped().is_truncated(),
        ..ScoredTrajectory::default()
    };
    trace.judged.tell(&mut scored);
    scored
}

/// Returns a trajectory. A call that continues the one before it is its next turn; another one is a branch.
fn trajectory(trace: &Trace, sample: u32) -> Trajectory {
    let mut played =
        Trajectory { task: trace.task.clone(), sample, prompt: vec![], turns: vec![], stop: trace.stopped() };
    for (place, call) in trace.calls.iter().enumerate() {
        let context = trace.context(place).to_vec();
        let mut turn = turn(call);
        match place.checked_sub(1) {
            // Nothing was sampled before it.
            None => played.prompt = context,
            Some(before) if call.parent == Some(before) && !call.diverged => {
                played.turns[before].observation = context;
            }
            Some(_) => turn.branch = Some(Branch { parent: call.parent, context, diverged: call.diverged }),
        }
        played.turns.push(turn);
    }
    if let Some(last) = played.turns.last_mut() {
        last.correct = trace.correct;
    }
    played
}

fn turn(call: &Call) -> Turn {
    Turn {
        tokens: call.tokens.clone(),
        logprobs: call.logprobs.clone(),
        text: call.text.clone(),
        finish: call.finish,
        calls: call.tools.clone(),
        version: call.version,
        rewards: call.rewards.clone(),
        ..Turn::default()
    }
}
