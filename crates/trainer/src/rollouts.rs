//! Where a run's rollouts come from: its own policy, or the record of another run.

use turnwise_rollout::chat::Moment;
use turnwise_run::{ModelLimits, Recorded};

use crate::config::RunConfig;
use crate::error::TrainError;
use crate::phase::Phase;
use crate::progress::Progress;
use crate::record::StepRecord;
use crate::step::Trainer;
use crate::step_rollouts::StepRollouts;

/// Where the rollouts of a run come from.
#[derive(Debug, Clone, Copy)]
pub enum Rollouts<'a> {
    /// The policy plays.
    Play,
    /// Another run has played: nothing is sampled, so that two estimators can learn from the same data.
    Replay(&'a Recorded),
}

impl Rollouts<'_> {
    /// How many steps a run makes.
    pub(crate) fn steps(self, config: &RunConfig) -> usize {
        match self {
            Self::Play => config.train.steps,
            Self::Replay(recorded) => config.train.steps.min(recorded.steps()),
        }
    }

    /// When the run that played began, if it is another one and recorded that: its prompts show that date.
    pub(crate) fn began(self) -> Option<Moment> {
        match self {
            Self::Play => None,
            Self::Replay(recorded) => recorded.began().map(Moment::from_unix),
        }
    }

    pub(crate) fn step(
        self,
        step: usize,
        trainer: &mut Trainer,
        progress: &mut dyn Progress,
    ) -> Result<StepRecord, TrainError> {
        match self {
            Self::Play => {
                progress.phase("rollouts", trainer.trajectories_per_step() as u64);
                trainer.step(step, &mut |done, _| progress.advance(done as u64))
            }
            Self::Replay(recorded) => {
                let phase = Phase::begin();
                let model = trainer.model().config();
                let limits = ModelLimits { vocab_size: model.vocab_size, context: model.context() };
                let rollouts = StepRollouts::from(recorded.step(step, limits)?);
                trainer.learn_from(step, rollouts, phase.spent())
            }
        }
    }
}
