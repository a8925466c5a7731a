//! RMSNorm (arXiv:1910.07467 eq. 4).

#![expect(clippy::inline_always, reason = "code under `with_simd` becomes one function")]

use pulp::{Simd, WithSimd};

use super::host_op::HostOp;
use crate::cpu::simd::{Cpu, dot};

/// Computes `y = x / sqrt(mean(x²) + ε) · w` of every row.
#[derive(Debug, Clone)]
pub(crate) struct FusedNorm {
    pub(crate) eps: f32,
}

impl HostOp<2> for FusedNorm {
    /// `1 / sqrt(mean(x²) + ε)` per row.
    type Saved = Vec<f32>;

    fn forward(&self, [x, weight]: [&[f32]; 2]) -> (Vec<f32>, Vec<f32>) {
        let (mut y, mut scales) = (vec![0.0; x.len()], vec![0.0; x.len() / weight.len()]);
        Cpu::detect().run(Forward { x, weight, eps: self.eps, y: &mut y, scales: &mut scales });
        (y, scales)
    }

    fn backward(&self, [x, weight]: [&[f32]; 2], scales: &Vec<f32>, grad: &[f32]) -> [Vec<f32>; 2] {
        let (mut grad_x, mut grad_weight) = (vec![0.0; x.len()], vec![0.0; weight.len()]);
        Cpu::detect().run(Backward {
            x,
            weight,
            scales,
            grad,
            grad_x: &mut grad_x,
            grad_weight: &mut grad_weight,
        });
        [grad_x, grad_weight]
    }
}

struct Forward<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    eps: f32,
    y: &'a mut [f32],
    scales: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let width = self.weight.len();
        let rows = self.x.chunks_exact(width).zip(self.y.chunks_exact_mut(width));
        for ((x, y), scale) in rows.zip(self.scales) {
            *scale = 1.0 / (dot(x, x) / width as f32 + self.eps).sqrt();
            for (y, (x, w)) in y.iter_mut().zip(x.iter().zip(self.weight)) {
                *y = x * *scale * w;
            }
        }
    }
}

/// With `s` the scale and `g = grad·w`: `dx = s·g - x·s³·(g·x)/width`, `dw = Σ grad·x·s` over rows.
struct Backward<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    scales: &'a [f32],
    grad: &'a [f32],
    grad_x: &'a mut [f32],
    grad_weight: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { x, weight, scales, grad, grad_x, grad_weight } = self;
        let width = weight.len();
        let inputs = x.chunks_exact(width).zip(grad.chunks_exact(width)).zip(scales);
        for (g, ((x, grad), &s)) in grad_x.chunks_exact_mut(width).zip(inputs) {
            let columns = g.iter_mut().zip(&mut *grad_weight).zip(x.iter().zip(weight)).zip(grad);
            for (((g, grad_weight), (x, w)), grad) in columns {
                *g = grad * w;
                *grad_weight += grad * x * s;
            }
            let along = s * s * s * dot(g, x) / width as f32;
            for (g, x) in g.iter_mut().zip(x) {
                *g = s * *g - along * x;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check, numbers};
    use super::*;

    #[test]
    fn it_is_the_formula_and_its_slopes() {
        for width in [1, 7, 16, 40] {
            let norm = FusedNorm { eps: 1e-5 };
            check(&norm, &[numbers(6 * width, 1), numbers(width, 2)], |[x, weight]| {
                let of = |row: &[f64]| {
                    let mean = row.iter().map(|x| x * x).sum::<f64>() / width as f64;
                    let scale = 1.0 / (mean + f64::from(1e-5_f32)).sqrt();
                    row.iter().zip(weight).map(move |(x, w)| x * scale * w).collect::<Vec<_>>()
                };
                x.chunks(width).flat_map(of).collect()
            });
        }
    }
}
