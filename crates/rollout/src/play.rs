//! Plays many trajectories at once. While a trajectory's tools run, the policy samples turns of others; it
//! samples again as soon as the observation has arrived.
//!
//! Three kinds of threads take part: those of the policy, those that run tools and sessions, and the leader.
//! Only the leader holds the trajectories; it receives turns and outputs as [`Event`]s. Trajectories are
//! stored by task and sample, so the result doesn't depend on the order of events.

use std::collections::{BTreeSet, HashMap};
use std::sync::mpsc::{Sender, channel};
use std::thread::scope;

use turnwise_envs::Task;
use turnwise_tools::ExecutorStats;
use turnwise_trajectory::Trajectory;

use crate::event::Event;
use crate::game::Game;
use crate::in_flight::{GroupPlace, InFlight};
use crate::leader::Leader;
use crate::lost::Lost;
use crate::policy::{Policy, PolicyError};
use crate::tool_threads::ToolThreads;
use crate::turns::Turns;

/// Holds the result of a play.
#[derive(Debug, Clone, Default)]
pub struct Played {
    /// Trajectories by task, then by sample. Lost ones are missing.
    pub groups: Vec<Vec<Trajectory>>,
    /// Lost trajectories.
    pub lost: Vec<Lost>,
    /// Counts of the executor during the play.
    pub executor: ExecutorStats,
    /// Faults of sessions and tools, including those that a restart made good.
    pub env_faults: u64,
}

/// Plays every task `samples` times. `progress` gets the numbers of ended and of all trajectories, on a
/// thread of the play.
///
/// An error of one trajectory costs only that one, and [`Played::lost`] lists it: a conversation that the
/// chat template refuses, or a turn that the policy gives up. After a fault of its session or of a tool, a
/// trajectory is restarted once; a second fault costs it. The end of a process that other sessions share
/// isn't counted so: those that waited for it then are played alone in the end ([`turnwise_envs::Retries`]).
///
/// # Errors
/// If the policy can't sample at all.
pub fn play(
    game: &Game<'_>,
    tasks: &[&Task],
    samples: u32,
    policy: &mut dyn Policy,
    progress: &mut (dyn FnMut(usize, usize) + Send),
) -> Result<Played, PolicyError> {
    play_streaming(game, tasks, samples, policy, progress, &mut |_, _| {})
}

/// Plays as [`play`], and passes each ended trajectory to `ended` at once. `ended` gets the index of the task
/// and runs on a thread of the play. Trajectories that it got stay valid if the play itself fails later.
///
/// # Errors
/// If the policy can't sample at all.
pub fn play_streaming(
    game: &Game<'_>,
    tasks: &[&Task],
    samples: u32,
    policy: &mut dyn Policy,
    progress: &mut (dyn FnMut(usize, usize) + Send),
    ended: &mut (dyn FnMut(usize, &Trajectory) + Send),
) -> Result<Played, PolicyError> {
    // Counts from before belong to other plays.
    game.executor.take_stats();
    let mut all: Vec<InFlight<'_>> = Vec::with_capacity(tasks.len() * samples as usize);
    let mut seen: HashMap<&str, u32> = HashMap::new();
    for (group, task) in tasks.iter().enumerate() {
        let times = seen.entry(&task.id).or_default();
        let place = GroupPlace { group, occurrence: *times };
        *times += 1;
        all.extend((0..samples).map(|sample| InFlight::new(task, place, sample)));
    }
    let (tell, events) = channel();
    let turns = Turns::new(tell.clone(), game.limits.tokens);
    let (served, led) = scope(|scope| {
        let at_once = game.executor.at_once().max(game.env.waiting_at_once());
        let tools = ToolThreads::new(scope, tell.clone(), at_once);
        let (turns, prompts) = (&turns, vec![None; tasks.len()]);
        let leader = scope.spawn(move || {
            let _close = CloseBehind(turns);
            let tell = ended;
            Leader {
                game,
                all,
                prompts,
                turns,
                tools,
                progress,
                tell,
                begun: 0,
                ended: 0,
                alone: BTreeSet::new(),
                playing_alone: 0,
                env_faults: 0,
            }
            .lead(&events)
        });
        let served = {
            let _left = LeaveBehind(&tell);
            policy.serve(turns, &game.turn_end())
        };
        (served, leader.join())
    });
    served?;
    let (all, env_faults) = led.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    assert!(all.iter().all(|in_flight| in_flight.done), "a policy serves until there are no more turns");
    let executor = game.executor.take_stats();
    let mut played = Played { groups: vec![Vec::new(); tasks.len()], lost: Vec::new(), executor, env_faults };
    for in_flight in all {
        let group = in_flight.place.group;
        match in_flight.finish() {
            Err(lost) => played.lost.push(lost),
            Ok(trajectory) => played.groups[group].push(trajectory),
        }
    }
    Ok(played)
}

/// Ends the policy's work when the leader returns or panics.
struct CloseBehind<'t, 'a>(&'t Turns<'a>);

impl Drop for CloseBehind<'_, '_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Tells the leader when the policy returns or panics.
struct LeaveBehind<'t, 'a>(&'t Sender<Event<'a>>);

impl Drop for LeaveBehind<'_, '_> {
    fn drop(&mut self) {
        // A leader that has finished receives no more events.
        let _ = self.0.send(Event::PolicyLeft);
    }
}

#[cfg(test)]
mod tests;
