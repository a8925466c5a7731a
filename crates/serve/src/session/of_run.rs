//! A session's part in a run: its random numbers, its clock and its limits.

use std::collections::BTreeMap;

use turnwise_trajectory::TokenId;

use crate::session::run::Reached;
use crate::session::streams::{Stream, Streams};

/// Holds what a session of a run has besides.
pub(crate) struct OfRun {
    /// Names its random numbers to the engine.
    pub(crate) place: u64,
    pub(crate) streams: Streams,
    /// The first limit that refused a call.
    pub(crate) reached: Option<Reached>,
    /// Whether its program has said that it is done.
    pub(crate) done: bool,
    /// Counts arrivals and answers of calls.
    clock: u64,
    /// When each call arrived that is being answered.
    pub(super) begun: BTreeMap<u32, u64>,
}

/// Holds a call that gets its number.
pub(crate) struct NewCall<'a> {
    /// The call that it continues.
    pub(crate) parent: Option<u32>,
    pub(crate) prompt: &'a [TokenId],
    /// When it arrived, by the clock of a session of a run.
    pub(crate) arrived: u64,
}

impl OfRun {
    pub(super) fn new(place: u64) -> Self {
        let (streams, begun) = (Streams::default(), BTreeMap::new());
        Self { place, streams, reached: None, done: false, clock: 0, begun }
    }

    /// Chooses the random numbers of a call that begins.
    ///
    /// - `before`: when the call that it continues was answered. A client may send the head of a request
    ///   earlier, and its body when it knows that answer.
    pub(crate) fn begin(&mut self, call: u32, new: &NewCall<'_>, before: u64) -> Stream {
        let arrived = if new.arrived > before { new.arrived } else { self.tick() };
        self.begun.insert(call, arrived);
        self.streams.take(call, new.parent, new.prompt)
    }

    /// Keeps the first limit that refused a call.
    pub(crate) fn refuse(&mut self, reached: Reached) {
        self.reached.get_or_insert(reached);
    }

    /// Returns the next time of the session's clock.
    pub(crate) fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
}
