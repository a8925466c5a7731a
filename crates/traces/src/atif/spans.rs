//! Traces that span several documents: continuations, and sub-agents in files of their parents' session.

use std::collections::HashMap;

use super::read::{Extra, Trajectory};
use crate::document::Document;
use crate::error::{TraceError, Wrong};
use crate::note::TraceNote;
use crate::trace::Trace;

/// Holds the traces of sessions by name and attempt, as indices.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Spans {
    of_sessions: HashMap<(String, u32), usize>,
    /// The documents in which traces go on that haven't been read, by trace.
    awaited: HashMap<usize, String>,
}

impl Spans {
    /// Reads a document into the trace of its session, which is a new one if no document was. Returns its
    /// index.
    ///
    /// `name` is its name if it doesn't say one.
    pub(crate) fn read(
        &mut self,
        all: &mut Vec<Trace>,
        document: &Document<'_>,
        (name, place): (&str, &str),
    ) -> Result<usize, Wrong> {
        let mut trajectory: Trajectory = document.read()?;
        let note = trajectory.extra.take().and_then(|Extra { turnwise }| turnwise);
        let session = trajectory.session_id.take();
        let next = trajectory.continued_trajectory_ref.take();
        let attempt = note.as_ref().map_or(0, |TraceNote { attempt, .. }| *attempt);
        let known = session.as_ref().and_then(|session| self.of_sessions.get(&(session.clone(), attempt)));
        let at = known.copied().unwrap_or_else(|| {
            let named = session.as_ref().or(trajectory.id.as_ref());
            all.push(Trace::new(named.map_or(name, String::as_str), place));
            all.len() - 1
        });
        if let Some(session) = session {
            self.of_sessions.insert((session, attempt), at);
        }
        trajectory.calls("", &mut all[at])?;
        if let Some(note) = note {
            note.tell(&mut all[at]);
        }
        match next {
            Some(next) => drop(self.awaited.insert(at, next)),
            None => drop(self.awaited.remove(&at)),
        }
        Ok(at)
    }

    /// Checks that no trace goes on in a document that wasn't read.
    pub(crate) fn whole(&self, all: &[Trace]) -> Result<(), TraceError> {
        let Some((at, next)) = self.awaited.iter().min() else { return Ok(()) };
        let message = format!(
            "the trajectory goes on in {next:?}, which wasn't read behind it with the same session_id\n  \
             hint: name that file behind this one"
        );
        Err(Wrong::at("continued_trajectory_ref", message).of(&all[*at].place))
    }
}
