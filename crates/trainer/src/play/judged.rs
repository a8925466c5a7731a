//! Judges a trajectory.

use turnwise_credit::ScoredTrajectory;
use turnwise_envs::{Env, RewardConfig, Task, score};
use turnwise_rollout::Lost;
use turnwise_similarity::code_of;
use turnwise_trajectory::Trajectory;

/// Returns a trajectory's rewards. A judge that fails for one answer costs its trajectory and nothing else.
pub(crate) fn judge(
    env: &dyn Env,
    task: &Task,
    played: &Trajectory,
    rewards: &RewardConfig,
) -> Result<ScoredTrajectory, Lost> {
    match score(env, task, played, rewards) {
        Ok(scored) => Ok(ScoredTrajectory { code: code_of(played), ..scored }),
        Err(error) => Err(Lost { task: task.id.clone(), sample: played.sample, reason: error.to_string() }),
    }
}
