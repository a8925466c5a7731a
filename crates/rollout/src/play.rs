//! Multi-turn play. Each trajectory goes its own way: while its tools run, the policy samples turns of others, and it
//! joins them again as soon as its observation is there.
//!
//! Three kinds of threads: the policy's, which sample; those that run tools; and one that leads. The last alone holds the
//! trajectories, and hears of turns and outputs as [`Event`]s. Trajectories are recorded by task and sample, so nothing
//! that is kept depends on the order of events.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::scope;

use turnwise_envs::Task;
use turnwise_tools::{ExecutorFault, ExecutorStats};
use turnwise_trajectory::{ToolOutput, Trajectory};

use crate::game::Game;
use crate::lost::Lost;
use crate::policy::{Completion, Policy, PolicyError};
use crate::seat::{Place, Seat};
use crate::state::State;
use crate::tool_threads::{ToolThreads, Work};
use crate::turns::Turns;

/// What a play gave.
#[derive(Debug, Clone)]
pub struct Played {
    /// Trajectories by task, then by sample. Those that were lost are missing.
    pub groups: Vec<Vec<Trajectory>>,
    /// Those that were lost.
    pub lost: Vec<Lost>,
    /// What the executor did meanwhile.
    pub executor: ExecutorStats,
}

/// What the leading thread hears.
pub(crate) enum Event {
    /// The policy has sampled a turn.
    Sampled(usize, Completion),
    /// The policy could not sample a turn, for this reason.
    Lost(usize, String),
    /// The context of a turn is full for the policy.
    Full(usize),
    /// Calls of a trajectory's turn have run, in a state if they share one.
    Ran { seat: usize, outputs: Vec<(usize, Result<ToolOutput, ExecutorFault>)>, state: Option<State> },
    /// Nobody samples any more.
    PolicyLeft,
    /// A thread that ran tools has panicked.
    ToolsBroke,
}

/// Plays every task `samples` times. `progress` is told how many trajectories have ended, of how many, from a thread of
/// the play.
///
/// What goes wrong with one trajectory (a fault of the executor, a conversation that the chat template
/// refuses, a turn that the policy gives up) costs that one: it is in [`Played::lost`].
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
    play_telling(game, tasks, samples, policy, progress, &mut |_, _| {})
}

/// As [`play`], and tells `ended` every trajectory with the index of its task as soon as it has ended, from a thread of the
/// play. What was told stays true if the play itself fails later.
///
/// # Errors
/// If the policy can't sample at all.
pub fn play_telling(
    game: &Game<'_>,
    tasks: &[&Task],
    samples: u32,
    policy: &mut dyn Policy,
    progress: &mut (dyn FnMut(usize, usize) + Send),
    ended: &mut (dyn FnMut(usize, &Trajectory) + Send),
) -> Result<Played, PolicyError> {
    // What ran before isn't this play's.
    game.executor.take_stats();
    let mut seats: Vec<Seat<'_>> = Vec::with_capacity(tasks.len() * samples as usize);
    let mut seen: HashMap<&str, u32> = HashMap::new();
    for (group, task) in tasks.iter().enumerate() {
        let prompt = game.chat.open(&game.opening(task)).map_err(|refusal| refusal.to_string());
        let times = seen.entry(&task.id).or_default();
        let place = Place { group, occurrence: *times };
        *times += 1;
        seats.extend((0..samples).map(|sample| Seat::new(task, place, sample, &prompt, game)));
    }
    let (tell, events) = channel();
    let turns = Turns::new(tell.clone(), game.limits.tokens);
    let (served, led) = scope(|scope| {
        let tools = ToolThreads::new(game, scope, tell.clone());
        let turns = &turns;
        let leader = scope.spawn(move || {
            let _close = CloseBehind(turns);
            Leader { game, seats, turns, tools, progress, tell: ended, ended: 0 }.lead(&events)
        });
        let served = {
            let _left = LeaveBehind(&tell);
            policy.serve(turns, &game.turn_end())
        };
        (served, leader.join())
    });
    served?;
    let seats = led.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    assert!(seats.iter().all(|seat| seat.done), "a policy serves until there are no more turns");
    let executor = game.executor.take_stats();
    let mut played = Played { groups: vec![Vec::new(); tasks.len()], lost: Vec::new(), executor };
    for seat in seats {
        let group = seat.place.group;
        match seat.finish() {
            Err(lost) => played.lost.push(lost),
            Ok(trajectory) => played.groups[group].push(trajectory),
        }
    }
    Ok(played)
}

/// Ends the policy's work when the leader is gone, whether it came to its end or not.
struct CloseBehind<'t, 'a>(&'t Turns<'a>);

impl Drop for CloseBehind<'_, '_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Tells the leader when the policy is gone.
struct LeaveBehind<'t>(&'t Sender<Event>);

impl Drop for LeaveBehind<'_> {
    fn drop(&mut self) {
        // A leader that has come to its end doesn't listen.
        let _ = self.0.send(Event::PolicyLeft);
    }
}

/// Hands turns to the policy and calls to the tools, and takes what comes back.
struct Leader<'s, 'p> {
    game: &'p Game<'p>,
    seats: Vec<Seat<'p>>,
    turns: &'p Turns<'p>,
    tools: ToolThreads<'s, 'p>,
    progress: &'p mut (dyn FnMut(usize, usize) + Send),
    tell: &'p mut (dyn FnMut(usize, &Trajectory) + Send),
    ended: usize,
}

impl<'p> Leader<'_, 'p> {
    /// Plays until all trajectories have ended, or the policy has left.
    fn lead(mut self, events: &Receiver<Event>) -> Vec<Seat<'p>> {
        self.report();
        for at in 0..self.seats.len() {
            self.go_on(at);
        }
        while self.ended < self.seats.len() {
            match events.recv().expect("the policy says when it leaves") {
                Event::Sampled(at, completion) => self.sampled(at, completion),
                Event::Lost(at, reason) => {
                    self.seats[at].lose(reason);
                    self.go_on(at);
                }
                Event::Full(at) => {
                    self.seats[at].fill();
                    self.go_on(at);
                }
                Event::Ran { seat, outputs, state } => {
                    if self.seats[seat].heard(outputs, state) {
                        self.close_turn(seat);
                    }
                }
                Event::PolicyLeft => break,
                Event::ToolsBroke => panic!("a tool thread panicked"),
            }
        }
        self.seats
    }

    /// Hands the next turn of a trajectory to the policy, if there is one.
    fn go_on(&mut self, at: usize) {
        let seat = &self.seats[at];
        if seat.done {
            if let Some(trajectory) = seat.whole() {
                (self.tell)(seat.place.group, trajectory);
            }
            self.ended += 1;
            self.turns.end(at);
            self.report();
        } else {
            self.turns.offer(self.seats[at].context(at, self.game));
        }
    }

    fn sampled(&mut self, at: usize, completion: Completion) {
        let seat = &mut self.seats[at];
        let calls = seat.take(completion, self.game);
        if calls.is_empty() {
            return self.close_turn(at);
        }
        let (task, sample, turn) = (seat.task, seat.trajectory.sample, seat.trajectory.turns.len() - 1);
        let work = |calls, state| Work { seat: at, task, sample, turn, calls, state };
        if self.game.keep_state {
            // Calls that share a state run one after the other, in the order written.
            let state = Some(seat.lend_state());
            self.tools.run(work(calls, state));
        } else {
            for call in calls {
                self.tools.run(work(vec![call], None));
            }
        }
    }

    fn close_turn(&mut self, at: usize) {
        self.seats[at].close_turn(self.game);
        self.go_on(at);
    }

    fn report(&mut self) {
        (self.progress)(self.ended, self.seats.len());
    }
}

#[cfg(test)]
mod lost;
#[cfg(test)]
mod notebook;
#[cfg(test)]
mod tests;
