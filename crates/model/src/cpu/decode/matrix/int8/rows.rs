//! Inputs of products in eight bits.

#![expect(clippy::inline_always, reason = "code under `with_simd` becomes one function")]

use pulp::{Simd, WithSimd};

use super::{BLOCK, GROUP, GROUPS, quantise};
use crate::cpu::simd::Cpu;

/// Holds rounded rows.
pub(in crate::cpu::decode::matrix) struct Rows {
    /// `[N, in / GROUP]`: four neighbours each, the first in the lowest byte.
    groups: Vec<i32>,
    /// `[N, in / BLOCK]`.
    scales: Vec<f32>,
    /// `-128·Σq` of each block, which takes the offset of the weights away.
    starts: Vec<i32>,
    /// `in / BLOCK`.
    blocks: usize,
}

/// Shows one rounded row.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) groups: &'a [i32],
    pub(super) scales: &'a [f32],
    pub(super) starts: &'a [i32],
}

impl Rows {
    /// Rounds `x`, `[N, wide]`.
    pub(in crate::cpu::decode::matrix) fn new(cpu: Cpu, x: &[f32], wide: usize) -> Self {
        let (n, blocks) = (x.len() / wide, wide.div_ceil(BLOCK));
        let (groups, scales) = (vec![0; n * blocks * GROUPS], vec![0.0; n * blocks]);
        let mut rows = Self { groups, scales, starts: vec![0; n * blocks], blocks };
        cpu.run(Round { x, wide, rows: &mut rows });
        rows
    }

    /// Returns the number of rows.
    pub(super) fn count(&self) -> usize {
        self.scales.len() / self.blocks
    }

    /// Returns row `at`.
    pub(super) fn row(&self, at: usize) -> Row<'_> {
        let blocks = at * self.blocks..(at + 1) * self.blocks;
        Row {
            groups: &self.groups[blocks.start * GROUPS..blocks.end * GROUPS],
            scales: &self.scales[blocks.clone()],
            starts: &self.starts[blocks],
        }
    }
}

/// Rounds rows.
struct Round<'a> {
    x: &'a [f32],
    wide: usize,
    rows: &'a mut Rows,
}

impl WithSimd for Round<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { x, wide, rows } = self;
        let blocks = x.chunks_exact(wide).flat_map(|row| row.chunks(BLOCK));
        let groups = rows.groups.chunks_exact_mut(GROUPS);
        let numbers = rows.scales.iter_mut().zip(&mut rows.starts);
        for ((numbers, groups), (scale, start)) in blocks.zip(groups).zip(numbers) {
            let mut block = [0.0; BLOCK];
            block[..numbers.len()].copy_from_slice(numbers);
            let (rounded, by) = quantise(&block);
            *scale = by;
            *start = -128 * rounded.iter().map(|q| i32::from(*q)).sum::<i32>();
            for (group, four) in groups.iter_mut().zip(rounded.as_chunks::<GROUP>().0) {
                *group = i32::from_le_bytes(four.map(|q| q as u8));
            }
        }
    }
}
