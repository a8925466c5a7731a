//! Plays every task once per epoch, each epoch in another order.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Plays every task once per epoch, each epoch in another order. Epochs follow each other without a gap: a
/// step at the end of one takes the rest of its tasks from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Uniform {}

/// Returns the endless row of `tasks` tasks from a position on. Position `p` is in epoch `p / tasks`.
pub(crate) fn row(seed: u64, tasks: usize, position: usize) -> impl Iterator<Item = usize> {
    let mut shuffled: Option<(usize, Vec<usize>)> = None;
    (position..).map(move |position| {
        let epoch = position / tasks;
        if shuffled.as_ref().is_none_or(|(of, _)| *of != epoch) {
            shuffled = Some((epoch, order(seed, epoch, tasks)));
        }
        let (_, order) = shuffled.as_ref().expect("the epoch's order was just made");
        order[position % tasks]
    })
}

fn order(seed: u64, epoch: usize, tasks: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..tasks).collect();
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(epoch as u64).to_le_bytes());
    order.shuffle(&mut ChaCha8Rng::from_seed(key));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_once_per_epoch() {
        let seen: Vec<usize> = row(7, 10, 0).take(30).collect();
        for epoch in seen.chunks(10) {
            let mut sorted = epoch.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..10).collect::<Vec<_>>());
        }
        assert_ne!(seen[..10], seen[10..20]);
        for position in 0..25 {
            let later: Vec<usize> = row(7, 10, position).take(5).collect();
            assert_eq!(later, seen[position..position + 5], "a row has no memory");
        }
    }

    /// The order of the runs that were made before tasks could be drawn otherwise.
    #[test]
    fn the_order_of_a_seed_stays() {
        let first: Vec<usize> = row(0, 12, 0).take(12).collect();
        assert_eq!(first, [3, 8, 11, 7, 1, 0, 5, 9, 2, 4, 6, 10]);
    }
}
