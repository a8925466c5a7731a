//! A key/value head of one sequence and its queries, copied into buffers.

use std::ops::Range;

use super::{COLUMNS, Plan};
use crate::block::AttentionConfig;
use crate::layers::angles::{Angles, Factors};

/// Holds one key/value head of one sequence.
pub(super) struct Unit<'a> {
    pub(super) plan: &'a Plan,
    pub(super) row: usize,
    pub(super) group: usize,
}

impl Unit<'_> {
    /// Returns the number of queries per key/value head.
    pub(super) fn share(&self) -> usize {
        self.plan.attention.query_heads / self.plan.attention.key_value_heads
    }

    pub(super) fn tokens(&self) -> usize {
        self.plan.lengths[self.row]
    }

    /// Returns the angles of the sequence's positions.
    pub(super) fn angles(&self) -> &[Angles] {
        let angles = &self.plan.angles;
        angles.get(self.row).unwrap_or(&angles[0])
    }

    /// Returns the sizes of the buffers.
    pub(super) fn size(&self) -> Size<'_> {
        Size {
            tokens: self.tokens(),
            rows: self.tokens().next_multiple_of(COLUMNS),
            dim: self.plan.attention.head_dim,
            wide: self.plan.attention.head_dim.next_multiple_of(COLUMNS),
            attention: &self.plan.attention,
        }
    }

    /// Returns the view of the queries in `[N, H·D]`.
    pub(super) fn queries(&self) -> HeadView<'_> {
        self.view(self.plan.attention.query_heads, self.share())
    }

    /// Returns the view of the keys, or of the values, in `[N, K·D]`.
    pub(super) fn keys(&self) -> HeadView<'_> {
        self.view(self.plan.attention.key_value_heads, 1)
    }

    fn view(&self, all: usize, heads: usize) -> HeadView<'_> {
        let dim = self.plan.attention.head_dim;
        HeadView {
            first: self.plan.starts[self.row],
            stride: all * dim,
            start: self.group * heads * dim,
            heads,
            size: self.size(),
        }
    }
}

/// Holds the sizes of a head's buffers `[rows, wide]`, which are zero beyond tokens and head dimensions.
#[derive(Clone, Copy)]
pub(super) struct Size<'a> {
    pub(super) tokens: usize,
    pub(super) rows: usize,
    pub(super) dim: usize,
    pub(super) wide: usize,
    attention: &'a AttentionConfig,
}

impl Size<'_> {
    pub(super) fn buffer(&self) -> usize {
        self.rows * self.wide
    }

    /// Returns the bound of scores.
    pub(super) fn softcap(&self) -> Option<f32> {
        self.attention.softcap.map(|cap| cap as f32)
    }

    /// Returns the keys that a query sees.
    pub(super) fn visible(&self, query: usize) -> Range<usize> {
        self.attention.visible(query)
    }

    /// Transposes `[rows, wide]` → `[wide, rows]`.
    pub(super) fn transposed(&self, buffer: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; buffer.len()];
        for (t, row) in buffer.chunks_exact(self.wide).enumerate() {
            for (out, value) in out[t..].iter_mut().step_by(self.rows).zip(row) {
                *out = *value;
            }
        }
        out
    }
}

/// Views heads of one sequence in a matrix of all sequences.
pub(super) struct HeadView<'a> {
    /// The row of the sequence's first token.
    first: usize,
    /// Numbers per row of the matrix.
    stride: usize,
    /// The column of the first head.
    start: usize,
    heads: usize,
    size: Size<'a>,
}

impl HeadView<'_> {
    /// Copies the heads to `[heads, rows, wide]`, zero beyond tokens and dimensions.
    pub(super) fn read(&self, matrix: &[f32]) -> Vec<f32> {
        let Size { tokens, dim, wide, .. } = self.size;
        let mut buffers = vec![0.0; self.heads * self.size.buffer()];
        for (head, buffer) in buffers.chunks_exact_mut(self.size.buffer().max(1)).enumerate() {
            for (t, row) in buffer.chunks_exact_mut(wide).take(tokens).enumerate() {
                row[..dim].copy_from_slice(&matrix[self.at(head, t)..][..dim]);
            }
        }
        buffers
    }

    /// Copies the heads, rotates them and multiplies them by their factors.
    pub(super) fn rotated(&self, matrix: &[f32], angles: &[Angles], factors: Factors) -> Vec<f32> {
        let mut buffers = self.read(matrix);
        self.turn(&mut buffers, angles, |angles, head| angles.rotate(head, factors));
        buffers
    }

    /// Replaces gradients of rotated heads by those of the heads.
    pub(super) fn rotate_back(&self, buffers: &mut [f32], angles: &[Angles], factors: Factors) {
        self.turn(buffers, angles, |angles, head| angles.rotate_back(head, factors));
    }

    fn turn(&self, buffers: &mut [f32], angles: &[Angles], with: impl Fn(&Angles, &mut [f32])) {
        for buffer in buffers.chunks_exact_mut(self.size.buffer().max(1)) {
            let rows = buffer.chunks_exact_mut(self.size.wide).take(self.size.tokens);
            rows.zip(angles).for_each(|(row, angles)| with(angles, &mut row[..self.size.dim]));
        }
    }

    /// Copies `[heads, rows, wide]` back to the heads.
    pub(super) fn write(&self, buffers: &[f32], matrix: &mut [f32]) {
        let Size { tokens, dim, wide, .. } = self.size;
        for (head, buffer) in buffers.chunks_exact(self.size.buffer().max(1)).enumerate() {
            for (t, row) in buffer.chunks_exact(wide).take(tokens).enumerate() {
                matrix[self.at(head, t)..][..dim].copy_from_slice(&row[..dim]);
            }
        }
    }

    fn at(&self, head: usize, t: usize) -> usize {
        (self.first + t) * self.stride + self.start + head * self.size.dim
    }
}
