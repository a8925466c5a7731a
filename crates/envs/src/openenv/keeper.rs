//! Answers the pings of servers while the policy writes: a server closes sessions that don't.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::connection::Connection;

/// How often. Servers of OpenEnv give 20 seconds.
const PERIOD: Duration = Duration::from_secs(1);

/// Sessions that are open, and some that were.
type Sessions = Mutex<Vec<Weak<Mutex<Connection>>>>;

/// A thread that listens to all open sessions in turn. It ends with the value.
pub(super) struct Keeper {
    sessions: Arc<Sessions>,
    /// Its end wakes the thread up.
    _alive: Sender<()>,
}

impl Keeper {
    pub(super) fn new() -> Self {
        let sessions: Arc<Sessions> = Arc::default();
        let (alive, ended) = channel();
        let kept = sessions.clone();
        std::thread::spawn(move || {
            while ended.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                for session in still_open(&kept) {
                    // Whoever holds it listens.
                    if let Ok(mut session) = session.try_lock() {
                        // What is wrong stays in the session for the next question.
                        let _ = session.listen();
                    }
                }
            }
        });
        Self { sessions, _alive: alive }
    }

    /// Listens to a session as long as it is held.
    pub(super) fn keep(&self, session: Connection) -> Arc<Mutex<Connection>> {
        let session = Arc::new(Mutex::new(session));
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.push(Arc::downgrade(&session));
        session
    }
}

fn still_open(sessions: &Sessions) -> Vec<Arc<Mutex<Connection>>> {
    let mut sessions = sessions.lock().unwrap_or_else(PoisonError::into_inner);
    sessions.retain(|session| session.strong_count() > 0);
    sessions.iter().filter_map(Weak::upgrade).collect()
}
