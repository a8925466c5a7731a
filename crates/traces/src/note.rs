//! The rest of a trace that other formats have no key for, under their key `turnwise`.

use serde::{Deserialize, Deserializer, Serialize};
use turnwise_trajectory::{Finish, Rewards, Stop};

use crate::judged::Judged;
use crate::trace::{Call, Trace};

/// Holds the rest of a trace.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct TraceNote {
    /// The session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<String>,
    /// The task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) task: Option<String>,
    /// The number of the attempt among those of the session's name.
    pub(crate) attempt: u32,
    /// Whether it is right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) correct: Option<bool>,
    /// The reason for its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stop: Option<Stop>,
    /// The inputs of credit beside rewards.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) judged: Judged,
}

/// Holds the rest of a call. A program that adds rewards to a file may leave out the other keys.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::option_option, reason = "a key may be null or absent")]
pub(crate) struct CallNote {
    /// The number of the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) call: Option<u32>,
    /// The number of the call that it continues, or null. Its tokens decide where it is absent.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "told")]
    pub(crate) parent: Option<Option<u32>>,
    /// Its rewards.
    pub(crate) rewards: Rewards,
    /// The reason for its end.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) finish: Finish,
    /// The version of the weights.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) version: u64,
    /// Whether its prompt holds an answer that was changed since it was sampled.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) diverged: bool,
}

/// Reads a key that may be null.
#[expect(clippy::option_option, reason = "the outer one is for an absent key")]
fn told<'de, D: Deserializer<'de>>(key: D) -> Result<Option<Option<u32>>, D::Error> {
    Option::deserialize(key).map(Some)
}

fn is_default<T: PartialEq + Default>(value: &T) -> bool {
    *value == T::default()
}

impl TraceNote {
    /// Returns the rest of a trace, which is the given attempt of its name.
    pub(crate) fn of(trace: &Trace, attempt: u32) -> Self {
        Self {
            session: Some(trace.name.clone()),
            task: Some(trace.task.clone()),
            attempt,
            correct: trace.correct,
            stop: Some(trace.stopped()),
            judged: trace.judged.clone(),
        }
    }

    /// Gives a trace what the note holds.
    pub(crate) fn tell(self, trace: &mut Trace) {
        if let Some(session) = self.session {
            trace.task.clone_from(&session);
            trace.name = session;
        }
        if let Some(task) = self.task {
            trace.task = task;
        }
        trace.correct = self.correct.or(trace.correct);
        trace.stop = self.stop.or(trace.stop);
        if self.judged != Judged::default() {
            trace.judged = self.judged;
        }
    }
}

impl CallNote {
    /// Returns the rest of a call.
    pub(crate) fn of(trace: &Trace, call: &Call) -> Self {
        let Call { number, parent, finish, version, diverged, .. } = *call;
        let parent = parent.map(|parent| trace.calls[parent].number);
        let rewards = call.rewards.clone();
        Self { call: Some(number), parent: Some(parent), rewards, finish, version, diverged }
    }

    /// Adds a call to a trace with what its note holds. Without a note, its tokens say which call it
    /// continues.
    pub(crate) fn push(note: Option<Self>, mut call: Call, trace: &mut Trace) {
        call.parent = match note.as_ref().and_then(|note| note.parent) {
            Some(None) => None,
            // Calls may have been taken out since.
            Some(Some(parent)) => {
                trace.numbered_before(parent, &call.prompt).or_else(|| trace.before(&call.prompt))
            }
            None => trace.before(&call.prompt),
        };
        if let Some(Self { call: number, rewards, finish, version, diverged, .. }) = note {
            call.number = number.unwrap_or(call.number);
            call.rewards = rewards;
            call.version = version;
            call.diverged = diverged;
            if finish != Finish::default() {
                call.finish = finish;
            }
        }
        call.number = trace.free(call.number);
        trace.calls.push(call);
    }
}
