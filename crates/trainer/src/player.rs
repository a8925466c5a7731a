//! Plays the tasks of a step with fixed weights. It shares nothing with the update that may run beside it.

use std::sync::Arc;

use turnwise_credit::{Group, Scorer};
use turnwise_curriculum::TaskDraw;
use turnwise_envs::{Agent, Task, TaskSplit, read_tasks};
use turnwise_model::Transformer;
use turnwise_ranks::Ranks;
use turnwise_rollout::remote::tokens::{Stream, TokenPolicy};
use turnwise_rollout::{Played, Policy, play};
use turnwise_trajectory::Trajectory;

use crate::config::RunConfig;
use crate::error::TrainError;
use crate::play::agents::{self, AgentPlay};
use crate::play::cache_budget::CacheBudget;
use crate::play::judged::judge;
use crate::play::policy::ModelPolicy;
use crate::play::servers::{RunServers, rule};
use crate::play::setup::{Setup, sampling};
use crate::ranks::agree::gather;
use crate::ranks::deal::{deal, places};
use crate::ranks::part::{Part, together};
use crate::step_rollouts::StepRollouts;

/// Holds everything that a play needs: the setup of the run, and the policy at one moment.
pub(crate) struct Player {
    pub(crate) config: Arc<RunConfig>,
    pub(crate) setup: Arc<Setup>,
    pub(crate) scorer: Arc<Scorer>,
    pub(crate) servers: Option<Arc<RunServers>>,
    pub(crate) ranks: Arc<dyn Ranks>,
    pub(crate) workers: usize,
    /// The policy as it is trained.
    pub(crate) model: Transformer,
    /// Optimizer updates before it.
    pub(crate) updates: u64,
    /// The draw of tasks.
    pub(crate) draw: TaskDraw,
}

/// Holds a round as one rank has played it.
pub(crate) struct OwnPart {
    /// The tasks of all ranks.
    tasks: Vec<Task>,
    /// The rank of each task.
    owners: Vec<usize>,
    part: Part,
}

impl Player {
    /// Returns the number of trajectories of a step's first round.
    pub(crate) fn trajectories(&self) -> usize {
        self.config.rollout.groups * self.config.rollout.samples
    }

    /// Makes the servers hold the policy, if it plays there. All ranks call this on their main threads.
    pub(crate) fn hold(&self) -> Result<(), TrainError> {
        self.servers.as_ref().map_or(Ok(()), |servers| servers.hold(&self.model, self.updates))
    }

    /// Plays and judges tasks by their numbers, each on one of the ranks. `earlier`: the groups that the step
    /// has played before.
    pub(crate) fn round(
        &self,
        step: usize,
        numbers: &[usize],
        earlier: &StepRollouts,
        progress: &mut (dyn FnMut(usize, usize) + Send),
    ) -> Result<StepRollouts, TrainError> {
        self.hold()?;
        self.whole(numbers, self.own(step, numbers, earlier, progress))
    }

    /// Plays the tasks of a round that this rank is dealt, without a word to the others.
    pub(crate) fn own(
        &self,
        step: usize,
        numbers: &[usize],
        earlier: &StepRollouts,
        progress: &mut (dyn FnMut(usize, usize) + Send),
    ) -> Result<OwnPart, TrainError> {
        let tasks = read_tasks(&*self.setup.env, TaskSplit::Train, numbers)?;
        let owners = deal(tasks.iter().map(|task| &*task.id), self.ranks.size());
        let dealt = tasks.iter().zip(&owners).filter(|(_, owner)| **owner == self.ranks.rank());
        let dealt: Vec<&Task> = dealt.map(|(task, _)| task).collect();
        let part = self.part(step, &dealt, earlier, progress)?;
        Ok(OwnPart { tasks, owners, part })
    }

    /// Puts a round together from the parts of all ranks.
    pub(crate) fn whole(
        &self,
        numbers: &[usize],
        own: Result<OwnPart, TrainError>,
    ) -> Result<StepRollouts, TrainError> {
        let mut dealt = None;
        let part = own.map(|OwnPart { tasks, owners, part }| {
            dealt = Some((tasks, owners));
            part
        });
        let parts = gather(&*self.ranks, part)?;
        let (tasks, owners) = dealt.expect("no rank has an error");
        let (played, groups) = together(parts, &owners, &places(tasks.iter().map(|task| &*task.id)));
        let known = self.draw.reads_outcomes();
        Ok(StepRollouts {
            levels: tasks.iter().map(|task| task.level).collect(),
            answers: tasks.into_iter().map(|task| task.answer).collect(),
            indices: numbers.iter().map(|&number| known.then_some(number)).collect(),
            played,
            groups,
            replaced: Vec::new(),
        })
    }

    /// Plays and judges this rank's tasks of a round.
    fn part(
        &self,
        step: usize,
        tasks: &[&Task],
        earlier: &StepRollouts,
        progress: &mut (dyn FnMut(usize, usize) + Send),
    ) -> Result<Part, TrainError> {
        let samples = self.config.rollout.samples as u32;
        if let Some(agent) = self.setup.env.agent() {
            let (played, groups) = self.by_agents(agent, step, tasks, earlier, progress)?;
            let unplayed = played.lost.len();
            return Ok(Part::new(played, unplayed, groups));
        }
        let mut policy = self.policy(step, earlier);
        let mut played = play(&self.setup.game(), tasks, samples, &mut *policy, progress)?;
        let unplayed = played.lost.len();
        let groups = self.reward(tasks, &mut played);
        // Why nothing can be played any more says more than what was lost by it.
        self.setup.env.check()?;
        Ok(Part::new(played, unplayed, groups))
    }

    /// Plays this rank's tasks of a round by somebody else's programs.
    fn by_agents(
        &self,
        agent: &Agent,
        step: usize,
        tasks: &[&Task],
        earlier: &StepRollouts,
        progress: &mut (dyn FnMut(usize, usize) + Send),
    ) -> Result<(Played, Vec<Group>), TrainError> {
        let rollout = &self.config.rollout;
        let play = AgentPlay {
            setup: &self.setup,
            model: &self.model.for_sampling(),
            precision: rollout.precision,
            sampling: sampling(&rollout.sampling),
            cache: CacheBudget::new(rollout.cache_mib, &self.model.device()),
            rewards: &self.config.reward,
            seed: self.config.train.seed,
            step: step as u64,
            version: self.updates,
        };
        let earlier: Vec<&str> = earlier.tasks().collect();
        agents::round(&play, agent, tasks, rollout.samples, &earlier, progress)
    }

    /// Returns who samples the turns: the model in this process, or servers that hold its weights.
    fn policy(&self, step: usize, earlier: &StepRollouts) -> Box<dyn Policy + '_> {
        let (config, seed, step) = (&self.config.rollout.sampling, self.config.train.seed, step as u64);
        let Some(servers) = &self.servers else {
            let cache = CacheBudget::new(self.config.rollout.cache_mib, &self.model.device());
            let model = self.model.for_sampling();
            let precision = self.config.rollout.precision;
            let policy = ModelPolicy::rounded(&model, precision, sampling(config), self.workers, seed, step)
                .within(cache)
                .at_version(self.updates)
                .after(earlier.tasks());
            return Box::new(policy);
        };
        let stream = Stream { seed, step };
        let policy = TokenPolicy::new(servers.fleet(), rule(config), stream, self.updates);
        Box::new(policy.after(earlier.tasks()))
    }

    /// Returns turn rewards of every group. A trajectory that can't be judged is lost.
    fn reward(&self, tasks: &[&Task], played: &mut Played) -> Vec<Group> {
        let Played { groups, lost, .. } = played;
        let group = |(task, trajectories): (&&Task, &mut Vec<Trajectory>)| {
            let mut scored = Vec::with_capacity(trajectories.len());
            trajectories.retain(|trajectory| {
                match judge(&*self.setup.env, task, trajectory, &self.config.reward) {
                    Ok(judged) => scored.push(judged),
                    Err(unjudged) => {
                        lost.push(unjudged);
                        return false;
                    }
                }
                true
            });
            Group { group: task.id.clone(), trajectories: scored }
        };
        tasks.iter().zip(groups).map(group).collect()
    }
}
