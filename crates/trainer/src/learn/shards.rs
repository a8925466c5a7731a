//! Sums shares of a step in one binary tree, in the same order on any number of workers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::device::workers;

/// A node of the tree: its height above the shards, and its number at that height.
type Node = (u32, usize);

/// Computes `shard` for `0..shards` on at most `workers` threads and returns the sum by the tree: neighbours
/// first, then neighbours of their sums.
///
/// `add` gets the sum of the lower numbers first. The order of sums depends on `shards` only, so the bytes of
/// the result depend neither on workers nor on timing. At most `workers + log2(shards)` sums exist at a time.
///
/// # Panics
/// If `shards` isn't a power of two, or a worker panics.
pub(crate) fn sum_in_tree<T: Send>(
    shards: usize,
    workers: usize,
    shard: impl Fn(usize) -> T + Sync,
    add: impl Fn(T, T) -> T + Sync,
) -> T {
    assert!(shards.is_power_of_two(), "neighbours are summed in pairs");
    let next = AtomicUsize::new(0);
    let waiting: Mutex<HashMap<Node, T>> = Mutex::default();
    // Adds a sum to its neighbour's and goes up, until a neighbour is missing or the top is reached.
    let rise = |shard: usize, mut sum: T| {
        let (mut height, mut number) = (0, shard);
        while 1 << height < shards {
            let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(neighbour) = waiting.remove(&(height, number ^ 1)) else {
                waiting.insert((height, number), sum);
                return None;
            };
            drop(waiting);
            sum = if number.is_multiple_of(2) { add(sum, neighbour) } else { add(neighbour, sum) };
            (height, number) = (height + 1, number / 2);
        }
        Some(sum)
    };
    let tops = workers::run_alone(vec![(); workers.clamp(1, shards)], |()| {
        let mut top = None;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= shards {
                return top;
            }
            top = rise(number, shard(number)).or(top);
        }
    });
    tops.into_iter().flatten().next().expect("the last sum reaches the top")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Writes the tree of sums down.
    fn tree(shards: usize, workers: usize) -> String {
        let shard = |number: usize| {
            // The first shards take longest, so that later ones wait for them.
            std::thread::sleep(Duration::from_micros(50 * (shards - number) as u64));
            number.to_string()
        };
        sum_in_tree(shards, workers, shard, |left, right| format!("({left} {right})"))
    }

    #[test]
    fn the_tree_is_the_same_on_any_number_of_workers() {
        for workers in [1, 2, 3, 7, 100] {
            assert_eq!(tree(1, workers), "0");
            assert_eq!(tree(4, workers), "((0 1) (2 3))", "{workers} workers");
            assert_eq!(tree(8, workers), "(((0 1) (2 3)) ((4 5) (6 7)))", "{workers} workers");
            assert_eq!(tree(64, workers), tree(64, 1), "{workers} workers");
        }
    }
}
