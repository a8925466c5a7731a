//! The arrival of a request in its session.

use std::sync::Arc;

use crate::server_state::ServerState;
use crate::session::all::Name;
use crate::session::tree::Session;

/// Holds a session from the arrival of a request until its calls have their numbers. A session that is held
/// doesn't end: what a request finds there is still there when its calls are numbered.
pub(crate) struct Arrived {
    state: Arc<ServerState>,
    pub(crate) name: Name,
    /// When it arrived, if the session was there.
    at: Option<u64>,
}

impl Arrived {
    pub(crate) fn new(state: Arc<ServerState>, name: Name) -> Self {
        let at = state.sessions.hold(&name.name);
        Self { state, name, at }
    }

    /// Returns whether the session was there. In a run, only opened ones are.
    pub(crate) fn is_known(&self) -> bool {
        self.at.is_some()
    }

    /// Returns when it arrived, by the clock of a session of a run.
    pub(crate) fn at(&self) -> u64 {
        self.at.unwrap_or(0)
    }

    /// Looks into the session. One that began after the arrival isn't looked into: it may end at any time.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Session) -> Option<T>) -> Option<T> {
        self.at.and_then(|_| self.state.sessions.look(&self.name.name, look))
    }
}

impl Drop for Arrived {
    fn drop(&mut self) {
        if self.is_known() {
            self.state.sessions.release(&self.name.name);
        }
    }
}
