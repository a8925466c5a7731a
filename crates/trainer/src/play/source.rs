//! Sources of the trajectories of a step.

use std::fmt::Debug;

use turnwise_rollout::chat::Moment;
use turnwise_run::{ModelLimits, Recorded};

use crate::error::TrainError;
use crate::player::Player;
use crate::step::Trainer;
use crate::step_rollouts::StepRollouts;
use crate::watch::progress::Progress;

/// Gives a run the trajectories that each step learns from.
pub trait RolloutSource: Debug + Sync {
    /// Returns the steps of a run that is asked for `steps`.
    fn steps(&self, steps: usize) -> usize {
        steps
    }

    /// Returns the date that the prompts of the trajectories show, or none if the run decides.
    fn began(&self) -> Option<Moment> {
        None
    }

    /// Returns whether the trained policy samples the turns.
    fn is_on_policy(&self) -> bool;

    /// Returns the trajectories of a step, with their turn rewards. `trainer` has the policy and the
    /// environment.
    ///
    /// # Errors
    /// If there are no trajectories to learn from.
    fn step(
        &self,
        step: usize,
        trainer: &Trainer,
        progress: &mut dyn Progress,
    ) -> Result<StepRollouts, TrainError>;
}

/// Plays trajectories with the policy in this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct Play;

impl RolloutSource for Play {
    fn is_on_policy(&self) -> bool {
        true
    }

    fn step(
        &self,
        step: usize,
        trainer: &Trainer,
        progress: &mut dyn Progress,
    ) -> Result<StepRollouts, TrainError> {
        let player = trainer.player();
        shown(&player, progress, |told| player.play(step, told))
    }
}

/// Plays trajectories of a step and shows how far it is.
pub(crate) fn shown<T>(
    player: &Player,
    progress: &mut dyn Progress,
    play: impl FnOnce(&mut (dyn FnMut(usize, usize) + Send)) -> T,
) -> T {
    let mut known = player.trajectories();
    progress.phase("rollouts", known as u64);
    play(&mut |done, all| {
        // A step that replaces groups plays more.
        if all != known {
            known = all;
            progress.phase("rollouts", all as u64);
        }
        progress.advance(done as u64);
    })
}

/// Replays trajectories of another run, so that two estimators can learn from the same data.
impl RolloutSource for Recorded {
    fn steps(&self, steps: usize) -> usize {
        steps.min(Recorded::steps(self))
    }

    fn began(&self) -> Option<Moment> {
        Recorded::began(self).map(Moment::from_unix)
    }

    fn is_on_policy(&self) -> bool {
        false
    }

    fn step(&self, step: usize, trainer: &Trainer, _: &mut dyn Progress) -> Result<StepRollouts, TrainError> {
        let model = trainer.model().config();
        let limits = ModelLimits { vocab_size: model.vocab_size, context: model.context() };
        let rollouts = StepRollouts::from(Recorded::step(self, step, limits)?);
        Ok(StepRollouts { replaced: self.replaced(step, limits)?, ..rollouts })
    }
}
