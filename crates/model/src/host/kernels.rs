//! The arithmetic of decoding, vectorised at run time for the processor at hand (`pulp`), without `unsafe`.
//!
//! Every output number is computed by the same operations in the same order whatever else is computed beside it, so a
//! sequence's result doesn't depend on its batch or on the number of threads.

// Everything under `with_simd` has to become part of one function compiled for the chosen instructions.
#![allow(clippy::inline_always)]

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::simd::Cpu;

/// A matrix `[out, in]`, row by row, as checkpoints store it.
#[derive(Debug)]
pub(super) struct Matrix {
    pub(super) values: Vec<f32>,
    pub(super) out: usize,
    pub(super) wide: usize,
}

/// Rows of the weight that a thread takes at a time.
const BLOCK: usize = 64;
/// Multiplications below which a product is not worth a second thread.
const ALONE: usize = 1 << 17;
/// Rows of the weight and of the input that a tile keeps in registers.
const TALL: usize = 4;
const WIDE: usize = 3;

impl Matrix {
    /// `x·Wᵀ`.
    ///
    /// # Shapes
    /// - `x`: `[N, in]` → `[N, out]`
    pub(super) fn apply(&self, cpu: Cpu, x: &[f32]) -> Vec<f32> {
        let n = x.len() / self.wide;
        // `[out, N]`, so that a block of weight rows writes one contiguous piece.
        let mut columns = vec![0.0; self.out * n];
        let block = |(w, y): (&[f32], &mut [f32])| cpu.run(Product { w, x, y, n, wide: self.wide });
        if rayon::current_num_threads() == 1 || self.out * self.wide * n < ALONE {
            block((&self.values, &mut columns));
        } else {
            let (weights, outputs) = (BLOCK * self.wide, BLOCK * n);
            self.values.par_chunks(weights).zip(columns.par_chunks_mut(outputs)).for_each(block);
        }
        if n == 1 { columns } else { transposed(&columns, self.out, n) }
    }

    /// Row `at`.
    pub(super) fn row(&self, at: usize) -> &[f32] {
        &self.values[at * self.wide..][..self.wide]
    }
}

fn transposed(columns: &[f32], out: usize, n: usize) -> Vec<f32> {
    // A block of columns stays in the cache while each row takes its piece of it.
    const PIECE: usize = 16;
    let mut rows = vec![0.0; columns.len()];
    for (at, block) in columns.chunks(PIECE * n).enumerate() {
        for row in 0..n {
            let piece = &mut rows[row * out + at * PIECE..][..block.len() / n];
            piece.iter_mut().zip(block[row..].iter().step_by(n)).for_each(|(to, from)| *to = *from);
        }
    }
    rows
}

/// `y[o][j] = w[o]·x[j]` for all rows of a block.
struct Product<'a> {
    w: &'a [f32],
    x: &'a [f32],
    y: &'a mut [f32],
    n: usize,
    wide: usize,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { w, x, y, n, wide } = self;
        for (w, y) in w.chunks(TALL * wide).zip(y.chunks_mut(TALL * n)) {
            let rows = w.len() / wide;
            let mut j = 0;
            while j < n {
                let x = &x[j * wide..];
                let left = n - j;
                let y = &mut y[j..];
                match (rows, left.min(WIDE)) {
                    (TALL, 3) => tile::<S, TALL, 3>(simd, w, x, y, wide, n),
                    (TALL, 2) => tile::<S, TALL, 2>(simd, w, x, y, wide, n),
                    (TALL, _) => tile::<S, TALL, 1>(simd, w, x, y, wide, n),
                    (rows, columns) => {
                        for i in 0..rows {
                            for c in 0..columns {
                                let (w, x) = (&w[i * wide..], &x[c * wide..]);
                                tile::<S, 1, 1>(simd, w, x, &mut y[i * n + c..], wide, n);
                            }
                        }
                    }
                }
                j += left.min(WIDE);
            }
        }
    }
}

/// `A` rows of the weight by `B` rows of the input.
#[inline(always)]
fn tile<S: Simd, const A: usize, const B: usize>(
    simd: S,
    w: &[f32],
    x: &[f32],
    y: &mut [f32],
    wide: usize,
    n: usize,
) {
    let ws: [_; A] = std::array::from_fn(|i| S::as_simd_f32s(&w[i * wide..][..wide]));
    let xs: [_; B] = std::array::from_fn(|j| S::as_simd_f32s(&x[j * wide..][..wide]));
    let mut sums = [[simd.splat_f32s(0.0); B]; A];
    let length = xs[0].0.len();
    let ws_head: [_; A] = std::array::from_fn(|i| &ws[i].0[..length]);
    let xs_head: [_; B] = std::array::from_fn(|j| &xs[j].0[..length]);
    for k in 0..length {
        let here: [_; B] = std::array::from_fn(|j| xs_head[j][k]);
        for i in 0..A {
            let weight = ws_head[i][k];
            for j in 0..B {
                sums[i][j] = simd.mul_add_f32s(weight, here[j], sums[i][j]);
            }
        }
    }
    for i in 0..A {
        for j in 0..B {
            let tail: f32 = ws[i].1.iter().zip(xs[j].1).map(|(w, x)| w * x).sum();
            y[i * n + j] = simd.reduce_sum_f32s(sums[i][j]) + tail;
        }
    }
}

/// RMSNorm of each row (arXiv:1910.07467 eq. 4).
pub(super) fn norm(x: &[f32], weight: &[f32], eps: f64) -> Vec<f32> {
    let mut out = Vec::with_capacity(x.len());
    for row in x.chunks_exact(weight.len()) {
        let squares: f32 = lanes(row, |v| v * v);
        let scale = 1.0 / (squares / row.len() as f32 + eps as f32).sqrt();
        out.extend(row.iter().zip(weight).map(|(v, w)| v * scale * w));
    }
    out
}

/// A sum in eight lanes, in the same order everywhere.
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

/// `silu(gate) ⊙ up`, in place of `gate`.
pub(super) fn swiglu(gate: &mut [f32], up: &[f32]) {
    for (gate, up) in gate.iter_mut().zip(up) {
        *gate = *gate / (1.0 + (-*gate).exp()) * up;
    }
}

/// Adds `b` to `a`.
pub(super) fn add(a: &mut [f32], b: &[f32]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
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
            let matrix = Matrix { values: numbers(out * wide, 1), out, wide };
            let x = numbers(8 * wide, 2);
            let together = matrix.apply(Cpu::detect(), &x);
            for (row, x) in x.chunks_exact(wide).enumerate() {
                assert_eq!(together[row * out..][..out], matrix.apply(Cpu::detect(), x), "row {row} alone");
                for at in 0..out {
                    let exact: f64 =
                        matrix.row(at).iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
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
        let matrix = Matrix { values: numbers(1000 * 300, 3), out: 1000, wide: 300 };
        let x = numbers(5 * 300, 4);
        let of = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| matrix.apply(Cpu::detect(), &x))
        };
        assert_eq!(of(1), of(3));
    }
}
