//! Some tokens of one value head, whose updates of the state are one system of equations
//! (arXiv:2412.06464 eq. 11-13).
//!
//! With `G` the sums of the decays in the chunk and `D_ij = exp(G_i - G_j)` for `j ≤ i`, the corrections `u`
//! solve `(I + A)·u = r` with `A_ij = β_i·(k_i·k_j)·D_ij` for `j < i` and `r_i = β_i·(v_i - e^{G_i}·S·k_i)`.
//! Outputs are `o_i = e^{G_i}·S·q_i + Σ_{j≤i} (q_i·k_j)·D_ij·u_j`. The next state is
//! `e^{G_c}·S + Σ_i e^{G_c - G_i}·k_i·u_iᵀ`.

#![expect(clippy::inline_always, reason = "code under `with_simd` becomes one function")]

use pulp::Simd;

use super::products::{multiply, multiply_transposed, transpose};
use crate::cpu::simd::add_rows;

/// Tokens of a chunk.
pub(super) const CHUNK: usize = 64;

/// Holds the tokens of a chunk: normalised queries and keys, `[c, dk]`, and values, `[c, dv]`.
#[derive(Clone, Copy)]
pub(super) struct Inputs<'a> {
    pub(super) q: &'a [f32],
    pub(super) k: &'a [f32],
    pub(super) v: &'a [f32],
    /// Decays of the state, logarithms that are at most 0.
    pub(super) decays: &'a [f32],
    /// `β`, between 0 and 1.
    pub(super) rates: &'a [f32],
}

/// Holds the values of a chunk that the forward and the backward pass need.
pub(super) struct Chunk {
    /// `exp(G_i)`.
    pub(super) grown: Vec<f32>,
    /// `exp(G_c - G_i)`.
    pub(super) left: Vec<f32>,
    /// `D`, `[c, c]`, 0 above the diagonal.
    pub(super) between: Vec<f32>,
    /// `k_i·k_j`, `[c, c]`.
    pub(super) alike: Vec<f32>,
    /// `q_i·k_j·D_ij`, `[c, c]`, 0 above the diagonal.
    pub(super) weights: Vec<f32>,
    /// `S·k_i`, `[c, dv]`.
    pub(super) recalled: Vec<f32>,
    /// `u`, `[c, dv]`.
    pub(super) corrections: Vec<f32>,
}

impl Chunk {
    /// Computes the values of a chunk that begins with `state`, `[dk, dv]`.
    #[inline(always)]
    pub(super) fn new<S: Simd>(simd: S, inputs: Inputs<'_>, state: &[f32]) -> Self {
        let Inputs { q, k, v, decays, rates } = inputs;
        let (c, wide) = (decays.len(), v.len() / decays.len());
        let sums: Vec<f32> = decays
            .iter()
            .scan(0.0_f32, |sum, decay| {
                *sum += decay;
                Some(*sum)
            })
            .collect();
        let grown = sums.iter().map(|sum| sum.exp()).collect::<Vec<_>>();
        let left = sums.iter().map(|sum| (sums[c - 1] - sum).exp()).collect();
        let mut between = vec![0.0; c * c];
        for (i, row) in between.chunks_exact_mut(c).enumerate() {
            for (between, sum) in row.iter_mut().zip(&sums[..=i]) {
                *between = (sums[i] - sum).exp();
            }
        }
        let columns = transpose(k, k.len() / c);
        let (mut alike, mut weights) = (vec![0.0; c * c], vec![0.0; c * c]);
        multiply(simd, k, &columns, c, &mut alike);
        multiply(simd, q, &columns, c, &mut weights);
        weights.iter_mut().zip(&between).for_each(|(weight, between)| *weight *= between);
        let mut recalled = vec![0.0; v.len()];
        multiply(simd, k, state, wide, &mut recalled);
        let mut corrections = vec![0.0; v.len()];
        for i in 0..c {
            let (solved, rest) = corrections.split_at_mut(i * wide);
            let row = &mut rest[..wide];
            let here = i * wide..(i + 1) * wide;
            for (u, (v, recalled)) in row.iter_mut().zip(v[here.clone()].iter().zip(&recalled[here])) {
                *u = rates[i] * (v - grown[i] * recalled);
            }
            let (alike, between) = (&alike[i * c..], &between[i * c..]);
            add_rows(simd, i, |j| -rates[i] * alike[j] * between[j], solved, row);
        }
        Self { grown, left, between, alike, weights, recalled, corrections }
    }

    /// Writes the outputs, `[c, dv]`.
    #[inline(always)]
    pub(super) fn outputs<S: Simd>(&self, simd: S, q: &[f32], state: &[f32], out: &mut [f32]) {
        let c = self.grown.len();
        let wide = out.len() / c;
        out.fill(0.0);
        multiply(simd, q, state, wide, out);
        for (i, row) in out.chunks_exact_mut(wide).enumerate() {
            for out in row.iter_mut() {
                *out *= self.grown[i];
            }
            let weights = &self.weights[i * c..];
            add_rows(simd, i + 1, |j| weights[j], &self.corrections, row);
        }
    }

    /// Moves the state past the chunk.
    #[inline(always)]
    pub(super) fn advance<S: Simd>(&self, simd: S, k: &[f32], state: &mut [f32]) {
        let c = self.grown.len();
        let wide = self.corrections.len() / c;
        let all = self.grown[c - 1];
        for state in state.iter_mut() {
            *state *= all;
        }
        multiply_transposed(simd, &self.scaled(k, &self.left), &self.corrections, wide, state);
    }

    /// Returns rows multiplied by a factor each.
    pub(super) fn scaled(&self, rows: &[f32], factors: &[f32]) -> Vec<f32> {
        let width = rows.len() / self.grown.len();
        let rows = rows.chunks_exact(width).zip(factors);
        rows.flat_map(|(row, factor)| row.iter().map(move |value| value * factor)).collect()
    }
}
