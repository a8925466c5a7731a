//! Plays tasks by somebody else's programs, which ask an endpoint of this process for their turns.
//!
//! ```text
//!  trajectory ─► session opened ─► program runs ─► session closed ─► rewards ─► trajectory
//!                     │               ▲  │
//!                     ▼               │  ▼ requests
//!                  sessions ◄────── endpoint ◄──── the policy's weights, which nothing changes meanwhile
//! ```
//! Programs run in threads, a bounded number at a time. Neither that number nor the arrival of their requests
//! changes what is sampled: the random numbers of a call belong to its trajectory and its place there.

mod round;
mod trajectory;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::scope;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use turnwise_credit::ScoredTrajectory;
use turnwise_envs::{Agent, AgentEndpoint, RewardConfig, Task};
use turnwise_model::{HostPrecision, Transformer};
use turnwise_rollout::Lost;
use turnwise_sampler::{Sampling, SequenceId};
use turnwise_serve::{Limits, Rules, RunSessions, Server, Settings};
use turnwise_trajectory::{Rewards, Trajectory};

use crate::error::TrainError;
use crate::play::cache_budget::CacheBudget;
use crate::play::judged::judge;
use crate::play::policy::task_hash;
use crate::play::served::ServedModel;
use crate::play::setup::Setup;
use trajectory::trajectory;

pub(crate) use round::round;

/// How often the end of a play is looked for.
const LOOK: Duration = Duration::from_millis(5);
/// Time for one answer. The time of a program ends before.
const ANSWER: Duration = Duration::from_hours(24);
/// Sequences of all programs that are sampled or wait. A refusal would make a client wait for nothing.
const SEQUENCES: usize = 1 << 16;

/// Holds what a play of agents needs besides the setup.
pub(crate) struct AgentPlay<'a> {
    pub(crate) setup: &'a Setup,
    /// The policy, which must not track gradients.
    pub(crate) model: &'a Transformer,
    /// The type of the weights that play.
    pub(crate) precision: HostPrecision,
    pub(crate) sampling: Sampling,
    pub(crate) cache: CacheBudget,
    pub(crate) rewards: &'a RewardConfig,
    /// Name its random streams, as those of a policy in this process.
    pub(crate) seed: u64,
    pub(crate) step: u64,
    /// The version of the weights: the number of optimizer updates before it.
    pub(crate) version: u64,
}

/// Holds a judged trajectory, or says why it was lost.
pub(crate) type Outcome = Result<(Trajectory, ScoredTrajectory), Lost>;

impl AgentPlay<'_> {
    /// Plays every task `samples` times. Returns outcomes by task, then by sample.
    ///
    /// - `earlier`: tasks that the step has played before; their random numbers are others
    /// - `progress`: gets the numbers of ended and of all trajectories
    ///
    /// # Errors
    /// If the endpoint can't be opened, or breaks.
    pub(crate) fn play(
        &self,
        agent: &Agent,
        tasks: &[&Task],
        samples: u32,
        earlier: &[&str],
        progress: &mut (dyn FnMut(usize, usize) + Send),
    ) -> Result<Vec<Outcome>, TrainError> {
        let ids = self.ids(tasks, samples, earlier);
        let secret = [secret(), secret()];
        let context = self.setup.limits.tokens;
        let engine =
            ServedModel::of_run(self.model, self.precision, context, self.cache, &ids.clone().into())
                .map_err(TrainError::Input)?;
        let server = self.server(agent, engine).map_err(|error| broken(&error))?;
        let (url, sessions) = (server.url(), server.run_sessions());
        let (total, next, over) = (ids.len(), AtomicUsize::new(0), AtomicBool::new(false));
        let outcomes: Mutex<Vec<Option<Outcome>>> = Mutex::new((0..total).map(|_| None).collect());
        let served = scope(|threads| {
            let serving = threads.spawn(|| {
                server.serve(async {
                    while !over.load(Ordering::Relaxed) {
                        turnwise_serve::sleep(LOOK).await;
                    }
                })
            });
            let _over = Over(&over);
            let (tell, ended) = channel();
            for _ in 0..agent.at_once().min(total) {
                let (tell, next, ids, outcomes) = (tell.clone(), &next, &ids, &outcomes);
                let (sessions, url) = (&sessions, url.as_str());
                threads.spawn(move || {
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let (Some(id), Some(task)) = (ids.get(at), tasks.get(at / samples as usize)) else {
                            return;
                        };
                        let key = key(*id, secret);
                        let endpoint = AgentEndpoint { url, key: &key };
                        let outcome = self.one(agent, task, (at, id.sample), (sessions, endpoint));
                        let mut all = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
                        all[at] = Some(outcome);
                        // The end of the play is waited for, so somebody listens.
                        let _ = tell.send(());
                    }
                });
            }
            drop(tell);
            progress(0, total);
            for done in 1..=total {
                // A thread that panicked tells no more, and its panic goes on at the end.
                if ended.recv().is_err() {
                    break;
                }
                progress(done, total);
            }
            over.store(true, Ordering::Relaxed);
            serving.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        served.map_err(|error| broken(&error))?;
        let outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(outcomes.into_iter().map(|outcome| outcome.expect("every trajectory was played")).collect())
    }

    /// Returns the random streams of all trajectories, at their first turns.
    fn ids(&self, tasks: &[&Task], samples: u32, earlier: &[&str]) -> Vec<SequenceId> {
        let mut seen: HashMap<&str, u32> = HashMap::new();
        for task in earlier {
            *seen.entry(task).or_default() += 1;
        }
        let mut ids = Vec::with_capacity(tasks.len() * samples as usize);
        for task in tasks {
            let times = seen.entry(&task.id).or_default();
            let (occurrence, hash) = (*times, task_hash(&task.id));
            *times += 1;
            ids.extend((0..samples).map(|sample| SequenceId {
                seed: self.seed,
                step: self.step,
                task: hash,
                occurrence,
                sample,
                turn: 0,
            }));
        }
        ids
    }

    fn server(&self, agent: &Agent, engine: ServedModel) -> io::Result<Server> {
        let limits = self.setup.limits;
        let Sampling { temperature, top_k, top_p, min_p } = self.sampling;
        let rules = Rules {
            sampling: turnwise_serve::EngineSampling { temperature, top_k, top_p, min_p },
            turn_tokens: limits.turn_tokens,
            calls: limits.turns,
            one_tool_call: self.setup.stops_at_call(),
            takes_rewards: !agent.is_checked(),
        };
        let text = self.setup.text.clone().expect("a setup with an agent has its texts");
        let settings = Settings {
            host: "127.0.0.1".into(),
            port: 0,
            seed: self.seed,
            record: None,
            limits: Limits { sequences: SEQUENCES, answer_time: ANSWER, ..Limits::default() },
            rules: Some(rules),
        };
        Server::bind(text, Arc::new(engine), settings)
    }

    /// Plays one trajectory.
    fn one(
        &self,
        agent: &Agent,
        task: &Task,
        (at, sample): (usize, u32),
        (sessions, endpoint): (&RunSessions, AgentEndpoint<'_>),
    ) -> Outcome {
        let key = endpoint.key;
        let name = format!("{} #{sample}", task.id.escape_debug());
        sessions.open(key, at as u64);
        let (_closed, _hidden) = (Closed(sessions, key), agent.hide(key));
        let ran = agent.run(task, &name, endpoint);
        let lost = |reason: String| {
            Err(Lost { task: task.id.clone(), sample, reason: format!("env.agent: {reason}") })
        };
        let rules = (self.setup.stops_at_call(), self.version);
        let mut played = trajectory(sessions.close(key), (&task.id, sample), &*self.setup.chat, rules);
        // A program may exit at the refusal of a call, or at half a turn: libraries raise then. A limit ended
        // the trajectory. A program that is killed, or takes too long, fails in any case.
        let is_cut_off = ran.exited && played.is_cut_off();
        if let Some(failure) = ran.failure.as_ref().filter(|_| !is_cut_off) {
            return lost(failure.clone());
        }
        if played.trajectory.turns.is_empty() {
            return lost(format!("the program made no call that was answered{}", played.refusal()));
        }
        let judged = agent.judge(task, &name, &ran, &|| played.session(&name));
        match judged {
            Ok(Some(verdict)) => {
                if let Err(reason) = played.reward(verdict) {
                    return lost(reason);
                }
            }
            Ok(None) if played.is_rewarded || is_cut_off => {}
            Ok(None) if ran.lost_its_line() => {
                return lost("the program's last line is longer than 1 MiB, so it gives no rewards".into());
            }
            Ok(None) => return lost("the program's last line gives no rewards, and no request did".into()),
            Err(reason) => return lost(reason),
        }
        // The environment doesn't know which tools the program offers.
        let rewards = RewardConfig { require_first_call: false, ..self.rewards.clone() };
        let mut scored = judge(&*self.setup.env, task, &played.trajectory, &rewards)?;
        if self.rewards.require_first_call && played.lacks_first_call() {
            scored.violations[0] = true;
            scored.turns[0].add(Rewards::FMT, rewards.format_penalty);
        }
        Ok((played.trajectory, scored))
    }
}

/// Returns a number that nobody outside this process knows.
fn secret() -> u64 {
    // The system's randomness makes each state.
    RandomState::new().hash_one(0)
}

/// Returns the key of a trajectory: no other's, and no program can compute it for another trajectory. Nothing
/// that is sampled or recorded depends on it.
fn key(id: SequenceId, secret: [u64; 2]) -> String {
    let SequenceId { seed, step, task, occurrence, sample, .. } = id;
    let mut digest = Sha256::new();
    for part in secret.into_iter().chain([seed, step, task, occurrence.into(), sample.into()]) {
        digest.update(part.to_le_bytes());
    }
    let digits: Vec<String> = digest.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("turnwise-{}", digits.concat())
}

fn broken(error: &io::Error) -> TrainError {
    TrainError::Input(format!("env.agent: the endpoint for its programs: {error}"))
}

/// Says that the play is over when it is dropped, whatever ends it.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Closes a session when it is dropped, whatever ends its trajectory.
struct Closed<'a>(&'a RunSessions, &'a str);

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.0.close(self.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trajectory_has_a_key_of_its_own() {
        let id = SequenceId { seed: 1, step: 2, task: 3, occurrence: 0, sample: 4, turn: 0 };
        let key = |id| super::key(id, [1, 2]);
        assert_eq!(key(id), key(SequenceId { turn: 5, ..id }));
        assert_ne!(key(id), super::key(id, [1, 3]), "programs don't know the secret");
        assert_ne!([super::secret(), super::secret()], [super::secret(), super::secret()]);
        for other in [
            SequenceId { seed: 2, ..id },
            SequenceId { step: 3, ..id },
            SequenceId { task: 4, ..id },
            SequenceId { occurrence: 1, ..id },
            SequenceId { sample: 5, ..id },
        ] {
            assert_ne!(key(id), key(other));
        }
    }
}
