//! Evaluates agents on held-out tasks.

use turnwise_envs::{Agent, RewardConfig, Task, TaskSplit};
use turnwise_model::{HostPrecision, Transformer};
use turnwise_run::Evaluation;
use turnwise_sampler::Sampling;

use crate::config::EvalConfig;
use crate::error::TrainError;
use crate::play::agents::AgentPlay;
use crate::play::cache_budget::CacheBudget;
use crate::play::evaluate::{Judged, Judgements, evaluation};
use crate::play::policy::EVALUATION;
use crate::play::setup::Setup;

/// Runs an agent's programs on the first held-out tasks, as [`crate::evaluate()`] plays them in this process.
///
/// # Errors
/// If the endpoint breaks, or more than half of the trajectories are lost.
pub fn evaluate_agents(
    model: &Transformer,
    (setup, agent): (&Setup, &Agent),
    config: &EvalConfig,
    rewards: &RewardConfig,
    seed: u64,
    cache: CacheBudget,
    progress: &mut (dyn FnMut(usize, usize) + Send),
) -> Result<Evaluation, TrainError> {
    let held_out = setup.tasks(TaskSplit::HeldOut, config.tasks)?;
    let tasks: Vec<&Task> = held_out.iter().collect();
    let sampling = Sampling { temperature: config.temperature, ..Sampling::default() };
    let (precision, step) = (HostPrecision::F32, EVALUATION);
    let play = AgentPlay { setup, model, precision, sampling, cache, rewards, seed, step, version: 0 };
    let outcomes = play.play(agent, &tasks, config.samples as u32, &[], progress)?;
    let (mut judged, mut lost) = (Judgements::new(), Vec::new());
    for (place, outcome) in outcomes.into_iter().enumerate() {
        let at = place / config.samples;
        match outcome {
            Ok((trajectory, scored)) => {
                judged.insert(place, Judged::of(&*setup.env, tasks[at], &trajectory, &scored));
            }
            Err(reason) => lost.push(reason),
        }
    }
    let evaluation = evaluation(&judged, &lost, &tasks, config.samples, rewards)?;
    Ok(Evaluation { env_faults: lost.len() as u64, ..evaluation })
}
