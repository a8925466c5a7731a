//! Cuts the trajectories of every task into random subgroups, as estimators see them in training.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Holds subgroups of different tasks, which are scored together: the task, and its members in the subgroup.
pub type Batch = Vec<(usize, Vec<usize>)>;

/// Cuts tasks of `sizes` trajectories into disjoint subgroups, `draws` times over: `[draw][batch]`.
///
/// Each draw has as many batches as the largest task has subgroups. A batch holds at most one subgroup of a
/// task. A task with fewer trajectories than `subgroup` is one subgroup; one with fewer than two is left out.
/// Trajectories beyond whole subgroups are left out of that draw. The same seed cuts alike.
pub fn batches(sizes: &[usize], subgroup: usize, draws: usize, seed: u64) -> Vec<Vec<Batch>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let cut = |_| {
        let mut draw: Vec<Batch> = Vec::new();
        for (task, &size) in sizes.iter().enumerate().filter(|(_, size)| **size >= 2) {
            let mut order: Vec<usize> = (0..size).collect();
            order.shuffle(&mut rng);
            for (at, members) in order.chunks_exact(subgroup.min(size)).enumerate() {
                if draw.len() == at {
                    draw.push(Batch::new());
                }
                draw[at].push((task, members.to_vec()));
            }
        }
        draw
    };
    (0..draws).map(cut).collect()
}

/// Returns the first subgroups that have at most `limit` trajectories together, in their batches.
pub fn beginning(draw: &[Batch], limit: usize) -> Vec<Batch> {
    let mut left = limit;
    let mut fits = |members: &[usize]| {
        let room = left.checked_sub(members.len());
        left = room.unwrap_or(0);
        room.is_some()
    };
    draw.iter().map(|batch| batch.iter().filter(|(_, members)| fits(members)).cloned().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subgroups_of_a_draw_are_disjoint_and_of_different_tasks_in_a_batch() {
        let found = batches(&[20, 1, 9, 3], 4, 2, 7);
        for draw in &found {
            assert_eq!(draw.iter().map(Vec::len).collect::<Vec<_>>(), [3, 2, 1, 1, 1]);
            let members =
                draw.iter().flatten().flat_map(|(task, members)| members.iter().map(move |m| (task, m)));
            let mut seen: Vec<_> = members.collect();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), 20 + 8 + 3);
        }
        assert_eq!(found, batches(&[20, 1, 9, 3], 4, 2, 7), "the same seed");
        assert_ne!(found, batches(&[20, 1, 9, 3], 4, 2, 8), "another seed");
    }
    #[test]
    fn a_beginning_has_whole_subgroups_up_to_the_limit() {
        let draw = batches(&[8, 8, 8], 4, 1, 0).remove(0);
        let count = |limit| beginning(&draw, limit).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(count(3), [0, 0]);
        assert_eq!(count(9), [2, 0]);
        assert_eq!(count(16), [3, 1]);
        assert_eq!(beginning(&draw, 100), draw);
    }
}
