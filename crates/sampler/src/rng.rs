//! Gives each sampled turn its random stream, so a sequence doesn't depend on its batch.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Generates the random numbers of one turn.
pub type SequenceRng = ChaCha8Rng;

/// Identifies a stream of random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SequenceId {
    /// Seed of the run.
    pub seed: u64,
    /// Training step.
    pub step: u64,
    /// The task (a hash of its id).
    pub task: u64,
    /// How often the step had the task before: 0, unless there are fewer tasks than groups or an epoch ends.
    pub occurrence: u32,
    /// Index of the trajectory in its group.
    pub sample: u32,
    /// Index of the turn, from 0.
    pub turn: u32,
}

impl SequenceId {
    /// Returns the stream of this turn.
    ///
    /// Different ids have different keys of the generator, or different streams of one key, so they never
    /// overlap.
    pub fn rng(self) -> SequenceRng {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&self.seed.to_le_bytes());
        key[8..16].copy_from_slice(&self.step.to_le_bytes());
        key[16..24].copy_from_slice(&self.task.to_le_bytes());
        key[24..28].copy_from_slice(&self.sample.to_le_bytes());
        key[28..].copy_from_slice(&self.turn.to_le_bytes());
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(self.occurrence.into());
        rng
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    #[test]
    fn every_part_of_the_id_changes_the_stream() {
        let id = SequenceId { seed: 1, step: 2, task: 3, occurrence: 0, sample: 4, turn: 5 };
        let first = |id: SequenceId| id.rng().random::<u64>();
        let others = [
            SequenceId { seed: 9, ..id },
            SequenceId { step: 9, ..id },
            SequenceId { task: 9, ..id },
            SequenceId { occurrence: 9, ..id },
            SequenceId { sample: 9, ..id },
            SequenceId { turn: 9, ..id },
        ];
        assert_eq!(first(id), first(id));
        assert!(others.iter().all(|other| first(*other) != first(id)));
    }
}
