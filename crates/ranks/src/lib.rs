//! The processes of one run, called ranks. They exchange bytes and numbers, and know no tensors.
//!
//! [`begin`] returns [`Alone`], unless a launcher such as `mpirun` says that this process is one of several.
//! Those talk by MPI, with the feature `mpi`; a binary without it refuses to be one of them. Only the
//! transport is MPI's: every sum is made by the caller, in an order that doesn't depend on the number of
//! ranks.
//!
//! All ranks call the methods of [`Ranks`] in the same order, each on its main thread. A rank that fails must
//! say so in its next call, or end the job by [`Ranks::abort`]: the others wait for it.

mod alone;
mod launcher;
#[cfg(feature = "mpi")]
mod mpi;
mod ranks;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

pub use alone::Alone;
pub use launcher::{LaunchError, Launched, launched, local_rank};
pub use ranks::Ranks;

/// Whether this program was built with MPI.
pub const HAS_MPI: bool = cfg!(feature = "mpi");

/// Exit status of a panic.
const PANIC: i32 = 101;

/// Returns the ranks of this run. MPI begins only under a launcher that has started several processes.
///
/// # Errors
/// If this binary can't be one of several processes.
pub fn begin() -> Result<Arc<dyn Ranks>, LaunchError> {
    match launched() {
        None => Ok(Arc::new(Alone)),
        Some(launched) => of_several(launched),
    }
}

/// Runs `work`, and ends all ranks if it panics: the others would wait for this one.
pub fn guarded<T>(ranks: &dyn Ranks, work: impl FnOnce() -> T) -> T {
    // Nothing that `work` leaves half-done is used again.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| match ranks.size() {
        1 => resume_unwind(panic),
        _ => ranks.abort(PANIC),
    })
}

#[cfg(feature = "mpi")]
fn of_several(launched: Launched) -> Result<Arc<dyn Ranks>, LaunchError> {
    Ok(Arc::new(mpi::Mpi::begin(launched)?))
}

#[cfg(not(feature = "mpi"))]
fn of_several(launched: Launched) -> Result<Arc<dyn Ranks>, LaunchError> {
    Err(LaunchError::WithoutMpi(launched))
}
