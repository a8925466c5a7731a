//! Keeps sessions that were opened to read a task, until a trajectory of the task plays in them.

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use turnwise_tools::Fault;

use crate::env::EnvError;
use crate::retries::{Again, Retries};

/// Holds open sessions by the key of their task, without a turn yet.
pub(crate) struct Openings<K, S> {
    kept: Mutex<Vec<(K, S)>>,
    /// Held together by openings beside each other, and alone by one that is suspected.
    openings: RwLock<()>,
}

impl<K: PartialEq, S> Openings<K, S> {
    pub(crate) fn new() -> Self {
        Self { kept: Mutex::default(), openings: RwLock::default() }
    }

    /// Opens a session by `reset`, and again after faults as a trajectory does ([`Retries`]).
    ///
    /// # Errors
    /// If `check` fails after a fault. The inner error is the fault that costs the task.
    pub(crate) fn open<T>(
        &self,
        check: impl Fn() -> Result<(), EnvError>,
        reset: impl Fn() -> Result<T, Fault>,
    ) -> Result<Result<T, Fault>, EnvError> {
        let mut retries = Retries::default();
        loop {
            let opened = if retries.is_alone() {
                let _alone = self.openings.write().unwrap_or_else(PoisonError::into_inner);
                reset()
            } else {
                let _beside = self.openings.read().unwrap_or_else(PoisonError::into_inner);
                reset()
            };
            let fault = match opened {
                Ok(opened) => return Ok(Ok(opened)),
                Err(fault) => fault,
            };
            check()?;
            if retries.after(fault.cause) == Again::Never {
                return Ok(Err(fault));
            }
        }
    }

    /// Keeps a session.
    pub(crate) fn keep(&self, key: K, session: S) {
        self.kept().push((key, session));
    }

    /// Takes a session of a task, if there is one.
    pub(crate) fn take(&self, key: &K) -> Option<S> {
        let mut kept = self.kept();
        let at = kept.iter().position(|(known, _)| known == key)?;
        Some(kept.remove(at).1)
    }

    /// Closes the session that was kept last. Returns whether there was one.
    pub(crate) fn give_up(&self) -> bool {
        let last = self.kept().pop();
        last.is_some()
    }

    /// Closes all sessions.
    pub(crate) fn clear(&self) {
        let all = std::mem::take(&mut *self.kept());
        drop(all);
    }

    fn kept(&self) -> MutexGuard<'_, Vec<(K, S)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
