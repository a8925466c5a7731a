//! Products with weights in 8 bits, as `Q8_0` of llama.cpp has them: `w ≈ scale·q` with `|q| ≤ 127`, and
//! one scale for [`BLOCK`] neighbours of a row (absmax, arXiv:2110.02861 §2.1).
//!
//! Inputs of products are rounded in the same way, so sums over a block are sums of integers. They are exact,
//! and every processor has the same ones. The sums of blocks are added in f32, in their order.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod portable;
mod quantise;
mod rows;
#[cfg(target_arch = "x86_64")]
mod vnni;

use rayon::prelude::*;

use super::PANEL;
use crate::cpu::simd::Cpu;
use quantise::quantise;
pub(super) use rows::Rows;

/// Neighbours of a row that share a scale.
pub(in crate::cpu::decode) const BLOCK: usize = 32;
/// Neighbours of a row that lie together.
const GROUP: usize = 4;
/// Groups of a block.
const GROUPS: usize = BLOCK / GROUP;
/// Outputs of a line.
const LINE: usize = 16;
/// Lines of a panel's group.
const LINES: usize = PANEL / LINE;

/// Holds a group of [`LINE`] outputs. An entry is `q + 128`, since the instructions multiply an unsigned byte
/// by a signed one.
#[derive(Debug, Clone)]
#[repr(align(64))]
struct Line([u8; LINE * GROUP]);

/// Holds a matrix in panels of [`PANEL`] outputs.
#[derive(Debug)]
pub(super) struct Panels {
    /// `[panel, in / GROUP, LINES]`.
    lines: Vec<Line>,
    /// `[panel, in / BLOCK, PANEL]`.
    scales: Vec<f32>,
    /// `in / BLOCK`; the last block is padded with zeros.
    blocks: usize,
}

/// Shows the weights of one panel.
pub(super) struct Panel<'a> {
    lines: &'a [Line],
    scales: &'a [f32],
}

impl Panels {
    /// Rounds rows as checkpoints store them.
    pub(super) fn new(rows: &[f32], out: usize, wide: usize) -> Self {
        let (panels, blocks) = (out.div_ceil(PANEL), wide.div_ceil(BLOCK));
        let mut lines = vec![Line([128; LINE * GROUP]); panels * blocks * GROUPS * LINES];
        let mut scales = vec![0.0; panels * blocks * PANEL];
        let parts = lines.par_chunks_mut(blocks * GROUPS * LINES);
        let parts = parts.zip(scales.par_chunks_mut(blocks * PANEL));
        parts.zip(rows.par_chunks(PANEL * wide)).for_each(|((lines, scales), rows)| {
            for (column, row) in rows.chunks_exact(wide).enumerate() {
                for (at, weights) in row.chunks(BLOCK).enumerate() {
                    let mut block = [0.0; BLOCK];
                    block[..weights.len()].copy_from_slice(weights);
                    let (rounded, scale) = quantise(&block);
                    scales[at * PANEL + column] = scale;
                    for (group, four) in rounded.as_chunks::<GROUP>().0.iter().enumerate() {
                        let line = &mut lines[(at * GROUPS + group) * LINES + column / LINE].0;
                        let to = &mut line[column % LINE * GROUP..][..GROUP];
                        to.copy_from_slice(&four.map(|q| q as u8 ^ 128));
                    }
                }
            }
        });
        Self { lines, scales, blocks }
    }

    /// Lists the panels.
    pub(super) fn iter(&self) -> impl Iterator<Item = Panel<'_>> {
        let lines = self.lines.chunks_exact(self.blocks * GROUPS * LINES);
        let scales = self.scales.chunks_exact(self.blocks * PANEL);
        lines.zip(scales).map(|(lines, scales)| Panel { lines, scales })
    }

    /// Returns row `at` of the matrix.
    pub(super) fn row(&self, at: usize, wide: usize) -> Vec<f32> {
        let (panel, column) = (at / PANEL, at % PANEL);
        let weight = |k: usize| {
            let group = panel * self.blocks * GROUPS + k / GROUP;
            let offset = self.lines[group * LINES + column / LINE].0[column % LINE * GROUP + k % GROUP];
            let scale = self.scales[(panel * self.blocks + k / BLOCK) * PANEL + column];
            scale * (f32::from(offset) - 128.0)
        };
        (0..wide).map(weight).collect()
    }
}

impl Panel<'_> {
    /// Computes `y[j][o] = x[j]·w[o]` for all rows and the outputs of the panel.
    pub(super) fn product(&self, cpu: Cpu, x: &Rows, y: &mut [f32]) {
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(vnni) = cpu.vnni() {
                return vnni::product(vnni, self, x, y);
            }
            if let Some(avx2) = cpu.avx2() {
                return avx2::product(avx2, self, x, y);
            }
        }
        cpu.run(portable::Product { panel: self, x, y });
    }
}

#[cfg(test)]
mod tests;
