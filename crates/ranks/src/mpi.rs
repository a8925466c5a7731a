//! Ranks that talk by MPI. Only this file names its bindings.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ThreadId};

use mpi::Count;
use mpi::Threading;
use mpi::datatype::{Partition, PartitionMut};
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Destination, Root, Source};

use crate::launcher::{LaunchError, Launched};
use crate::ranks::Ranks;

/// Bytes of a message at most. MPI counts in 32 bits, and memory of the network is dear.
const PIECE: usize = 64 << 20;

/// Is one of several processes that MPI connects.
pub(crate) struct Mpi {
    /// Gone after [`Ranks::finish`]. It is never dropped otherwise: that would wait for all ranks.
    universe: Mutex<Option<Universe>>,
    rank: usize,
    size: usize,
    /// The thread that may talk.
    main: ThreadId,
}

impl fmt::Debug for Mpi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {} of {}", self.rank, self.size)
    }
}

impl Drop for Mpi {
    fn drop(&mut self) {
        std::mem::forget(self.universe.get_mut().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Mpi {
    pub(crate) fn begin(launched: Launched) -> Result<Self, LaunchError> {
        let (universe, _) = mpi::initialize_with_threading(Threading::Funneled).ok_or(LaunchError::Begun)?;
        let world = universe.world();
        let (rank, size) = (world.rank() as usize, world.size() as usize);
        let this = Self { universe: Mutex::new(Some(universe)), rank, size, main: thread::current().id() };
        if size != launched.size {
            return Err(LaunchError::Strangers { launched, found: size });
        }
        Ok(this)
    }

    fn world(&self) -> SimpleCommunicator {
        assert_eq!(thread::current().id(), self.main, "only the main thread talks to other ranks");
        SimpleCommunicator::world()
    }

    /// Sends the bytes of `root` to all, which know their number.
    fn broadcast(&self, root: usize, bytes: &mut [u8]) {
        let world = self.world();
        let root = world.process_at_rank(root as i32);
        bytes.chunks_mut(PIECE).for_each(|piece| root.broadcast_into(piece));
    }

    /// Returns the numbers of all ranks.
    fn lengths(&self, mine: usize) -> Vec<usize> {
        let mut all = vec![0_u64; self.size];
        self.world().all_gather_into(&[mine as u64][..], &mut all[..]);
        all.into_iter().map(|length| length as usize).collect()
    }
}

/// Returns counts as MPI's, and where each part begins.
fn parts(counts: &[usize]) -> (Vec<Count>, Vec<Count>) {
    let as_count = |n: usize| Count::try_from(n).expect("a bucket of parameters has fewer than 2^31 numbers");
    let begins = counts.iter().scan(0, |end, count| {
        let begin = *end;
        *end += count;
        Some(as_count(begin))
    });
    let begins = begins.collect();
    (counts.iter().map(|&count| as_count(count)).collect(), begins)
}

impl Ranks for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn gather_all(&self, bytes: Vec<u8>) -> Vec<Vec<u8>> {
        let mut all: Vec<Vec<u8>> = self.lengths(bytes.len()).into_iter().map(|n| vec![0; n]).collect();
        all[self.rank] = bytes;
        all.iter_mut().enumerate().for_each(|(rank, bytes)| self.broadcast(rank, bytes));
        all
    }

    fn exchange(&self, values: Vec<f32>, counts: &[usize], expected: &[usize]) -> Vec<f32> {
        let mut received = vec![0.0; expected.iter().sum()];
        let ((counts, begins), (theirs, their_begins)) = (parts(counts), parts(expected));
        let sent = Partition::new(&values[..], counts, begins);
        let mut into = PartitionMut::new(&mut received[..], theirs, their_begins);
        self.world().all_to_all_varcount_into(&sent, &mut into);
        received
    }

    fn share_out(&self, mine: Vec<f32>, counts: &[usize]) -> Vec<f32> {
        let mut all = vec![0.0; counts.iter().sum()];
        let (counts, begins) = parts(counts);
        let mut into = PartitionMut::new(&mut all[..], counts, begins);
        self.world().all_gather_varcount_into(&mine[..], &mut into);
        all
    }

    fn say(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        let mut length = (bytes.len() as u64).to_le_bytes();
        self.broadcast(0, &mut length);
        bytes.resize(u64::from_le_bytes(length) as usize, 0);
        self.broadcast(0, &mut bytes);
        bytes
    }

    fn hand_over(&self, from: usize, bytes: Vec<u8>) -> Vec<u8> {
        if from == 0 {
            return if self.rank == 0 { bytes } else { Vec::new() };
        }
        let world = self.world();
        if self.rank == from {
            let lead = world.process_at_rank(0);
            lead.send(&[bytes.len() as u64][..]);
            bytes.chunks(PIECE).for_each(|piece| lead.send(piece));
            return Vec::new();
        }
        if self.rank != 0 {
            return Vec::new();
        }
        let source = world.process_at_rank(from as i32);
        let mut length = [0_u64];
        source.receive_into(&mut length[..]);
        let mut received = vec![0_u8; length[0] as usize];
        received.chunks_mut(PIECE).for_each(|piece| {
            source.receive_into(piece);
        });
        received
    }

    fn finish(&self) {
        let universe = self.universe.lock().unwrap_or_else(PoisonError::into_inner).take();
        assert_eq!(thread::current().id(), self.main, "MPI ends on the thread on which it began");
        drop(universe);
    }

    fn abort(&self, status: i32) -> ! {
        SimpleCommunicator::world().abort(status)
    }
}
