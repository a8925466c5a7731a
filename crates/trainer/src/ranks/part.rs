//! The groups that one rank has played of a round, and the round put together.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use turnwise_credit::Group;
use turnwise_rollout::{Lost, Played};
use turnwise_tools::ExecutorStats;
use turnwise_trajectory::{CallRecord, Trajectory};

/// Holds the play of one rank.
#[derive(Serialize, Deserialize)]
pub(crate) struct Part {
    /// Trajectories of each group, and their turn rewards.
    groups: Vec<(Vec<Trajectory>, Group)>,
    lost: Vec<Lost>,
    /// The number of those that weren't played to their end. The others couldn't be judged.
    unplayed: usize,
    executor: ExecutorStats,
    env_faults: u64,
    /// Wall time of every call, which records lack.
    call_wall_ms: Vec<f64>,
}

impl Part {
    pub(crate) fn new(played: Played, unplayed: usize, groups: Vec<Group>) -> Self {
        let Played { groups: mut trajectories, lost, executor, env_faults } = played;
        let call_wall_ms = call_times(&mut trajectories).map(|wall| *wall).collect();
        let groups = trajectories.into_iter().zip(groups).collect();
        Self { groups, lost, unplayed, executor, env_faults, call_wall_ms }
    }
}

/// Puts the parts of all ranks together. `owners`: the rank of each group; `places`: the first group of each
/// task. Lost trajectories come in the order of one rank's play.
pub(crate) fn together(
    parts: Vec<Part>,
    owners: &[usize],
    places: &HashMap<&str, usize>,
) -> (Played, Vec<Group>) {
    let mut played = Played::default();
    let mut lost = Vec::new();
    let mut dealt = Vec::new();
    for part in parts {
        let Part { groups, lost: of_part, unplayed, executor, env_faults, call_wall_ms } = part;
        let (mut trajectories, groups): (Vec<Vec<Trajectory>>, Vec<Group>) = groups.into_iter().unzip();
        call_times(&mut trajectories).zip(call_wall_ms).for_each(|(wall, measured)| *wall = measured);
        for (at, one) in of_part.into_iter().enumerate() {
            lost.push(((at >= unplayed, places.get(&*one.task).copied()), one));
        }
        played.executor = both(&played.executor, &executor);
        played.env_faults += env_faults;
        dealt.push(trajectories.into_iter().zip(groups));
    }
    lost.sort_by_key(|(order, _)| *order);
    played.lost = lost.into_iter().map(|(_, lost)| lost).collect();
    let of = |&owner: &usize| dealt[owner].next().expect("a rank plays every group that it is dealt");
    let (trajectories, groups) = owners.iter().map(of).unzip();
    played.groups = trajectories;
    (played, groups)
}

/// Goes through the times of all calls.
fn call_times(groups: &mut [Vec<Trajectory>]) -> impl Iterator<Item = &mut f64> {
    let turns = groups.iter_mut().flatten().flat_map(|trajectory| &mut trajectory.turns);
    turns.flat_map(|turn| &mut turn.calls).filter_map(|call| match call {
        CallRecord::Executed { output, .. } => Some(&mut output.wall_ms),
        CallRecord::Malformed(_) => None,
    })
}

/// Adds up the executor's counts of two plays. Quantiles of times are those of the slower one.
pub(crate) fn both(one: &ExecutorStats, other: &ExecutorStats) -> ExecutorStats {
    ExecutorStats {
        executions: one.executions + other.executions,
        remembered: one.remembered + other.remembered,
        timeouts: one.timeouts + other.timeouts,
        out_of_memory: one.out_of_memory + other.out_of_memory,
        killed: one.killed + other.killed,
        faults: one.faults + other.faults,
        cpu_ms: one.cpu_ms + other.cpu_ms,
        wall_ms_p50: one.wall_ms_p50.max(other.wall_ms_p50),
        wall_ms_p99: one.wall_ms_p99.max(other.wall_ms_p99),
        queue_ms_p50: one.queue_ms_p50.max(other.queue_ms_p50),
        queue_ms_p99: one.queue_ms_p99.max(other.queue_ms_p99),
    }
}
