//! What the ranks of a run say to each other.

use std::fmt::Debug;

/// Connects the ranks of a run. All of them call the same methods in the same order.
pub trait Ranks: Debug + Send + Sync {
    /// Returns the number of this rank, from 0.
    fn rank(&self) -> usize;

    /// Returns the number of ranks.
    fn size(&self) -> usize;

    /// Whether this is rank 0, which prints and writes.
    fn leads(&self) -> bool {
        self.rank() == 0
    }

    /// Returns the bytes of every rank, in their order, on every rank.
    fn gather_all(&self, bytes: Vec<u8>) -> Vec<Vec<u8>>;

    /// Sends `counts[r]` numbers to each rank `r`, taken from `values` in order. Returns those that the other
    /// ranks sent here, rank after rank; `expected` are their counts.
    fn exchange(&self, values: Vec<f32>, counts: &[usize], expected: &[usize]) -> Vec<f32>;

    /// Returns the numbers of all ranks, rank after rank. `mine` are this rank's, `counts` those of all.
    fn share_out(&self, mine: Vec<f32>, counts: &[usize]) -> Vec<f32>;

    /// Returns the bytes of rank 0; those of the others are ignored.
    fn say(&self, bytes: Vec<u8>) -> Vec<u8>;

    /// Brings the bytes of rank `from` to rank 0, and returns them there. Nothing is returned elsewhere.
    fn hand_over(&self, from: usize, bytes: Vec<u8>) -> Vec<u8>;

    /// Waits for all ranks and ends the connection. A rank that doesn't get here ends the job by its exit.
    fn finish(&self);

    /// Ends all ranks at once, with an exit status. Any thread may call it.
    fn abort(&self, status: i32) -> !;
}
