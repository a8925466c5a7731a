//! The arithmetic of decoding, vectorised at run time for this processor (`pulp`), without `unsafe`.
//!
//! Every output is computed by the same operations in the same order, so a sequence's result doesn't depend
//! on its batch or on the number of threads.

#![expect(clippy::inline_always, reason = "code under `with_simd` becomes one function")]

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::cpu::simd::{Cpu, TALL, Target, WIDE, tile};

/// Outputs whose weights lie together.
const PANEL: usize = 64;
/// Vectors of outputs in a tile of fewer rows than `TALL`.
const WIDER: usize = 4;
/// Multiplications below which a second thread costs more than it saves.
const ALONE: usize = 1 << 17;

/// Holds a matrix `[out, in]` in panels of [`PANEL`] outputs, `[in, PANEL]` each.
///
/// A product reads it from end to end and adds whole vectors of outputs. The last panel is padded with zeros.
#[derive(Debug)]
pub(super) struct Matrix {
    panels: Vec<f32>,
    out: usize,
    wide: usize,
}

impl Matrix {
    /// Copies rows as checkpoints store them.
    pub(super) fn new(rows: &[f32], out: usize, wide: usize) -> Self {
        let mut panels = vec![0.0; out.div_ceil(PANEL) * PANEL * wide];
        for (at, row) in rows.chunks_exact(wide).enumerate() {
            let column = panels[at / PANEL * PANEL * wide + at % PANEL..].iter_mut().step_by(PANEL);
            column.zip(row).for_each(|(to, from)| *to = *from);
        }
        Self { panels, out, wide }
    }

    /// Computes `x·Wᵀ`.
    ///
    /// # Shapes
    /// - `x`: `[N, in]` → `[N, out]`
    pub(super) fn apply(&self, cpu: Cpu, x: &[f32]) -> Vec<f32> {
        let n = x.len() / self.wide;
        if n == 0 {
            return Vec::new();
        }
        // `[out / PANEL, N, PANEL]`, so that every panel writes one contiguous piece.
        let mut parts = vec![0.0; self.out.next_multiple_of(PANEL) * n];
        let panel = |(w, y): (&[f32], &mut [f32])| cpu.run(Product { w, x, y, wide: self.wide });
        let panels = PANEL * self.wide;
        if rayon::current_num_threads() == 1 || self.panels.len() * n < ALONE {
            self.panels.chunks_exact(panels).zip(parts.chunks_exact_mut(PANEL * n)).for_each(panel);
        } else {
            self.panels.par_chunks_exact(panels).zip(parts.par_chunks_exact_mut(PANEL * n)).for_each(panel);
        }
        if n == 1 {
            parts.truncate(self.out);
            return parts;
        }
        let mut y = Vec::with_capacity(self.out * n);
        for row in 0..n {
            for (at, part) in parts.chunks_exact(PANEL * n).enumerate() {
                y.extend_from_slice(&part[row * PANEL..][..PANEL.min(self.out - at * PANEL)]);
            }
        }
        y
    }

    /// Returns row `at`.
    pub(super) fn row(&self, at: usize) -> impl Iterator<Item = f32> {
        let column = &self.panels[at / PANEL * PANEL * self.wide + at % PANEL..];
        column.iter().step_by(PANEL).take(self.wide).copied()
    }
}

/// Computes `y[j][o] = x[j]·w[o]` for all rows of `x`, `[N, wide]`, and the outputs of one panel.
struct Product<'a> {
    w: &'a [f32],
    x: &'a [f32],
    y: &'a mut [f32],
    wide: usize,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { w, x, y, wide } = self;
        for (x, y) in x.chunks(TALL * wide).zip(y.chunks_mut(TALL * PANEL)) {
            let row = |i: usize| &x[i * wide..][..wide];
            match x.len() / wide {
                TALL => {
                    let (a, b, c, d) = (row(0), row(1), row(2), row(3));
                    strip::<S, TALL, WIDE>(simd, wide, |k| [a[k], b[k], c[k], d[k]], w, y);
                }
                3 => {
                    let (a, b, c) = (row(0), row(1), row(2));
                    strip::<S, 3, WIDER>(simd, wide, |k| [a[k], b[k], c[k]], w, y);
                }
                2 => {
                    let (a, b) = (row(0), row(1));
                    strip::<S, 2, WIDER>(simd, wide, |k| [a[k], b[k]], w, y);
                }
                _ => {
                    let a = row(0);
                    strip::<S, 1, WIDER>(simd, wide, |k| [a[k]], w, y);
                }
            }
        }
    }
}

/// Computes all outputs of a panel for `M` rows.
#[inline(always)]
fn strip<S: Simd, const M: usize, const W: usize>(
    simd: S,
    wide: usize,
    x: impl Fn(usize) -> [f32; M],
    w: &[f32],
    y: &mut [f32],
) {
    for column in (0..PANEL).step_by(W * S::F32_LANES) {
        let target = Target { out: &mut *y, stride: PANEL, add: false };
        tile::<S, M, W>(simd, wide, &x, (w, PANEL, column), target);
    }
}

/// Computes RMSNorm of each row (arXiv:1910.07467 eq. 4).
pub(super) fn norm(x: &[f32], weight: &[f32], eps: f64) -> Vec<f32> {
    let mut out = Vec::with_capacity(x.len());
    for row in x.chunks_exact(weight.len()) {
        let squares: f32 = lanes(row, |v| v * v);
        let scale = 1.0 / (squares / row.len() as f32 + eps as f32).sqrt();
        out.extend(row.iter().zip(weight).map(|(v, w)| v * scale * w));
    }
    out
}

/// Sums in eight lanes, in the same order on every processor.
fn lanes(row: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.0_f32; 8];
    let chunks = row.chunks_exact(8);
    let tail: f32 = chunks.remainder().iter().map(|&v| of(v)).sum();
    for chunk in chunks {
        for (sum, &v) in sums.iter_mut().zip(chunk) {
            *sum += of(v);
        }
    }
    sums.iter().sum::<f32>() + tail
}

/// Adds `b` to `a`.
pub(super) fn add(a: &mut [f32], b: &[f32]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
}

/// Multiplies `a` by a number.
pub(super) fn scale(a: &mut [f32], by: f32) {
    for a in a {
        *a *= by;
    }
}

/// Adds `by·b` to `a`.
pub(super) fn add_scaled(a: &mut [f32], b: &[f32], by: f64) {
    if by == 1.0 {
        return add(a, b);
    }
    let by = by as f32;
    a.iter_mut().zip(b).for_each(|(a, b)| *a += by * b);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        (0..count)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / 8_388_608.0 - 1.0
            })
            .collect()
    }

    #[test]
    fn products_are_those_of_the_textbook_and_do_not_depend_on_company() {
        for (out, wide) in [(1, 1), (4, 16), (7, 33), (130, 48), (64, 5)] {
            let weights = numbers(out * wide, 1);
            let matrix = Matrix::new(&weights, out, wide);
            let x = numbers(8 * wide, 2);
            let together = matrix.apply(Cpu::detect(), &x);
            for (row, x) in x.chunks_exact(wide).enumerate() {
                assert_eq!(together[row * out..][..out], matrix.apply(Cpu::detect(), x), "row {row} alone");
                for at in 0..out {
                    assert!(matrix.row(at).eq(weights[at * wide..][..wide].iter().copied()), "row {at}");
                    let exact: f64 =
                        weights[at * wide..].iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                    let diff = (f64::from(together[row * out + at]) - exact).abs();
                    assert!(
                        diff <= 1e-5 * wide as f64,
                        "{out}×{wide}, row {row}, output {at}: off by {diff}"
                    );
                }
            }
        }
    }

    #[test]
    fn threads_do_not_change_a_product() {
        let matrix = Matrix::new(&numbers(1000 * 300, 3), 1000, 300);
        let x = numbers(7 * 300, 4);
        let of = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| matrix.apply(Cpu::detect(), &x))
        };
        assert_eq!(of(1), of(3));
    }
}
