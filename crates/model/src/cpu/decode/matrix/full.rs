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
        let Self { w, x, y, wide } = self;
        let count = x.len().div_ceil(TALL * wide);
        for (at, (x, y)) in x.chunks(TALL * wide).zip(y.chunks_mut(TALL * PANEL)).enumerate() {
            let at = (at, count);
            let row = |i: usize| &x[i * wide..][..wide];
            match x.len() / wide {
                TALL => {
                    let (a, b, c, d) = (row(0), row(1), row(2), row(3));
                    let x = |k| [a[k], b[k], c[k], d[k]];
                    if S::F32_LANES >= 16 {
                        strip::<S, TALL, WIDER>(simd, at, x, w, y);
                    } else {
                        strip::<S, TALL, WIDE>(simd, at, x, w, y);
                    }
                }
                3 => {
                    let (a, b, c) = (row(0), row(1), row(2));
                    strip::<S, 3, WIDER>(simd, at, |k| [a[k], b[k], c[k]], w, y);
                }
                2 => {
                    let (a, b) = (row(0), row(1));
                    strip::<S, 2, WIDER>(simd, at, |k| [a[k], b[k]], w, y);
                }
                _ => {
                    let a = row(0);
                    strip::<S, 1, WIDER>(simd, at, |k| [a[k]], w, y);
                }
            }
        }
    }
}

/// Computes all outputs of a panel for `M` rows, which are chunk `at` of `count`.
#[inline(always)]
fn strip<S: Simd, const M: usize, const W: usize>(
    simd: S,
    (at, count): (usize, usize),
    x: impl Fn(usize) -> [f32; M],
    w: &[f32],
    y: &mut [f32],
) {
    let width = W * S::F32_LANES;
    let columns = PANEL / width;
    for column in 0..columns {
        let ahead = Ahead::of_pass(w, PANEL, (at * columns + column, count * columns));
        let x = |k| {
            ahead.step(k);
            x(k)
        };
        let target = Target { out: &mut *y, stride: PANEL, add: false };
        tile::<S, M, W>(simd, w.len() / PANEL, x, (w, PANEL, column * width), target);
    }
}
