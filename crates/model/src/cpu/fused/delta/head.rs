//! The place of a key head of one sequence, and the columns of the value heads that share it.

use super::chunk::CHUNK;
use crate::block::DeltaNetConfig;

/// Holds the place of a key head of one sequence.
pub(super) struct Head<'a> {
    pub(super) config: &'a DeltaNetConfig,
    /// The row of the sequence's first token.
    pub(super) start: usize,
    /// Tokens of the sequence, at least one.
    pub(super) length: usize,
    /// Index of the key head.
    pub(super) key: usize,
}

impl Head<'_> {
    /// Returns the value heads that share the key head.
    pub(super) fn values(&self) -> std::ops::Range<usize> {
        let share = self.config.value_heads / self.config.key_heads;
        self.key * share..(self.key + 1) * share
    }

    /// Copies the columns of the value heads to `[heads, T, dv]`.
    ///
    /// - `width`, `first`: columns of the matrix, and the first of all value heads
    pub(super) fn read_values(&self, matrix: &[f32], width: usize, first: usize) -> Vec<f32> {
        let dim = self.config.value_dim;
        let cell = |head: usize, t: usize| (self.start + t) * width + first + head * dim;
        let cells = self.values().flat_map(|head| (0..self.length).map(move |t| cell(head, t)));
        cells.flat_map(|cell| &matrix[cell..cell + dim]).copied().collect()
    }

    /// Copies `[heads, T, dv]` to the columns of the value heads.
    pub(super) fn write_values(&self, values: &[f32], width: usize, first: usize, matrix: &mut [f32]) {
        let dim = self.config.value_dim;
        for (head, values) in self.values().zip(values.chunks_exact(self.length * dim)) {
            for (t, row) in values.chunks_exact(dim).enumerate() {
                let cell = (self.start + t) * width + first + head * dim;
                matrix[cell..cell + dim].copy_from_slice(row);
            }
        }
    }

    /// Returns the chunks' first tokens and lengths.
    pub(super) fn chunks(&self) -> impl DoubleEndedIterator<Item = (usize, usize)> + ExactSizeIterator {
        let length = self.length;
        (0..length.div_ceil(CHUNK)).map(move |at| (at * CHUNK, CHUNK.min(length - at * CHUNK)))
    }

    /// Returns an empty state.
    pub(super) fn state(&self) -> Vec<f32> {
        vec![0.0; self.config.key_dim * self.config.value_dim]
    }
}
