//! Samples turns from servers by token ids, several at a time.

use std::collections::HashMap;
use std::hash::Hasher;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fnv::FnvHasher;
use turnwise_http::{Failure, GaveUp, Refusal};
use turnwise_trajectory::{Completion, Finish};

use super::fleet::{AGAIN, Fleet};
use super::protocol::SampledTurn;
use super::turn::{Trouble, TurnAsk};
use super::{Rule, hints};
use crate::context::Context;
use crate::policy::{Policy, PolicyError};
use crate::remote::health::Health;
use crate::remote::request_threads;
use crate::turn_end::TurnEnd;
use crate::turns::Turns;

/// Names the random streams of a play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    /// Seed of the run.
    pub seed: u64,
    /// Training step; evaluations have one that no training step has.
    pub step: u64,
}

/// Samples turns from servers that hold the weights of the play.
#[derive(Debug)]
pub struct TokenPolicy<'f> {
    fleet: &'f Fleet,
    rule: Rule,
    stream: Stream,
    /// Optimizer updates before the weights, for the record.
    updates: u64,
    /// Groups that earlier plays of the step had, by their task.
    earlier: HashMap<String, u32>,
    health: Mutex<Health>,
    /// Pushes since the play began.
    again: AtomicUsize,
}

/// Outcome of a turn.
enum Outcome {
    Sampled(SampledTurn, u32),
    Full,
    /// The play can't go on.
    Over(String),
    Unanswered(GaveUp, Option<Refusal>),
}

impl<'f> TokenPolicy<'f> {
    /// Returns a policy for one play. `updates`: the number of optimizer updates before the weights.
    pub fn new(fleet: &'f Fleet, rule: Rule, stream: Stream, updates: u64) -> Self {
        let (earlier, health, again) = (HashMap::new(), Mutex::default(), AtomicUsize::new(0));
        Self { fleet, rule, stream, updates, earlier, health, again }
    }

    /// Counts the groups of earlier plays of the same step. `tasks`: their ids.
    ///
    /// A task that is played again has other random streams.
    #[must_use]
    pub fn after<'t>(mut self, tasks: impl IntoIterator<Item = &'t str>) -> Self {
        for task in tasks {
            *self.earlier.entry(task.into()).or_default() += 1;
        }
        self
    }

    fn work(&self, turns: &Turns<'_>, end: &TurnEnd<'_>) -> Result<(), PolicyError> {
        // A panic here closes the turns, so the other threads don't wait.
        let _shard = turns.shard(0, 1);
        while let Some(context) = turns.take() {
            match self.turn(&context, turns, end) {
                Outcome::Sampled(sampled, retries) => {
                    self.health().answered();
                    turns.answer(context.index, self.completion(sampled, retries, end));
                }
                Outcome::Full => {
                    self.health().answered();
                    turns.fill(context.index);
                }
                // Another thread has given up.
                Outcome::Over(_) | Outcome::Unanswered(..) if turns.is_closed() => return Ok(()),
                Outcome::Over(message) => {
                    turns.close();
                    return Err(PolicyError(message));
                }
                Outcome::Unanswered(gave_up, refusal) => {
                    let place = self.fleet.place(context.index);
                    let status = refusal.as_ref().map(|refusal| refusal.status);
                    let hint = hints::unanswered(&gave_up.failure, status);
                    let message = format!("{place}: {gave_up}\n  hint: {hint}");
                    if self.health().lost(context.task, &message, refusal.as_ref()) {
                        turns.close();
                        return Err(PolicyError(message));
                    }
                    turns.lose(context.index, gave_up.to_string());
                }
            }
        }
        self.health().never_answered().map_or(Ok(()), |message| Err(PolicyError(message.into())))
    }

    /// Asks for a turn, with retries while there is time and a server may answer.
    fn turn(&self, context: &Context<'_>, turns: &Turns<'_>, end: &TurnEnd<'_>) -> Outcome {
        let ask = TurnAsk {
            tokens: &context.tokens,
            max_new: context.max_new,
            rule: self.rule,
            seed: self.seed(context),
            stop: end.tokens(),
        };
        let session = format!("{}-{}", self.stream.step, context.index);
        let (mut over, mut refused, mut tries) = (None, None, 0);
        let attempt = |time| -> Result<Option<SampledTurn>, Failure> {
            tries += 1;
            refused = None;
            let pushes = self.fleet.pushes();
            match self.fleet.turn(context.index, &session, &ask, time) {
                Ok(sampled) => Ok(Some(sampled)),
                Err(Trouble::Full) => Ok(None),
                Err(Trouble::Failed(failure, refusal)) => {
                    refused = refusal;
                    Err(failure)
                }
                Err(Trouble::Wrong(reason)) => {
                    over = Some(format!("{}: {reason}", self.fleet.place(context.index)));
                    Err(Failure::Lasting(reason))
                }
                Err(Trouble::Stale(other)) => match self.restore(context.index, &other, pushes) {
                    Ok(()) => Err(Failure::passing(format!("sampled by the weights {other:?}"))),
                    Err(message) => {
                        over = Some(message.clone());
                        Err(Failure::Lasting(message))
                    }
                },
            }
        };
        let found = self.fleet.retry_policy(self.fleet.servers().retry).run(|| turns.is_closed(), attempt);
        match (found, over) {
            (Ok(Some(sampled)), _) => Outcome::Sampled(sampled, tries - 1),
            (Ok(None), _) => Outcome::Full,
            (Err(_), Some(message)) => Outcome::Over(message),
            (Err(gave_up), None) => Outcome::Unanswered(gave_up, refused),
        }
    }

    /// Puts the weights into the servers again, after an answer of other ones.
    fn restore(&self, index: usize, other: &str, pushes: u64) -> Result<(), String> {
        if self.again.load(Ordering::Relaxed) >= AGAIN {
            let (place, version) = (self.fleet.place(index), self.fleet.pushed().version);
            let told = format!("{place}: answers come from the weights {other:?}, not from {version:?}");
            return Err(format!("{told}\n  hint: {}", hints::OTHER_RUN));
        }
        let pushed = self.fleet.push_again(pushes).map_err(|error| error.to_string())?;
        self.again.fetch_add(usize::from(pushed), Ordering::Relaxed);
        Ok(())
    }

    /// Returns the turn as a completion: it ends where a local policy's would.
    fn completion(&self, sampled: SampledTurn, retries: u32, end: &TurnEnd<'_>) -> Completion {
        let SampledTurn { mut tokens, mut logprobs, .. } = sampled;
        let (mut watch, mut finish, mut length) = (end.watch(), Finish::Length, tokens.len());
        for (at, token) in tokens.iter().enumerate() {
            let stops = end.tokens().contains(token);
            if stops || watch.sampled(*token).is_some() {
                finish = if stops { Finish::EndOfTurn } else { Finish::StopString };
                length = at + 1;
                break;
            }
        }
        tokens.truncate(length);
        logprobs.truncate(length);
        Completion { tokens, logprobs, finish, version: self.updates, retries }
    }

    /// Returns a seed per turn of each trajectory (FNV-1a); 31 bits, which every server takes.
    fn seed(&self, context: &Context<'_>) -> u64 {
        let earlier = self.earlier.get(context.task).copied().unwrap_or_default();
        let mut hasher = FnvHasher::default();
        let Stream { seed, step } = self.stream;
        let occurrence = u64::from(context.occurrence + earlier);
        for number in [seed, step, occurrence, context.sample.into(), context.turn as u64] {
            hasher.write(&number.to_le_bytes());
        }
        hasher.write(context.task.as_bytes());
        hasher.finish() >> 33
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Policy for TokenPolicy<'_> {
    fn serve(&mut self, turns: &Turns<'_>, end: &TurnEnd<'_>) -> Result<(), PolicyError> {
        let this = &*self;
        request_threads::run(this.fleet.servers().parallel, || this.work(turns, end))
    }
}
