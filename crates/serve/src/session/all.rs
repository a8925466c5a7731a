//! All sessions of a server, limited in number and in tokens.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use turnwise_trajectory::Rewards;

use crate::refusal::Refusal;
use crate::session::of_run::{NewCall, OfRun};
use crate::session::record::Record;
use crate::session::run::Reached;
use crate::session::streams::Stream;
use crate::session::tree::{Answered, Session, Unrewarded};

/// Most sessions that are kept.
const SESSIONS: usize = 4096;
/// Most tokens of all sessions together: 8 bytes each with their log-probabilities.
const TOKENS: usize = 1 << 26;

/// Names a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    /// The name.
    pub(crate) name: String,
    /// Whether the session is one request that named none.
    pub(crate) single: bool,
}

/// Holds the sessions.
pub(crate) struct Sessions {
    all: Mutex<All>,
    record: Option<Record>,
}

#[derive(Default)]
struct All {
    sessions: HashMap<String, Session>,
    tokens: usize,
    clock: u64,
    /// Sessions, calls and diverged calls that ended.
    ended: Counts,
}

/// Counts sessions and calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sessions with at least one answered call.
    pub sessions: usize,
    /// Answered calls.
    pub calls: usize,
    /// Calls whose prompt holds an answer that was changed since it was sampled.
    pub diverged: usize,
}

impl Counts {
    fn add(&mut self, session: &Session) {
        let (calls, diverged) = session.counts();
        self.sessions += usize::from(calls > 0);
        self.calls += calls;
        self.diverged += diverged;
    }
}

impl All {
    /// Gives rewards to a call of a session. Returns its number.
    fn reward(&mut self, name: &str, call: Option<u32>, rewards: &Rewards) -> Result<u32, Refusal> {
        let session = self.sessions.get_mut(name).expect("it was just looked for");
        let before = session.size();
        let rewarded = session.reward(call, rewards).map_err(|why| match (why, call) {
            (Unrewarded::Wrong(why), _) => Refusal::at("rewards", why),
            (Unrewarded::NoCall, Some(call)) => {
                Refusal::at("turn", format!("the session has no answered call {call}"))
            }
            (Unrewarded::NoCall, None) => Refusal::at("rewards", "the session has no answered call"),
        })?;
        self.tokens += session.size() - before;
        Ok(rewarded)
    }
}

impl Sessions {
    pub(crate) fn new(record: Option<Record>) -> Self {
        Self { all: Mutex::default(), record }
    }

    /// Keeps a session from ending, if it is there. Returns when, by the clock of a session of a run.
    pub(crate) fn hold(&self, name: &str) -> Option<u64> {
        let mut all = self.lock();
        let session = all.sessions.get_mut(name)?;
        session.open += 1;
        Some(session.run().map_or(0, OfRun::tick))
    }

    /// Lets a session end that was held.
    pub(crate) fn release(&self, name: &str) {
        if let Some(session) = self.lock().sessions.get_mut(name) {
            session.open = session.open.saturating_sub(1);
        }
    }

    /// Looks into a session, if it is there.
    pub(crate) fn look<T>(&self, name: &str, look: impl FnOnce(&Session) -> Option<T>) -> Option<T> {
        look(self.lock().sessions.get(name)?)
    }

    /// Opens a session of a run.
    ///
    /// # Panics
    /// If there is one of this name.
    pub(crate) fn open(&self, name: &str, place: u64) {
        let before = self.lock().sessions.insert(name.into(), Session::of_run(place));
        assert!(before.is_none(), "every trajectory has a key of its own");
    }

    /// Closes a session of a run, if it is there.
    pub(crate) fn close(&self, name: &str) -> Option<Session> {
        let mut all = self.lock();
        let session = all.sessions.remove(name)?;
        all.tokens -= session.size();
        all.ended.add(&session);
        Some(session)
    }

    /// Numbers `count` calls of a session of a run, and chooses their random numbers. At most `most` calls
    /// of a session are answered.
    pub(crate) fn begin_in_run(
        &self,
        name: &str,
        (count, most): (u32, usize),
        new: &NewCall<'_>,
    ) -> Result<(u32, u64, Vec<Stream>), Refusal> {
        let mut all = self.lock();
        let session =
            all.sessions.get_mut(name).filter(|session| !session.is_done()).ok_or_else(no_trajectory)?;
        let full = session.held() + count as usize > most;
        let (first, before) = (session.next(), session.answered_at(new.parent));
        let run = session.run().ok_or_else(no_trajectory)?;
        if full {
            run.refuse(Reached::Calls);
            let message = format!("the trajectory has had its {most} calls: rollout.max_turns");
            return Err(Refusal { code: Some("turn_limit"), ..Refusal::of(400, message) });
        }
        let streams = (first..first + count).map(|call| run.begin(call, new, before)).collect();
        let place = run.place;
        session.open += count;
        session.number(count);
        Ok((first, place, streams))
    }

    /// Notes a limit that refused a call of a session of a run.
    pub(crate) fn refuse(&self, name: &str, reached: Reached) {
        if let Some(run) = self.lock().sessions.get_mut(name).and_then(Session::run) {
            run.refuse(reached);
        }
    }

    /// Numbers `count` calls of a session, which begins if it isn't there; returns the first.
    pub(crate) fn begin(&self, name: &str, count: u32) -> Result<u32, Refusal> {
        let mut all = self.lock();
        let is_new = !all.sessions.contains_key(name);
        while (is_new && all.sessions.len() >= SESSIONS) || all.tokens >= TOKENS {
            self.end_oldest(&mut all, name)?;
        }
        if is_new {
            all.sessions.insert(name.into(), Session::new());
        }
        all.clock += 1;
        let now = all.clock;
        let session = all.sessions.get_mut(name).expect("it was just looked for");
        session.used = now;
        session.open += count;
        Ok(session.number(count))
    }

    /// Adds an answered call of a session.
    pub(crate) fn answer(&self, name: &str, answered: Answered) {
        let mut all = self.lock();
        if let Some(session) = all.sessions.get_mut(name) {
            let before = session.size();
            session.add(answered);
            let added = session.size() - before;
            all.tokens += added;
        }
    }

    /// Ends the work on `count` calls from `first` on, answered or not. A session of one request ends with
    /// it.
    ///
    /// # Errors
    /// If the record can't be written.
    pub(crate) fn leave(&self, name: &Name, first: u32, count: u32) -> Result<(), Refusal> {
        let mut all = self.lock();
        if let Some(session) = all.sessions.get_mut(&name.name) {
            session.leave(first, count);
            if name.single {
                return self.end(&mut all, &name.name, true);
            }
        }
        Ok(())
    }

    /// Gives rewards to a call, and ends the session if it is `done`. Returns the number of the call, if
    /// there are rewards.
    pub(crate) fn reward(
        &self,
        name: &str,
        call: Option<u32>,
        rewards: &Rewards,
        done: bool,
    ) -> Result<Option<u32>, Refusal> {
        let mut all = self.lock();
        let unknown = || Refusal::of(404, "there is no such session; it begins with its first call");
        let session = all.sessions.get(name).filter(|session| !session.is_done()).ok_or_else(unknown)?;
        if done && session.open > 0 {
            return Err(Refusal::of(409, "the session isn't done: a call is being answered"));
        }
        let is_of_run = session.run.is_some();
        while !is_of_run && !rewards.is_empty() && all.tokens >= TOKENS {
            self.end_oldest(&mut all, name)?;
        }
        let is_none = rewards.is_empty() && call.is_none();
        let rewarded = if is_none { None } else { Some(all.reward(name, call, rewards)?) };
        match all.sessions.get_mut(name).and_then(Session::run) {
            // The trainer closes the sessions of a run.
            Some(run) => run.done |= done,
            None if done => self.end(&mut all, name, true)?,
            None => {}
        }
        Ok(rewarded)
    }

    /// Ends all sessions. Returns how many there were.
    ///
    /// # Errors
    /// If the record can't be written.
    pub(crate) fn end_all(&self) -> Result<Counts, Refusal> {
        let mut all = self.lock();
        let mut names: Vec<(u64, String)> =
            all.sessions.iter().map(|(name, session)| (session.used, name.clone())).collect();
        names.sort_unstable();
        for (_, name) in names {
            self.end(&mut all, &name, false)?;
        }
        Ok(all.ended)
    }

    /// Ends the session that has waited longest, other than `but`, to make room.
    fn end_oldest(&self, all: &mut All, but: &str) -> Result<(), Refusal> {
        let idle = all.sessions.iter().filter(|(name, session)| session.open == 0 && *name != but);
        let oldest = idle.min_by_key(|(_, session)| session.used).map(|(name, _)| name.clone());
        let name = oldest.ok_or_else(|| Refusal::busy("the sessions at work fill their memory"))?;
        self.end(all, &name, false)
    }

    /// Writes a session's line and drops it. A session that can't be written stays.
    fn end(&self, all: &mut All, name: &str, done: bool) -> Result<(), Refusal> {
        let session = &all.sessions[name];
        if let Some(record) = self.record.as_ref().filter(|_| session.size() > 0) {
            let failed = |error: io::Error| Refusal::of(500, format!("{}: {error}", record.path().display()));
            record.write(&session.record(name, done)).map_err(failed)?;
        }
        let session = all.sessions.remove(name).expect("it was just there");
        all.tokens -= session.size();
        all.ended.add(&session);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        // Every change of a session is a whole one.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refuses a request that names no session of the run.
pub(crate) fn no_trajectory() -> Refusal {
    Refusal::of(401, "no trajectory of the run has this key, or it has ended")
}
