//! Plays the groups of a step, and others in the places of those without signal.
//!
//! Dynamic sampling (DAPO, arXiv:2503.14476 §3.2) samples until the batch is full of groups whose rewards
//! differ. Here the number of further rounds is bounded, and the rule is the estimator's own. Groups that
//! have no signal after the last round stay in the batch.

use turnwise_credit::{NoSignal, ScoredGroup};
use turnwise_envs::{Task, TaskSplit};
use turnwise_model::Transformer;
use turnwise_rollout::{Played, play};
use turnwise_run::{GroupRecord, Replaced};
use turnwise_tools::ExecutorStats;

use super::{Trainer, by_agents};
use crate::error::TrainError;
use crate::play::agents::AgentPlay;
use crate::play::losses::refuse_many;
use crate::play::policy::ModelPolicy;
use crate::play::setup::sampling;
use crate::step_rollouts::{StepRollouts, scored_record};

/// Names a group of the batch that would move no weight.
struct Idle {
    place: usize,
    reason: NoSignal,
    scored: ScoredGroup,
}

impl Trainer {
    /// Plays the tasks of a step and judges their trajectories.
    ///
    /// Groups without signal are replaced by the next tasks, in `rollout.refill` further rounds at most.
    /// `progress` gets the number of ended trajectories and the total.
    ///
    /// # Errors
    /// If the policy can't sample, or more than half of the trajectories are lost.
    pub fn play(
        &self,
        step: usize,
        progress: &mut (dyn FnMut(usize, usize) + Send),
    ) -> Result<StepRollouts, TrainError> {
        let rollout = &self.config.rollout;
        let model = self.model().for_sampling();
        let mut order = self.draw.of_step(step, rollout.groups);
        let first: Vec<usize> = order.by_ref().take(rollout.groups).collect();
        let mut rollouts = self.round(&model, step, &first, &StepRollouts::default(), progress)?;
        let mut played = first.len() * rollout.samples;
        self.refuse_lost(&rollouts, played)?;
        for round in 0..rollout.refill {
            let idle = self.without_signal(&rollouts, step)?;
            if idle.is_empty() {
                break;
            }
            let next: Vec<usize> = order.by_ref().take(idle.len()).collect();
            let mut further = |done: usize, all: usize| progress(played + done, played + all);
            let fresh = self.round(&model, step, &next, &rollouts, &mut further)?;
            played += next.len() * rollout.samples;
            rollouts.replace(idle, fresh, step, round);
            self.refuse_lost(&rollouts, played)?;
        }
        Ok(rollouts)
    }

    /// Fails if nothing can be played any more, or more than half of `played` trajectories are lost.
    fn refuse_lost(&self, rollouts: &StepRollouts, played: usize) -> Result<(), TrainError> {
        // Why nothing can be played says more than what was lost by it.
        self.setup.env.check()?;
        refuse_many(&rollouts.played.lost, played)
    }

    /// Plays and judges tasks by their numbers. `earlier`: the groups that the step has played before.
    fn round(
        &self,
        model: &Transformer,
        step: usize,
        numbers: &[usize],
        earlier: &StepRollouts,
        progress: &mut (dyn FnMut(usize, usize) + Send),
    ) -> Result<StepRollouts, TrainError> {
        let (rollout, env) = (&self.config.rollout, &self.setup.env);
        let task = |&number: &usize| env.task(TaskSplit::Train, number);
        let tasks = numbers.iter().map(task).collect::<Result<Vec<Task>, _>>()?;
        let (sampling, seed) = (sampling(&rollout.sampling), self.config.train.seed);
        let (played, groups) = if let Some(agent) = env.agent() {
            let play = AgentPlay {
                setup: &self.setup,
                model,
                sampling,
                cache: self.cache_budget(),
                rewards: &self.config.reward,
                seed,
                step: step as u64,
                version: self.optimizer.updates() as u64,
            };
            let earlier: Vec<&str> = earlier.tasks().collect();
            by_agents::round(&play, agent, &tasks, rollout.samples, &earlier, progress)?
        } else {
            let mut policy = ModelPolicy::new(model, sampling, self.workers, seed, step as u64)
                .within(self.cache_budget())
                .at_version(self.optimizer.updates() as u64)
                .after(earlier.tasks());
            let refs: Vec<&Task> = tasks.iter().collect();
            let mut played = play(&self.setup.game(), &refs, rollout.samples as u32, &mut policy, progress)?;
            let groups = self.reward(&tasks, &mut played);
            (played, groups)
        };
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

    /// Returns the groups without signal, by the estimator's rule on the whole batch.
    ///
    /// The KL to the reference isn't charged yet: it differs in every group and says nothing of the task.
    fn without_signal(&self, rollouts: &StepRollouts, step: usize) -> Result<Vec<Idle>, TrainError> {
        let scored = self.scorer.score(&rollouts.groups, step)?;
        let groups = scored.into_iter().zip(&rollouts.groups).enumerate();
        let idle = groups.filter_map(|(place, (scored, group))| {
            let reason = scored.no_signal(group)?;
            Some(Idle { place, reason, scored })
        });
        Ok(idle.collect())
    }
}

impl StepRollouts {
    /// Returns the task of every group that was played, by its id.
    fn tasks(&self) -> impl Iterator<Item = &str> {
        let replaced = self.replaced.iter().map(|record| &*record.group);
        replaced.chain(self.groups.iter().map(|group| &*group.group))
    }

    /// Puts the groups of a round into the places of idle ones, which become records of replaced groups.
    fn replace(&mut self, idle: Vec<Idle>, fresh: Self, step: usize, round: usize) {
        let Self { levels, answers, indices, played, groups, .. } = fresh;
        let Played { groups: trajectories, lost, executor, env_faults } = played;
        assert_eq!(groups.len(), idle.len(), "a round plays a task for every group that it replaces");
        self.played.lost.extend(lost);
        self.played.env_faults += env_faults;
        self.played.executor = both(&self.played.executor, &executor);
        let fresh = levels.into_iter().zip(answers).zip(indices).zip(groups.into_iter().zip(trajectories));
        for (Idle { place, reason, scored }, fresh) in idle.into_iter().zip(fresh) {
            let (((level, answer), index), (group, trajectories)) = fresh;
            let (old, played) = (&mut self.groups[place], &mut self.played.groups[place]);
            self.replaced.push(GroupRecord {
                step,
                level: std::mem::replace(&mut self.levels[place], level),
                index: std::mem::replace(&mut self.indices[place], index),
                expected: Some(std::mem::replace(&mut self.answers[place], answer)),
                replaced: Some(Replaced { round, reason: reason.name().into() }),
                ..scored_record(old, played, &scored)
            });
            (*old, *played) = (group, trajectories);
        }
    }
}

/// Adds up the executor's counts of two rounds. Quantiles of times are those of the slower one.
fn both(one: &ExecutorStats, other: &ExecutorStats) -> ExecutorStats {
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
