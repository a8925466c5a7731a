//! Plays a round of a step by agents.

use turnwise_credit::Group;
use turnwise_envs::{Agent, Task};
use turnwise_rollout::Played;

use super::AgentPlay;
use crate::error::TrainError;

/// Plays tasks, as many groups as tasks. Returns their trajectories with the rewards.
///
/// - `earlier`: tasks that the step has played before
pub(crate) fn round(
    play: &AgentPlay<'_>,
    agent: &Agent,
    tasks: &[&Task],
    samples: usize,
    earlier: &[&str],
    progress: &mut (dyn FnMut(usize, usize) + Send),
) -> Result<(Played, Vec<Group>), TrainError> {
    let outcomes = play.play(agent, tasks, samples as u32, earlier, progress)?;
    let mut outcomes = outcomes.into_iter();
    let mut played = Played::default();
    let group = |task: &&Task| {
        let mut group = Group { group: task.id.clone(), trajectories: Vec::with_capacity(samples) };
        let mut trajectories = Vec::with_capacity(samples);
        for outcome in outcomes.by_ref().take(samples) {
            match outcome {
                Ok((trajectory, scored)) => {
                    trajectories.push(trajectory);
                    group.trajectories.push(scored);
                }
                Err(lost) => {
                    played.env_faults += 1;
                    played.lost.push(lost);
                }
            }
        }
        played.groups.push(trajectories);
        group
    };
    let groups = tasks.iter().map(group).collect();
    Ok((played, groups))
}
