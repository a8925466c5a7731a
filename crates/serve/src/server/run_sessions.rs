//! Sessions of a run: one per trajectory, opened and closed by the trainer.

use std::sync::Arc;

use crate::server_state::ServerState;
use crate::session::run::Transcript;
use crate::session::tree::Session;

/// Opens and closes the sessions of a server that answers for a run.
#[derive(Clone)]
pub struct RunSessions(pub(crate) Arc<ServerState>);

impl RunSessions {
    /// Opens a session.
    ///
    /// - `place`: names its random numbers to the engine
    ///
    /// # Panics
    /// If there is one of this name.
    pub fn open(&self, name: &str, place: u64) {
        self.0.sessions.open(name, place);
    }

    /// Closes a session. Calls that come later, or are still being answered, don't count.
    pub fn close(&self, name: &str) -> Transcript {
        self.0.sessions.close(name).map(Session::transcript).unwrap_or_default()
    }
}
