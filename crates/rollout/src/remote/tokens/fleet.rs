//! The servers of a run: what they hold, and one request to one of them.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use turnwise_http::{Client, Failure, Refusal, RetryPolicy, short};

use super::ServerError;
use super::description::Description;
use super::engine_name::EngineName;
use super::hints;
use super::protocol::{ADAPTER, Ask, Odd, OnDisk, Protocol, SampledTurn};
use super::turn::{Trouble, TurnAsk};

/// Most bytes of an answer.
const LONGEST: u64 = 64 << 20;
/// Wait before the first retry.
pub(super) const WAIT: Duration = Duration::from_millis(250);
/// Longest wait for servers that are still loading, when a run begins.
const LOADING: Duration = Duration::from_secs(15);
/// Longest time for further tries of a push or a probe. No turn is lost meanwhile, and a run that is asked to
/// stop waits for them.
const BETWEEN: Duration = Duration::from_mins(1);
/// How often a server that has lost its weights gets them again.
pub(super) const AGAIN: usize = 3;

/// Names servers that hold one model, and the limits of requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Servers {
    /// Their program.
    pub engine: EngineName,
    /// Their addresses, to which weights go.
    pub urls: Vec<String>,
    /// Address to which turns go, if it isn't the servers'.
    pub router: Option<String>,
    /// Bearer token of the requests.
    pub key: Option<String>,
    /// Whether weights are those of an adapter.
    pub adapter: bool,
    /// Size of the vocabulary. A server with another model samples tokens beyond it.
    pub vocabulary: usize,
    /// Requests at once.
    pub parallel: usize,
    /// Longest wait for one answer.
    pub timeout: Duration,
    /// Longest time for retries of one turn after its first fault, with waits and answers.
    pub retry: Duration,
}

/// Names weights that servers hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pushed {
    /// Their folder.
    pub folder: PathBuf,
    /// The name that answers have for them. Two runs never use the same one.
    pub version: String,
}

/// Holds the servers of a run, and the weights that they should have.
#[derive(Debug)]
pub struct Fleet {
    servers: Servers,
    /// Clients of turns: the router's, or one per server.
    turns: Vec<Client>,
    model: String,
    context: Option<usize>,
    held: Mutex<Held>,
}

/// Holds what the servers should have.
#[derive(Debug, Default)]
struct Held {
    weights: Option<Pushed>,
    /// Pushes so far.
    pushes: u64,
}

impl Fleet {
    /// Reaches every server once.
    ///
    /// # Errors
    /// If one doesn't answer, or not as its engine does.
    pub fn open(servers: Servers) -> Result<Self, ServerError> {
        let protocol = servers.engine.protocol();
        let mut described = Vec::with_capacity(servers.urls.len());
        for url in &servers.urls {
            described.push(describe(&servers, url, protocol)?);
        }
        let to: Vec<&String> = servers.router.as_ref().map_or(servers.urls.iter().collect(), |to| vec![to]);
        let client =
            |base: &&String| Client::new(address(base, protocol.turns()), servers.key.clone(), LONGEST);
        let turns = to.iter().map(client).collect();
        let context = described.iter().filter_map(|found: &Description| found.context).min();
        let named = described.first().and_then(|found| found.model.clone()).unwrap_or_default();
        let model = if servers.adapter { ADAPTER.to_string() } else { named };
        Ok(Self { servers, turns, model, context, held: Mutex::default() })
    }

    /// Returns the address that turns of a trajectory go to.
    pub(super) fn place(&self, index: usize) -> &str {
        self.turns[index % self.turns.len()].url()
    }

    /// Returns the servers.
    pub fn servers(&self) -> &Servers {
        &self.servers
    }

    /// Returns the most tokens that a sequence may have, if the servers tell.
    pub fn context(&self) -> Option<usize> {
        self.context
    }

    /// Fails if sequences of `tokens` don't fit into a server's context.
    pub fn fits(&self, tokens: usize) -> Result<(), ServerError> {
        match self.context {
            Some(context) if context < tokens => Err(ServerError(format!(
                "{}: its context has {context} tokens, and rollout.max_tokens is {tokens}\n  hint: {}",
                self.servers.urls.join(", "),
                hints::SHORT
            ))),
            _ => Ok(()),
        }
    }

    /// Puts weights into every server, one after the other.
    ///
    /// # Errors
    /// If a server doesn't take them. Nothing may be sampled then.
    pub fn push(&self, weights: Pushed) -> Result<(), ServerError> {
        let mut held = self.held();
        held.weights = None;
        held.pushes += 1;
        for url in &self.servers.urls {
            self.push_to(url, &weights)?;
        }
        held.weights = Some(weights);
        Ok(())
    }

    /// Notes weights that another rank has put into the servers.
    pub fn adopt(&self, weights: Pushed) {
        let mut held = self.held();
        held.weights = Some(weights);
        held.pushes += 1;
    }

    /// Returns the weights that the servers should have.
    ///
    /// # Panics
    /// If no weights were pushed.
    pub fn pushed(&self) -> Pushed {
        self.held().weights.clone().expect("weights are pushed before a play")
    }

    /// Puts the weights into every server again: one of them has lost them. `pushes`: their number before the
    /// request that showed it. Returns whether it did, since another thread may have been first.
    pub(super) fn push_again(&self, pushes: u64) -> Result<bool, ServerError> {
        let mut held = self.held();
        if held.pushes != pushes {
            return Ok(false);
        }
        held.pushes += 1;
        if let Some(weights) = &held.weights {
            self.servers.urls.iter().try_for_each(|url| self.push_to(url, weights))?;
        }
        Ok(true)
    }

    /// Returns the number of pushes so far.
    pub fn pushes(&self) -> u64 {
        self.held().pushes
    }

    fn push_to(&self, url: &str, weights: &Pushed) -> Result<(), ServerError> {
        let (protocol, adapter) = (self.servers.engine.protocol(), self.servers.adapter);
        let Pushed { folder, version } = weights;
        for request in protocol.push(OnDisk { folder, version, adapter }) {
            let at = address(url, &request.path);
            let client = Client::new(at.clone(), self.servers.key.clone(), LONGEST);
            let retry_policy = self.retry_policy(self.servers.retry.min(BETWEEN));
            let body = request.body.to_string();
            let refused = Cell::new(0);
            let sent = retry_policy.run(
                || false,
                |time| {
                    let reply = client.post(&body, time)?;
                    if (200..300).contains(&reply.status) {
                        // A refusal inside a 200.
                        refused.set(400);
                        return protocol.pushed(&reply.text).map_err(Failure::Lasting);
                    }
                    refused.set(reply.status);
                    let refusal = Refusal { status: reply.status, wait: reply.retry_after, text: reply.text };
                    // A server that fails to load weights would fail again.
                    let lasting = refusal.status == 500;
                    let failure = refusal.failure();
                    Err(if lasting { Failure::Lasting(failure.reason().into()) } else { failure })
                },
            );
            sent.map_err(|gave_up| {
                let path = request.path.split('?').next().unwrap_or_default();
                let status = refused.get();
                let usual = || hints::unanswered(&gave_up.failure, Some(status));
                let advice = protocol.advice(path, status).unwrap_or_else(usual);
                ServerError(format!("{at}: {gave_up}\n  hint: {advice}"))
            })?;
        }
        Ok(())
    }

    /// Asks for a turn. `place` chooses the server where there is no router, and `session` names the
    /// trajectory for one.
    pub(super) fn turn(
        &self,
        place: usize,
        session: &str,
        ask: &TurnAsk<'_>,
        time: Duration,
    ) -> Result<SampledTurn, Trouble> {
        let client = &self.turns[place % self.turns.len()];
        self.exchange(client, session, ask, time)
    }

    /// Asks one server for a turn, and again while it may answer. `place` chooses the server.
    ///
    /// # Errors
    /// If it gives none, or breaks the contract.
    pub fn ask(&self, place: usize, ask: &TurnAsk<'_>) -> Result<SampledTurn, ServerError> {
        let asked = self.patiently(&self.turns[place % self.turns.len()], "check", ask);
        asked.map_err(|trouble| trouble.of(self.place(place)))
    }

    /// Asks each server itself for a turn, whatever router there is.
    pub(super) fn each(&self, ask: &TurnAsk<'_>) -> Result<Vec<(&str, SampledTurn)>, ServerError> {
        let path = self.servers.engine.protocol().turns();
        let one = |url: &String| {
            let client = Client::new(address(url, path), self.servers.key.clone(), LONGEST);
            self.patiently(&client, "probe", ask).map_err(|trouble| trouble.of(url))
        };
        self.servers.urls.iter().map(|url| Ok((url.as_str(), one(url)?))).collect()
    }

    /// Asks until there is an answer, or no hope of one. A server that has lost its weights, as one that was
    /// restarted, gets them again.
    fn patiently(&self, client: &Client, session: &str, ask: &TurnAsk<'_>) -> Result<SampledTurn, Trouble> {
        let (mut last, mut again) = (None, 0);
        let attempt = |time| {
            let pushes = self.pushes();
            let trouble = match self.exchange(client, session, ask, time) {
                Ok(sampled) => return Ok(sampled),
                Err(trouble) => trouble,
            };
            last = Some(trouble.clone());
            Err(match trouble {
                Trouble::Failed(failure, _) => failure,
                Trouble::Stale(_) if again < AGAIN => {
                    again += 1;
                    match self.push_again(pushes) {
                        Ok(_) => Failure::passing("it has other weights"),
                        Err(error) => {
                            last = Some(Trouble::Wrong(error.0.clone()));
                            Failure::Lasting(error.0)
                        }
                    }
                }
                _ => Failure::Lasting("it breaks the contract".into()),
            })
        };
        let found = self.retry_policy(self.servers.retry.min(BETWEEN)).run(|| false, attempt);
        found.map_err(|gave_up| match last {
            // The last try may have had little time.
            Some(Trouble::Failed(_, refusal)) => Trouble::Failed(gave_up.failure, refusal),
            Some(trouble) => trouble,
            None => unreachable!("a try that failed has its trouble"),
        })
    }

    fn exchange(
        &self,
        client: &Client,
        session: &str,
        ask: &TurnAsk<'_>,
        time: Duration,
    ) -> Result<SampledTurn, Trouble> {
        let protocol = self.servers.engine.protocol();
        let version = self.pushed().version;
        let TurnAsk { tokens, max_new, rule, seed, stop } = *ask;
        let whole = Ask { model: &self.model, tokens, max_new, rule, seed, stop, salt: &version };
        let body = protocol.sample(&whole).to_string();
        let failed = |failure| Trouble::Failed(failure, None);
        let reply = client.post_with(&[("x-session-id", session)], &body, time).map_err(failed)?;
        let answer = match reply.read().map_err(failed)? {
            Ok(answer) => answer,
            Err(refusal) if refusal.is_too_long() => return Err(Trouble::Full),
            Err(refusal) => return Err(self.refused(refusal)),
        };
        let sampled = protocol.read(&answer).map_err(|odd| match odd {
            Odd::Passing(reason) => failed(Failure::passing(reason)),
            Odd::Wrong(reason) => Trouble::Wrong(reason),
        })?;
        ask.check(&sampled, &version, self.servers.vocabulary)?;
        Ok(sampled)
    }

    fn refused(&self, refusal: Refusal) -> Trouble {
        let protocol = self.servers.engine.protocol();
        match protocol.advice(protocol.turns(), refusal.status) {
            Some(advice) => {
                let said = format!("status {}: {}", refusal.status, short(&refusal.text));
                Trouble::Wrong(format!("{said}\n  hint: {advice}"))
            }
            None => Trouble::Failed(refusal.clone().failure(), Some(refusal)),
        }
    }

    /// Returns the limits of a request whose retries take `retry` at most.
    pub(super) fn retry_policy(&self, retry: Duration) -> RetryPolicy {
        RetryPolicy { timeout: self.servers.timeout, retry, retries: u32::MAX, wait: WAIT }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the address of a path of a server.
fn address(base: &str, path: &str) -> String {
    format!("{}{path}", base.trim_end_matches('/'))
}

/// Asks a server about itself, again while it is loading.
fn describe(servers: &Servers, url: &str, protocol: &dyn Protocol) -> Result<Description, ServerError> {
    let at = address(url, protocol.about());
    let client = Client::new(at.clone(), servers.key.clone(), LONGEST);
    let retry = servers.retry.min(LOADING);
    let retry_policy = RetryPolicy { timeout: servers.timeout, retry, retries: u32::MAX, wait: WAIT };
    let refused = Cell::new(None);
    let ask = |time| {
        refused.set(None);
        client.get(time)?.read()?.map_err(|refusal| {
            refused.set(Some(refusal.status));
            refusal.failure()
        })
    };
    let answer = retry_policy.run(|| false, ask).map_err(|gave_up| {
        let hint = hints::unanswered(&gave_up.failure, refused.get());
        ServerError(format!("{at}: {gave_up}\n  hint: {hint}"))
    })?;
    Ok(protocol.described(&answer))
}
