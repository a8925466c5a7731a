//! Chooses the tasks of a step: every task once per epoch, each epoch in a new order.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Returns the indices of a step's `groups` tasks, out of `tasks`. They depend on nothing but the arguments,
/// so a resumed run goes on with the right ones.
pub(crate) fn tasks_of_step(seed: u64, step: usize, groups: usize, tasks: usize) -> Vec<usize> {
    assert!(tasks > 0, "an environment to train on has tasks");
    let mut shuffled: Option<(usize, Vec<usize>)> = None;
    (step * groups..(step + 1) * groups)
        .map(|position| {
            let epoch = position / tasks;
            if shuffled.as_ref().is_none_or(|(of, _)| *of != epoch) {
                let mut order: Vec<usize> = (0..tasks).collect();
                let mut key = [0; 32];
                key[..8].copy_from_slice(&seed.to_le_bytes());
                key[8..16].copy_from_slice(&(epoch as u64).to_le_bytes());
                order.shuffle(&mut ChaCha8Rng::from_seed(key));
                shuffled = Some((epoch, order));
            }
            shuffled
                .as_ref()
                .map(|(_, order)| order[position % tasks])
                .expect("the epoch's order was just made")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_once_per_epoch() {
        let seen: Vec<usize> = (0..10).flat_map(|step| tasks_of_step(7, step, 3, 10)).collect();
        for epoch in seen.chunks(10) {
            let mut sorted = epoch.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..10).collect::<Vec<_>>());
        }
        assert_ne!(seen[..10], seen[10..20]);
    }
}
