//! Products with weights in f32.

#![expect(clippy::inline_always, reason = "code under `with_simd` becomes one function")]

use pulp::{Simd, WithSimd};

use super::PANEL;
use crate::cpu::simd::{Ahead, TALL, Target, WIDE, tile};

/// Vectors of outputs in a tile of fewer rows than `TALL`, or with the registers of AVX-512.
const WIDER: usize = 4;

/// Copies rows into panels, `[in, PANEL]` each.
pub(super) fn panels(rows: &[f32], out: usize, wide: usize) -> Vec<f32> {
    let mut panels = vec![0.0; out.div_ceil(PANEL) * PANEL * wide];
    for (at, row) in rows.chunks_exact(wide).enumerate() {
        let column = panels[at / PANEL * PANEL * wide + at % PANEL..].iter_mut().step_by(PANEL);
        column.zip(row).for_each(|(to, from)| *to = *from);
    }
    panels
}

/// Computes `y[j][o] = x[j]·w[o]` for all rows of `x`, `[N, wide]`, and the outputs of one panel.
pub(super) struct Product<'a> {
    pub(super) w: &'a [f32],
    pub(super) x: &'a [f32],
    pub(super) y: &'a mut [f32],
    pub(super) wide: usize,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { w, mut x, mut y, wide } = self;
        // Eight rows of two vectors read a panel half as often as four of four do.
        let most = if S::F32_LANES >= 16 { 8 } else { TALL };
        let count = (x.len() / wide).div_ceil(most);
        let mut at = 0;
        while !x.is_empty() {
            let n = match x.len() / wide {
                8.. if most == 8 => 8,
                TALL.. => TALL,
                n => n,
            };
            let (rows, rest) = x.split_at(n * wide);
            let (out, others) = y.split_at_mut(n * PANEL);
            match n {
                8 => strip::<S, 8, WIDE>(simd, w, rows, out, (at, count)),
                TALL if S::F32_LANES >= 16 => strip::<S, TALL, WIDER>(simd, w, rows, out, (at, count)),
                TALL => strip::<S, TALL, WIDE>(simd, w, rows, out, (at, count)),
                3 => strip::<S, 3, WIDER>(simd, w, rows, out, (at, count)),
                2 => strip::<S, 2, WIDER>(simd, w, rows, out, (at, count)),
                _ => strip::<S, 1, WIDER>(simd, w, rows, out, (at, count)),
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
    w: &[f32],
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
        let x = |k: usize| {
            ahead.step(k);
            std::array::from_fn(|i| rows[i][k])
        };
        let target = Target { out: &mut *y, stride: PANEL, add: false };
        tile::<S, M, W>(simd, wide, x, (w, PANEL, column * width), target);
    }
}
