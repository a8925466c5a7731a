//! Samples turns by `POST /v1/chat/completions`, several at a time.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::hash::Hasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fnv::FnvHasher;
use serde_json::Value;
use turnwise_http::{Client, Failure, GaveUp, Refusal, RetryPolicy};
use turnwise_trajectory::{Completion, Finish, Message, Role};

use super::answer::{self, Said};
use super::health::{Health, hint};
use super::request::{self, Quirk};
use super::request_threads;
use super::{Endpoint, Transcript};
use crate::context::Context;
use crate::policy::{Policy, PolicyError};
use crate::turn_end::TurnEnd;
use crate::turns::Turns;

/// Most bytes of an answer: it may include thoughts and log-probabilities.
const LONGEST: u64 = 16 << 20;
/// Wait before the first retry of a turn.
const WAIT: Duration = Duration::from_millis(250);
/// Longest time for an address that never answered: it may be wrong.
const UNREACHED: Duration = Duration::from_secs(15);
/// Attempts at a turn whose answers have no choice.
const CHOICELESS: u32 = 3;

/// Samples turns from a server. Clones share its state.
#[derive(Clone)]
pub struct RemotePolicy(Arc<Remote>);

struct Remote {
    endpoint: Endpoint,
    transcript: Transcript,
    client: Client,
    quirks: Mutex<BTreeSet<Quirk>>,
    health: Mutex<Health>,
}

/// Holds the result of a request.
enum Outcome {
    Said(Said),
    /// The conversation doesn't fit into the model's context.
    Full,
}

/// Says why a turn was not answered, with the last refusal if there was one.
struct Unanswered {
    gave_up: GaveUp,
    refusal: Option<Refusal>,
}

impl RemotePolicy {
    /// Returns a policy for plays whose chat format is `transcript`.
    pub fn new(endpoint: Endpoint, transcript: Transcript) -> Self {
        let url = format!("{}/chat/completions", endpoint.url.trim_end_matches('/'));
        let client = Client::new(url, endpoint.key.clone(), LONGEST);
        let (quirks, health) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Remote { endpoint, transcript, client, quirks, health }))
    }
}

impl Remote {
    /// Answers turns until there are no more, or the server is given up.
    fn work(&self, turns: &Turns<'_>, end: &TurnEnd<'_>) -> Result<(), PolicyError> {
        // A panic here closes the turns, so the other threads don't wait.
        let _shard = turns.shard(0, 1);
        while let Some(context) = turns.take() {
            match self.turn(&context, turns, end) {
                Ok(Outcome::Said(said)) => {
                    self.health().answered();
                    turns.answer(context.index, self.completion(said, end));
                }
                Ok(Outcome::Full) => {
                    self.health().answered();
                    turns.fill(context.index);
                }
                // Another thread has given up.
                Err(_) if turns.is_closed() => return Ok(()),
                Err(Unanswered { gave_up, refusal }) => {
                    let hint = hint(&gave_up.failure, refusal.as_ref());
                    let message = format!("{}: {gave_up}\n  hint: {hint}", self.endpoint.url);
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

    /// Requests a turn, with retries while there is time and the server may answer.
    fn turn(
        &self,
        context: &Context<'_>,
        turns: &Turns<'_>,
        end: &TurnEnd<'_>,
    ) -> Result<Outcome, Unanswered> {
        let messages = self.transcript.messages(&context.tokens);
        let seed = seed(self.endpoint.seed, context);
        let retry_policy = RetryPolicy {
            timeout: self.endpoint.timeout,
            retry: self.endpoint.retry,
            retries: u32::MAX,
            wait: WAIT,
        };
        let (start, choiceless, unreached) = (Instant::now(), Cell::new(0), Cell::new(false));
        let refused = RefCell::new(None);
        let attempt = |time| {
            let reply = self.ask(&messages, context.max_new, seed, time);
            unreached.set(matches!(reply, Err(Failure::Unreached(_))));
            refused.replace(None);
            match reply? {
                Err(refusal) if refusal.is_too_long() => Ok(Outcome::Full),
                Err(refusal) => {
                    refused.replace(Some(refusal.clone()));
                    // A restarted server may not have loaded its model yet.
                    let away = refusal.status == 404 && self.health().has_answered();
                    let failure = refusal.failure();
                    Err(if away { Failure::passing(failure.reason()) } else { failure })
                }
                Ok(found) => answer::read(&found, end.format).map(Outcome::Said).map_err(|no_answer| {
                    choiceless.set(choiceless.get() + 1);
                    no_answer.failure(choiceless.get() < CHOICELESS)
                }),
            }
        };
        let wrong = || unreached.get() && start.elapsed() > UNREACHED && !self.health().has_answered();
        let needless = || turns.is_closed() || wrong();
        retry_policy.run(needless, attempt).map_err(|gave_up| Unanswered { gave_up, refusal: refused.take() })
    }

    /// Sends one request, and varies its form if the server refuses it.
    fn ask(
        &self,
        messages: &[Message],
        max_new: usize,
        seed: u64,
        time: Duration,
    ) -> Result<Result<Value, Refusal>, Failure> {
        let start = Instant::now();
        let mut quirks = self.quirks().clone();
        loop {
            let body = request::body(&self.endpoint, messages, max_new, seed, &quirks);
            let reply = self.client.post(&body.to_string(), time.saturating_sub(start.elapsed()))?;
            let refusal = match reply.read()? {
                Ok(answer) => {
                    self.quirks().extend(quirks);
                    return Ok(Ok(answer));
                }
                Err(refusal) => refusal,
            };
            match request::quirk(&refusal, &self.endpoint, messages, &quirks) {
                Some(quirk) if !refusal.is_too_long() => quirks.insert(quirk),
                _ => return Ok(Err(refusal)),
            };
        }
    }

    /// Returns the turn as a completion: it ends where a local policy's would.
    fn completion(&self, said: Said, end: &TurnEnd<'_>) -> Completion {
        let Said { mut text, mut finish } = said;
        let whole = self.transcript.id(Role::Assistant, &text);
        if let Some(stop) = end.watch().sampled(whole) {
            text.truncate(stop);
            finish = Finish::StopString;
        }
        let tokens = vec![self.transcript.id(Role::Assistant, &text)];
        Completion { tokens, logprobs: vec![0.0], finish, ..Completion::default() }
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn quirks(&self) -> MutexGuard<'_, BTreeSet<Quirk>> {
        self.quirks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a seed per turn of each trajectory (FNV-1a); 31 bits, which every server takes.
fn seed(seed: u64, context: &Context<'_>) -> u64 {
    let mut hasher = FnvHasher::default();
    for number in [seed, u64::from(context.sample), context.turn as u64] {
        hasher.write(&number.to_le_bytes());
    }
    hasher.write(context.task.as_bytes());
    // A task that is drawn once has the seed of its id alone.
    if context.occurrence > 0 {
        hasher.write(&context.occurrence.to_le_bytes());
    }
    hasher.finish() >> 33
}

impl Policy for RemotePolicy {
    fn serve(&mut self, turns: &Turns<'_>, end: &TurnEnd<'_>) -> Result<(), PolicyError> {
        let remote = &*self.0;
        request_threads::run(remote.endpoint.parallel, || remote.work(turns, end))
    }
}
