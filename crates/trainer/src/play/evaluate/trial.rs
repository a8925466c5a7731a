//! Plays and judges tasks, in parts and on several ranks.

use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, channel};
use std::thread::scope;

use serde::{Deserialize, Serialize};
use turnwise_credit::ScoredTrajectory;
use turnwise_envs::{RewardConfig, Task};
use turnwise_ranks::{Alone, Ranks};
use turnwise_rollout::{Game, Lost, Policy, play_streaming};
use turnwise_run::Evaluation;
use turnwise_trajectory::Trajectory;

use super::outcome::{Judged, Judgements, evaluation};
use crate::error::TrainError;
use crate::play::judged::judge;
use crate::play::lost_rollouts::refuse_many;
use crate::ranks::agree::gather;
use crate::ranks::deal::{deal, places};

/// Holds tasks for any policy to play, and the rules for judging them.
pub struct Trial<'a> {
    /// The rules of play.
    pub game: &'a Game<'a>,
    /// The tasks.
    pub tasks: &'a [&'a Task],
    /// Trajectories per task.
    pub samples: usize,
    /// Turn rewards.
    pub rewards: &'a RewardConfig,
}

/// Gets the index, the task, the trajectory and the rewards of each judged trajectory. Indices go task by
/// task, then by sample.
pub type Keep<'k> = dyn FnMut(usize, &Task, &Trajectory, &ScoredTrajectory) + Send + 'k;

impl Trial<'_> {
    /// Plays the tasks in parts, each with a new policy, and hands every judged trajectory to `keep`.
    /// Trajectories are handed over as soon as they have ended, whatever happens to the others. A task whose
    /// trajectories were all lost has no outcome.
    ///
    /// # Errors
    /// If the policy can't sample, or more than half of the trajectories were lost.
    pub fn run<'p>(
        &self,
        policy: &mut dyn FnMut() -> Box<dyn Policy + 'p>,
        progress: &mut (dyn FnMut(usize, usize) + Send),
        keep: &mut Keep<'_>,
    ) -> Result<Evaluation, TrainError> {
        self.run_among(&Alone, policy, progress, keep)
    }

    /// Plays as [`Trial::run`], each task on one of the ranks. `keep` gets the trajectories of this rank.
    pub(crate) fn run_among<'p>(
        &self,
        ranks: &dyn Ranks,
        policy: &mut dyn FnMut() -> Box<dyn Policy + 'p>,
        progress: &mut (dyn FnMut(usize, usize) + Send),
        keep: &mut Keep<'_>,
    ) -> Result<Evaluation, TrainError> {
        let mut all = Outcomes::default();
        for part in gather(ranks, self.part(ranks, policy, progress, keep))? {
            all.merge(part);
        }
        let Outcomes { judged, mut lost, env_faults } = all;
        // Trajectories arrive in any order.
        lost.sort_by_key(|(order, _)| *order);
        let lost: Vec<Lost> = lost.into_iter().map(|(_, lost)| lost).collect();
        let evaluation = evaluation(&judged, &lost, self.tasks, self.samples, self.rewards)?;
        Ok(Evaluation { env_faults, ..evaluation })
    }

    /// Plays and judges this rank's tasks.
    fn part<'p>(
        &self,
        ranks: &dyn Ranks,
        policy: &mut dyn FnMut() -> Box<dyn Policy + 'p>,
        progress: &mut (dyn FnMut(usize, usize) + Send),
        keep: &mut Keep<'_>,
    ) -> Result<Outcomes, TrainError> {
        let Self { game, tasks, samples, .. } = *self;
        // Few trajectories at a time keep the cache small.
        let at_once = (256 / samples.max(1)).max(1);
        let (tell, ended) = channel();
        let (mut lost, mut env_faults) = (Vec::new(), 0);
        let (played, judged) = scope(|scope| {
            let judge = scope.spawn(move || self.judge(&ended, keep));
            let mut play = || -> Result<(), TrainError> {
                for (part, now) in tasks.chunks(at_once).enumerate() {
                    let (first, total) = (part * at_once, tasks.len() * samples);
                    let owners = deal(now.iter().map(|task| &*task.id), ranks.size());
                    let mine = (0..now.len()).filter(|&at| owners[at] == ranks.rank());
                    let mine: Vec<usize> = mine.collect();
                    let dealt: Vec<&Task> = mine.iter().map(|&at| now[at]).collect();
                    let mut progress = |done: usize, _: usize| progress(first * samples + done, total);
                    let mut ended = |task: usize, trajectory: &Trajectory| {
                        // Sending fails only if the judge has panicked.
                        let _ = tell.send((first + mine[task], trajectory.clone()));
                    };
                    let mut policy = policy();
                    let n = samples as u32;
                    let played = play_streaming(game, &dealt, n, &mut *policy, &mut progress, &mut ended)?;
                    // Why nothing can be played says more than what was lost by it.
                    game.env.check()?;
                    env_faults += played.env_faults;
                    let places = places(now.iter().map(|task| &*task.id));
                    lost.extend(played.lost.into_iter().map(|lost| {
                        let place = places.get(&*lost.task).map_or(first, |at| first + at) * samples;
                        ((false, place), lost)
                    }));
                    // Several ranks know only together how many were lost.
                    if ranks.size() == 1 {
                        let lost: Vec<Lost> = lost.iter().map(|(_, lost)| lost.clone()).collect();
                        refuse_many(&lost, (first + now.len()) * samples)?;
                    }
                }
                Ok(())
            };
            let played = play();
            drop(tell);
            (played, judge.join().unwrap_or_else(|panic| resume_unwind(panic)))
        });
        played?;
        let (judged, unjudged) = judged;
        lost.extend(unjudged);
        Ok(Outcomes { judged, lost, env_faults })
    }

    /// Judges trajectories in the order of arrival, which doesn't change the result.
    fn judge(&self, ended: &Receiver<(usize, Trajectory)>, keep: &mut Keep<'_>) -> (Judgements, Vec<Placed>) {
        let Self { game, tasks, samples, rewards } = *self;
        let (mut by_place, mut lost) = (Judgements::new(), Vec::new());
        for (at, trajectory) in ended {
            let (task, place) = (tasks[at], at * samples + trajectory.sample as usize);
            let scored = match judge(game.env, task, &trajectory, rewards) {
                Ok(scored) => scored,
                Err(unjudged) => {
                    lost.push(((true, place), unjudged));
                    continue;
                }
            };
            keep(place, task, &trajectory, &scored);
            by_place.insert(place, Judged::of(game.env, task, &trajectory, &scored));
        }
        (by_place, lost)
    }
}

/// Holds a flag and a place, then the lost trajectory. The flag says whether it was played and not judged.
type Placed = ((bool, usize), Lost);

/// Holds the results of one rank.
#[derive(Default, Serialize, Deserialize)]
struct Outcomes {
    judged: Judgements,
    lost: Vec<Placed>,
    env_faults: u64,
}

impl Outcomes {
    fn merge(&mut self, other: Self) {
        self.judged.extend(other.judged);
        self.lost.extend(other.lost);
        self.env_faults += other.env_faults;
    }
}
