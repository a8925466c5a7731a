//! The play that is ahead of its step (`rollout.lag`), and its file in a checkpoint.
//!
//! With a lag of 1 the rollouts of step k+1 are played while step k is learnt, with the weights before its
//! update. They don't depend on how long either takes: the weights of a play are fixed when it begins.

use std::panic::resume_unwind;
use std::path::Path;

use serde::{Deserialize, Serialize};
use turnwise_credit::Group;
use turnwise_files::own;
use turnwise_rollout::Lost;
use turnwise_run::checkpoint::AHEAD;
use turnwise_run::{GroupRecord, RunDirError, TrajectoryRecord};

use crate::error::TrainError;
use crate::play::source::shown;
use crate::player::OwnPart;
use crate::record::StepRecord;
use crate::step::Trainer;
use crate::step_rollouts::StepRollouts;
use crate::watch::phase::{Phase, Spent};
use crate::watch::progress::Progress;

/// Most bytes of the file: the rollouts of one step.
const LONGEST: u64 = 64 << 30;

/// Holds a step's rollouts that were played before the step before it ended.
pub(crate) struct Ahead {
    /// The step that learns from them.
    pub(crate) step: usize,
    pub(crate) rollouts: StepRollouts,
    /// Time and memory of the play; none are known in a resumed run.
    pub(crate) spent: Spent,
}

/// Holds the same on disk.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    step: usize,
    groups: Vec<GroupRecord>,
    replaced: Vec<GroupRecord>,
    lost: Vec<SavedLoss>,
    /// The only count of the executor that is no time.
    executor_faults: u64,
    env_faults: u64,
}

/// Holds a lost trajectory on disk.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedLoss {
    task: String,
    sample: u32,
    reason: String,
}

/// Holds what was played beside an update.
enum Beside {
    /// The whole step, where no other rank takes part.
    Step(Result<StepRollouts, TrainError>),
    /// This rank's part of the first round: the main thread, which learns, talks to the others.
    Begun(Result<OwnPart, TrainError>),
}

/// Learns from a step's rollouts while the next step is played with the policy of this moment.
///
/// Several ranks play further rounds of `rollout.refill` after the update, since they agree on them.
///
/// # Errors
/// If the step can't be learnt. An error of the play belongs to the next step.
pub(crate) fn learn(
    trainer: &mut Trainer,
    step: usize,
    rollouts: StepRollouts,
    spent: Spent,
    progress: &mut dyn Progress,
) -> Result<(StepRecord, Result<Ahead, TrainError>), TrainError> {
    let (player, next) = (trainer.player_after(&rollouts), step + 1);
    let alone = player.ranks.size() == 1;
    let held = if alone { Ok(()) } else { player.hold() };
    let phase = Phase::begin();
    let (record, (beside, spent)) = std::thread::scope(|scope| {
        let play = scope.spawn(|| {
            let beside = match held {
                Ok(()) if alone => Beside::Step(shown(&player, progress, |told| player.play(next, told))),
                Ok(()) => Beside::Begun(shown(&player, progress, |told| player.begin(next, told))),
                Err(error) => Beside::Begun(Err(error)),
            };
            (beside, phase.spent())
        });
        let record = trainer.learn_from(step, rollouts, spent);
        (record, play.join().unwrap_or_else(|panic| resume_unwind(panic)))
    });
    // All ranks have an error of learning, or none has.
    let record = record?;
    let rollouts = match beside {
        Beside::Step(rollouts) => rollouts,
        Beside::Begun(begun) => player.finish(next, begun, &mut |done, _| progress.advance(done as u64)),
    };
    Ok((record, rollouts.map(|rollouts| Ahead { step: next, rollouts, spent })))
}

impl Ahead {
    /// Writes the play into the folder of a checkpoint.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), RunDirError> {
        let path = folder.join(AHEAD);
        let text = serde_json::to_vec(&self.saved()).expect("records hold no odd keys and no NaN");
        own::write(&path, &text).map_err(|source| RunDirError::Write { path, source })
    }

    /// Reads the play of a checkpoint; none if it has none.
    pub(crate) fn read(checkpoint: &Path) -> Result<Option<Self>, TrainError> {
        let path = checkpoint.join(AHEAD);
        if !path.exists() {
            return Ok(None);
        }
        let read = own::read(&path, LONGEST).map_err(|error| error.to_string());
        let saved = read.and_then(|text| serde_json::from_slice(&text).map_err(|error| error.to_string()));
        let saved: Saved =
            saved.map_err(|reason| TrainError::Input(format!("{}: {reason}", path.display())))?;
        Ok(Some(saved.into()))
    }

    fn saved(&self) -> Saved {
        let StepRollouts { levels, answers, indices, played, groups, replaced } = &self.rollouts;
        let group = |(place, group): (usize, &Group)| {
            let trajectories = group.trajectories.iter().zip(&played.groups[place]);
            let record = trajectories.map(|(scored, played)| TrajectoryRecord {
                scored: scored.clone(),
                played: played.clone(),
                log_ratios: None,
            });
            GroupRecord {
                group: group.group.clone(),
                trajectories: record.collect(),
                step: self.step,
                level: levels[place],
                index: indices.get(place).copied().flatten(),
                expected: Some(answers[place].clone()),
                ..GroupRecord::default()
            }
        };
        let lost = |lost: &Lost| {
            let Lost { task, sample, reason } = lost.clone();
            SavedLoss { task, sample, reason }
        };
        Saved {
            step: self.step,
            groups: groups.iter().enumerate().map(group).collect(),
            replaced: replaced.clone(),
            lost: played.lost.iter().map(lost).collect(),
            executor_faults: played.executor.faults,
            env_faults: played.env_faults,
        }
    }
}

impl From<Saved> for Ahead {
    fn from(saved: Saved) -> Self {
        let Saved { step, groups, replaced, lost, executor_faults, env_faults } = saved;
        let mut rollouts = StepRollouts { replaced, ..StepRollouts::from(groups) };
        let of = |SavedLoss { task, sample, reason }| Lost { task, sample, reason };
        rollouts.played.lost = lost.into_iter().map(of).collect();
        rollouts.played.executor.faults = executor_faults;
        rollouts.played.env_faults = env_faults;
        Self { step, rollouts, spent: Spent::default() }
    }
}
