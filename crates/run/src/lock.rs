//! The lock of a run directory against other processes.

use std::fs::{File, TryLockError};
use std::path::Path;

use turnwise_files::own;

use crate::error::RunDirError;

/// The file that is locked.
pub(crate) const LOCK: &str = "lock";

/// Holds the lock. A program that another thread is just starting has a copy of the file, so closing it
/// wouldn't end the lock.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // The system ends it with the process at the latest.
        let _ = self.0.unlock();
    }
}

/// Locks a run directory.
pub(crate) fn lock(path: &Path) -> Result<Lock, RunDirError> {
    let lock_path = path.join(LOCK);
    let failed = |source| RunDirError::Write { path: lock_path.clone(), source };
    let lock = own::create(&lock_path).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(Lock(lock)),
        Err(TryLockError::WouldBlock) => Err(RunDirError::InUse { path: path.into() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_the_lock_s_file_does_not_hold_a_run_that_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let held = lock(folder.path()).unwrap();
        let copy = held.0.try_clone().unwrap();
        assert!(matches!(lock(folder.path()), Err(RunDirError::InUse { .. })));
        drop(held);
        assert!(lock(folder.path()).is_ok(), "{copy:?} is still open");
    }
}
