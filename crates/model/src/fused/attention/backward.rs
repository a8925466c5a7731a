//! From the slope by the output to the slopes by queries, keys and values.
//!
//! With `P` a row's weights and `dP = slope·vᵀ`: `dS = P ∘ (dP - Σ P∘dP)`, `dq = dS·k`, `dk = dSᵀ·q`, `dv = Pᵀ·slope`.

#![allow(clippy::inline_always)]

use pulp::{Simd, WithSimd};

use super::forward::Block;
use super::heads::{Size, Unit};
use super::{ROWS, Row};
use crate::simd::{TALL, Target, WIDE, exp, tile};

impl Unit<'_> {
    /// Slopes by queries, `[share, rows, wide]`, and by keys and values, `[rows, wide]`, before the rotation.
    pub(super) fn backward(&self, [q, k, v]: [&[f32]; 3], kept: &[Row], slope: &[f32]) -> [Vec<f32>; 3] {
        let (size, plan) = (self.size(), self.plan);
        let q = self.queries().rotated(q, self.angles(), plan.gains[0]);
        let k = self.keys().rotated(k, self.angles(), plan.gains[1]);
        let (k_columns, v_columns) = (size.transposed(&k), size.transposed(&self.keys().read(v)));
        let slope = self.queries().read(slope);
        let [mut by_q, mut by_k, mut by_v] = [&q, &k, &k].map(|like| vec![0.0; like.len()]);
        let (mut weights, mut slopes) = (vec![0.0; ROWS * size.rows], vec![0.0; ROWS * size.rows]);
        if size.tokens > 0 {
            for head in 0..self.share() {
                let here = head * size.buffer()..(head + 1) * size.buffer();
                plan.cpu.run(Backward {
                    size,
                    q: &q[here.clone()],
                    k: &k,
                    k_columns: &k_columns,
                    v_columns: &v_columns,
                    rows: &kept[head * size.tokens..][..size.tokens],
                    slope: &slope[here.clone()],
                    weights: &mut weights,
                    slopes: &mut slopes,
                    by_q: &mut by_q[here],
                    by_k: &mut by_k,
                    by_v: &mut by_v,
                });
            }
        }
        self.queries().rotate_back(&mut by_q, self.angles(), plan.gains[0]);
        self.keys().rotate_back(&mut by_k, self.angles(), plan.gains[1]);
        [by_q, by_k, by_v]
    }
}

/// One head of queries. Matrices are `[rows, wide]`, those of columns `[wide, rows]`.
struct Backward<'a> {
    size: Size<'a>,
    q: &'a [f32],
    k: &'a [f32],
    k_columns: &'a [f32],
    v_columns: &'a [f32],
    rows: &'a [Row],
    slope: &'a [f32],
    /// `[ROWS, rows]`.
    weights: &'a mut [f32],
    /// `[ROWS, rows]`.
    slopes: &'a mut [f32],
    by_q: &'a mut [f32],
    by_k: &'a mut [f32],
    by_v: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { size, rows, weights, slopes, .. } = self;
        for start in (0..size.tokens).step_by(ROWS) {
            let block = Block::new(&size, start);
            block.scores(simd, (self.q, self.k_columns), weights);
            block.scores(simd, (self.slope, self.v_columns), slopes);
            let both = weights.chunks_exact_mut(size.rows).zip(slopes.chunks_exact_mut(size.rows));
            for (i, (weights, slopes)) in both.enumerate() {
                let (weights, slopes) =
                    (&mut weights[block.first..block.end], &mut slopes[block.first..block.end]);
                let Some(&row) = rows.get(start + i) else {
                    weights.fill(0.0);
                    slopes.fill(0.0);
                    continue;
                };
                block.hide(i, weights);
                by_scores(simd, row, weights, slopes);
            }
            block.mix(simd, slopes, self.k, &mut self.by_q[start * size.wide..]);
            block.spread(simd, slopes, self.q, self.by_k);
            block.spread(simd, weights, self.slope, self.by_v);
        }
    }
}

impl Block<'_> {
    /// Adds `weightsᵀ·b` of the block's rows of `b`, `[rows, wide]`, to `out`, `[rows, wide]`.
    #[inline(always)]
    fn spread<S: Simd>(&self, simd: S, weights: &[f32], b: &[f32], out: &mut [f32]) {
        let Size { wide, rows, .. } = *self.size;
        let b = &b[self.start * wide..];
        for key in (self.first..self.end).step_by(TALL) {
            let mut tall = [[0.0; TALL]; ROWS];
            for (i, tall) in tall.iter_mut().enumerate() {
                tall.copy_from_slice(&weights[i * rows + key..][..TALL]);
            }
            for column in (0..wide).step_by(WIDE * S::F32_LANES) {
                let target = Target { out: &mut out[key * wide..], stride: wide, add: true };
                tile::<S, TALL, WIDE>(simd, ROWS, |k| tall[k], (b, wide, column), target);
            }
        }
    }
}

/// From a row's scores and slopes by weights to its weights and slopes by scores.
#[inline(always)]
fn by_scores<S: Simd>(simd: S, [most, scale]: Row, scores: &mut [f32], slopes: &mut [f32]) {
    let (most, scale) = (simd.splat_f32s(most), simd.splat_f32s(scale));
    let (weights, slopes) = (S::as_mut_simd_f32s(scores).0, S::as_mut_simd_f32s(slopes).0);
    let mut mean = simd.splat_f32s(0.0);
    for (weight, slope) in weights.iter_mut().zip(&*slopes) {
        *weight = simd.mul_f32s(exp(simd, simd.sub_f32s(*weight, most)), scale);
        mean = simd.mul_add_f32s(*weight, *slope, mean);
    }
    let mean = simd.splat_f32s(simd.reduce_sum_f32s(mean));
    for (weight, slope) in weights.iter().zip(slopes) {
        *slope = simd.mul_f32s(*weight, simd.sub_f32s(*slope, mean));
    }
}
