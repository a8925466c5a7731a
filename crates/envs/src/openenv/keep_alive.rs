//! Answers the pings of servers while the policy samples. A server closes sessions that don't answer.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::connection::Connection;

/// Time between two checks. Servers of OpenEnv allow 20 seconds.
const PERIOD: Duration = Duration::from_secs(1);

/// Open sessions, and some that have ended.
type Sessions = Mutex<Vec<Weak<Mutex<Connection>>>>;

/// Holds a thread that listens to all open sessions in turn. It ends with the value.
pub(super) struct KeepAlive {
    sessions: Arc<Sessions>,
    /// Its end wakes the thread.
    _alive: Sender<()>,
}

impl KeepAlive {
    pub(super) fn new() -> Self {
        let sessions: Arc<Sessions> = Arc::default();
        let (alive, ended) = channel();
        let kept = sessions.clone();
        std::thread::spawn(move || {
            while ended.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                for session in still_open(&kept) {
                    // The owner of the lock answers them itself.
                    if let Ok(mut session) = session.try_lock() {
                        // The session keeps an error for the next question.
                        let _ = session.listen();
                    }
                }
            }
        });
        Self { sessions, _alive: alive }
    }

    /// Watches a session as long as it exists.
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
