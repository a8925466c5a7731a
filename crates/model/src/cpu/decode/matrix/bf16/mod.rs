//! Products with weights in bf16.
//!
//! A bf16 is the upper half of an f32, so a shift or a mask widens it without rounding. These products are
//! those of f32 with rounded weights, to the bit. With [tiles](amx), inputs are sums of two bf16. The
//! instructions of AVX-512 BF16 aren't used: they aren't faster at two parts.

#![expect(clippy::inline_always, reason = "code under `with_simd` becomes one function")]

#[cfg(target_arch = "x86_64")]
pub(super) mod amx;
#[cfg(target_arch = "x86_64")]
pub(super) mod split;

use half::bf16;
use pulp::{Simd, WithSimd};

use super::PANEL;
use crate::cpu::simd::Ahead;

/// Inputs that panels are padded to a multiple of.
const STEP: usize = 32;

/// Copies rows into panels, `[in / 2, PANEL]` each: an entry holds two neighbours of a row, the first in its
/// lower half.
pub(super) fn panels(rows: &[f32], out: usize, wide: usize) -> Vec<u32> {
    let pairs = pairs(wide);
    let mut panels = vec![0; out.div_ceil(PANEL) * PANEL * pairs];
    for (at, row) in rows.chunks_exact(wide).enumerate() {
        let column = panels[at / PANEL * PANEL * pairs + at % PANEL..].iter_mut().step_by(PANEL);
        for (to, pair) in column.zip(row.chunks(2)) {
            let bits = |weight: &f32| u32::from(bf16::from_f32(*weight).to_bits());
            *to = bits(&pair[0]) | pair.get(1).map_or(0, |weight| bits(weight) << 16);
        }
    }
    panels
}

/// Returns the pairs of a row in a panel.
pub(super) fn pairs(wide: usize) -> usize {
    wide.next_multiple_of(STEP) / 2
}

/// Returns row `at` of a matrix.
pub(super) fn row(panels: &[u32], at: usize, wide: usize) -> Vec<f32> {
    let column = &panels[at / PANEL * PANEL * pairs(wide) + at % PANEL..];
    let pairs = column.iter().step_by(PANEL).take(wide.div_ceil(2));
    let mut row: Vec<f32> = pairs.flat_map(|pair| [pair << 16, pair & HIGH]).map(f32::from_bits).collect();
    row.truncate(wide);
    row
}

/// The second weight of a pair.
const HIGH: u32 = 0xffff_0000;

/// Computes `y[j][o] = x[j]·w[o]` for all rows of `x`, `[N, wide]`, and the outputs of one panel.
pub(super) struct Product<'a> {
    pub(super) w: &'a [u32],
    pub(super) x: &'a [f32],
    pub(super) y: &'a mut [f32],
    pub(super) wide: usize,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { w, mut x, mut y, wide } = self;
        // Eight rows of two vectors fill the registers of AVX-512, four those of others.
        let most = if S::F32_LANES >= 16 { 8 } else { 4 };
        let count = (x.len() / wide).div_ceil(most);
        let mut at = 0;
        while !x.is_empty() {
            let n = match x.len() / wide {
                8.. if most == 8 => 8,
                4.. => 4,
                n => n,
            };
            let (rows, rest) = x.split_at(n * wide);
            let (out, others) = y.split_at_mut(n * PANEL);
            match n {
                8 => strip::<S, 8, 2>(simd, w, rows, out, (at, count)),
                4 => strip::<S, 4, 2>(simd, w, rows, out, (at, count)),
                3 => strip::<S, 3, 2>(simd, w, rows, out, (at, count)),
                2 => strip::<S, 2, 4>(simd, w, rows, out, (at, count)),
                _ => strip::<S, 1, 4>(simd, w, rows, out, (at, count)),
            }
            (x, y) = (rest, others);
            at += 1;
        }
    }
}

/// Computes all outputs of a panel for `M` rows, which are chunk `at` of `count`.
#[inline(always)]
fn strip<S: Simd, const M: usize, const W: usize>(
    simd: S,
    w: &[u32],
    x: &[f32],
    y: &mut [f32],
    (at, count): (usize, usize),
) {
    let wide = x.len() / M;
    let rows: [&[f32]; M] = std::array::from_fn(|i| &x[i * wide..][..wide]);
    let width = W * S::F32_LANES;
    let columns = PANEL / width;
    for column in 0..columns {
        let ahead = Ahead::of_pass(w, PANEL, (at * columns + column, count * columns));
        tile::<S, M, W>(simd, ahead, (w, column * width), rows, y);
    }
}

/// Computes `W` vectors of outputs for `M` rows, in the order of a row's entries.
#[inline(always)]
fn tile<S: Simd, const M: usize, const W: usize>(
    simd: S,
    ahead: Ahead,
    (w, column): (&[u32], usize),
    rows: [&[f32]; M],
    y: &mut [f32],
) {
    let (pairs, odd) = (rows[0].len() / 2, rows[0].len() % 2 == 1);
    let width = W * S::F32_LANES;
    let halves: [&[[f32; 2]]; M] = std::array::from_fn(|i| &rows[i].as_chunks().0[..pairs]);
    let (shift, mask) = (simd.splat_u32s(16), simd.splat_u32s(HIGH));
    let mut sums = [[simd.splat_f32s(0.0); W]; M];
    for (k, packed) in w.chunks_exact(PANEL).take(pairs).enumerate() {
        ahead.step(k);
        let packed = S::as_simd_u32s(&packed[column..][..width]).0;
        for half in [0, 1] {
            for (v, packed) in packed.iter().enumerate() {
                let bits = if half == 0 {
                    simd.wrapping_dyn_shl_u32s(*packed, shift)
                } else {
                    simd.and_u32s(*packed, mask)
                };
                let weight = simd.transmute_f32s_u32s(bits);
                for i in 0..M {
                    let factor = simd.splat_f32s(halves[i][k][half]);
                    sums[i][v] = simd.mul_add_f32s(factor, weight, sums[i][v]);
                }
            }
        }
    }
    if odd {
        let packed = S::as_simd_u32s(&w[pairs * PANEL + column..][..width]).0;
        for (v, packed) in packed.iter().enumerate() {
            let weight = simd.transmute_f32s_u32s(simd.wrapping_dyn_shl_u32s(*packed, shift));
            for i in 0..M {
                let factor = simd.splat_f32s(rows[i][2 * pairs]);
                sums[i][v] = simd.mul_add_f32s(factor, weight, sums[i][v]);
            }
        }
    }
    for (i, sums) in sums.into_iter().enumerate() {
        let out = S::as_mut_simd_f32s(&mut y[i * PANEL + column..][..width]).0;
        out.copy_from_slice(&sums);
    }
}
