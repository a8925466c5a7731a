//! All sessions of a server, limited in number and in tokens.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use turnwise_trajectory::Rewards;

use crate::refusal::Refusal;
use crate::session::record::Record;
use crate::session::run::Reached;
use crate::session::streams::Stream;
use crate::session::tree::{Answered, NewCall, OfRun, Session, Unrewarded};

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
    /// Calls whose prompt repeats an answer in other tokens than were sampled.
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
        if let Some(record) = self.record.as_ref().filter(|_| session.counts().0 > 0) {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use turnwise_trajectory::{Finish, TokenId};

    use super::*;
    use crate::session::tree::Texts;

    fn answered(call: u32, parent: Option<u32>, prompt: &[TokenId]) -> Answered {
        Answered {
            call,
            parent,
            prompt: prompt.to_vec(),
            sampled: vec![2],
            logprobs: vec![-0.5],
            finish: Finish::EndOfTurn,
            diverged: false,
            said: None,
            written: None,
            texts: Texts::default(),
        }
    }

    #[test]
    fn a_session_does_not_end_while_a_request_finds_its_place_there() {
        let sessions = Sessions::new(None);
        let done = || sessions.reward("s", None, &Rewards::default(), true);
        assert_eq!(sessions.hold("s"), None, "a request that is refused begins no session");
        sessions.begin("s", 1).unwrap();
        sessions.answer("s", answered(0, None, &[1]));
        sessions.leave(&Name { name: "s".into(), single: false }, 0, 1).unwrap();
        // A request has arrived, and continues call 0.
        assert_eq!(sessions.hold("s"), Some(0));
        assert_eq!(done().unwrap_err().status, 409);
        for other in 0..SESSIONS {
            sessions
                .begin(&format!("other {other}"), 1)
                .map_or_else(|refusal| panic!("{}", refusal.line()), drop);
            sessions.leave(&Name { name: format!("other {other}"), single: false }, 0, 1).unwrap();
        }
        assert_eq!(sessions.look("s", |session| session.before(&[1, 2, 3])), Some(0), "others make room");
        assert_eq!(sessions.begin("s", 1).ok(), Some(1));
        sessions.release("s");
        assert_eq!(done().unwrap_err().status, 409, "its call is being answered");
        sessions.answer("s", answered(1, Some(0), &[1, 2, 3]));
        sessions.leave(&Name { name: "s".into(), single: false }, 1, 1).unwrap();
        done().unwrap();
        assert_eq!(sessions.hold("s"), None);
    }

    #[test]
    fn rewards_are_part_of_the_memory_of_sessions() {
        let sessions = Sessions::new(None);
        let size = || sessions.lock().tokens;
        sessions.begin("s", 1).unwrap();
        sessions.answer("s", answered(0, None, &[1]));
        sessions.leave(&Name { name: "s".into(), single: false }, 0, 1).unwrap();
        let before = size();
        let give = |names: &[&str], done: bool| {
            let rewards = names.iter().map(|name| (*name, 0.5)).collect();
            sessions.reward("s", None, &rewards, done).unwrap();
        };
        give(&["a", "b"], false);
        let with_two = size();
        assert!(with_two > before);
        give(&["a", "b"], false);
        assert_eq!(size(), with_two, "they add up");
        give(&["c"], true);
        assert_eq!(size(), 0, "the session has ended");
    }

    #[test]
    #[should_panic(expected = "a call continues what its session has read and sampled")]
    fn a_call_of_another_session_is_no_parent() {
        let sessions = Sessions::new(None);
        sessions.begin("s", 2).unwrap();
        sessions.answer("s", answered(0, None, &[7]));
        sessions.answer("s", answered(1, Some(0), &[1, 2, 3]));
    }

    #[test]
    fn a_session_of_a_run_that_is_done_answers_no_more() {
        let sessions = Sessions::new(None);
        sessions.open("s", 0);
        let begin = || {
            let new = NewCall { parent: None, prompt: &[1], arrived: sessions.hold("s").unwrap() };
            let begun = sessions.begin_in_run("s", (1, 9), &new).map(|(number, ..)| number);
            sessions.release("s");
            begun.map_err(|refusal| refusal.status)
        };
        assert_eq!(begin(), Ok(0));
        sessions.answer("s", answered(0, None, &[1]));
        sessions.leave(&Name { name: "s".into(), single: false }, 0, 1).unwrap();
        let reward = |done| {
            let given: Rewards = [("acc", 1.0)].into_iter().collect();
            sessions.reward("s", None, &given, done).map_err(|refusal| refusal.status)
        };
        assert_eq!(reward(true), Ok(Some(0)));
        assert_eq!((reward(false), begin()), (Err(404), Err(401)));
        assert_eq!(sessions.close("s").expect("it is there").transcript().calls.len(), 1);
    }

    #[test]
    fn rewards_of_a_run_count_answered_calls() {
        let sessions = Sessions::new(None);
        sessions.open("s", 0);
        let begin = || {
            let new = NewCall { parent: None, prompt: &[1], arrived: sessions.hold("s").unwrap() };
            sessions.begin_in_run("s", (1, 9), &new).map(|(number, ..)| number).ok()
        };
        assert_eq!([begin(), begin(), begin()], [Some(0), Some(1), Some(2)]);
        sessions.answer("s", answered(0, None, &[1]));
        // Its client gave up call 1 and asked again.
        sessions.answer("s", answered(2, None, &[1]));
        let reward = |turn: Option<u32>| {
            let given: Rewards = [("p", 1.0)].into_iter().collect();
            sessions.reward("s", turn, &given, false).ok().flatten()
        };
        assert_eq!([reward(Some(1)), reward(None), reward(Some(2))], [Some(1), Some(1), None]);
        let calls = sessions.close("s").expect("it is there").transcript().calls;
        let given = calls.iter().map(|call| (call.number, call.rewards.get("p")));
        assert_eq!(given.collect::<BTreeMap<_, _>>(), BTreeMap::from([(0, 0.0), (2, 2.0)]));
    }

    #[test]
    fn a_call_that_is_given_up_leaves_its_turn_to_another() {
        let sessions = Sessions::new(None);
        let name = Name { name: "s".into(), single: false };
        let new = NewCall { parent: None, prompt: &[1], arrived: 0 };
        let begin = || sessions.begin_in_run("s", (1, 2), &new).map(|(number, ..)| number);
        let is_full = || begin().is_err_and(|refusal| refusal.code == Some("turn_limit"));
        sessions.open("s", 0);
        assert_eq!((begin().ok(), begin().ok()), (Some(0), Some(1)));
        assert!(is_full(), "two calls are being answered");
        sessions.answer("s", answered(0, None, &[1]));
        assert!(is_full(), "one was answered");
        sessions.leave(&name, 0, 1).expect("nothing to write");
        assert!(is_full(), "and has ended");
        sessions.leave(&name, 1, 1).expect("nothing to write");
        assert_eq!(begin().ok(), Some(2), "the other was given up");
        assert!(is_full());
    }
}
