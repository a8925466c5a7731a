//! Plays the groups of a step, and others in the places of those without signal.
//!
//! Dynamic sampling (DAPO, arXiv:2503.14476 §3.2) samples until the batch is full of groups whose rewards
//! differ. Here the number of further rounds is bounded, and the rule is the estimator's own. Groups that
//! have no signal after the last round stay in the batch.

use turnwise_credit::{NoSignal, ScoredGroup};
use turnwise_rollout::Played;
use turnwise_run::{GroupRecord, Replaced};

use crate::error::TrainError;
use crate::play::lost_rollouts::refuse_many;
use crate::player::{OwnPart, Player};
use crate::ranks::agree::said;
use crate::ranks::part::both;
use crate::step_rollouts::{StepRollouts, scored_record};

/// Names a group of the batch that would move no weight.
struct Idle {
    place: usize,
    reason: NoSignal,
    scored: ScoredGroup,
}

impl Player {
    /// Plays the tasks of a step and judges their trajectories.
    ///
    /// Groups without signal are replaced by the next tasks, in `rollout.refill` further rounds at most.
    /// `progress` gets the number of ended trajectories and the total.
    ///
    /// # Errors
    /// If the policy can't sample, or more than half of the trajectories are lost.
    pub(crate) fn play(
        &self,
        step: usize,
        progress: &mut (dyn FnMut(usize, usize) + Send),
    ) -> Result<StepRollouts, TrainError> {
        self.hold()?;
        self.finish(step, self.begin(step, progress), progress)
    }

    /// Returns the tasks of a step's first round.
    fn first(&self, step: usize) -> Vec<usize> {
        let groups = self.config.rollout.groups;
        self.draw.of_step(step, groups).take(groups).collect()
    }

    /// Plays the tasks of the first round that this rank is dealt, without a word to the others.
    pub(crate) fn begin(
        &self,
        step: usize,
        progress: &mut (dyn FnMut(usize, usize) + Send),
    ) -> Result<OwnPart, TrainError> {
        self.own(step, &self.first(step), &StepRollouts::default(), progress)
    }

    /// Puts the first round of all ranks together, and plays the further ones.
    pub(crate) fn finish(
        &self,
        step: usize,
        begun: Result<OwnPart, TrainError>,
        progress: &mut (dyn FnMut(usize, usize) + Send),
    ) -> Result<StepRollouts, TrainError> {
        let (rollout, first) = (&self.config.rollout, self.first(step));
        let mut order = self.draw.of_step(step, rollout.groups).skip(first.len());
        let mut rollouts = self.whole(&first, begun)?;
        let mut played = first.len() * rollout.samples;
        refuse_many(&rollouts.played.lost, played)?;
        for round in 0..rollout.refill {
            let idle = self.without_signal(&rollouts, step)?;
            if idle.is_empty() {
                break;
            }
            let next: Vec<usize> = order.by_ref().take(idle.len()).collect();
            let mut further = |done: usize, all: usize| progress(played + done, played + all);
            let fresh = self.round(step, &next, &rollouts, &mut further)?;
            played += next.len() * rollout.samples;
            rollouts.replace(idle, fresh, step, round);
            refuse_many(&rollouts.played.lost, played)?;
        }
        Ok(rollouts)
    }

    /// Returns the groups without signal, by the estimator's rule on the whole batch.
    ///
    /// The KL to the reference isn't charged yet: it differs in every group and says nothing of the task.
    fn without_signal(&self, rollouts: &StepRollouts, step: usize) -> Result<Vec<Idle>, TrainError> {
        let scored = said(&*self.ranks, || Ok(self.scorer.score(&rollouts.groups, step)?))?;
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
    pub(crate) fn tasks(&self) -> impl Iterator<Item = &str> {
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
