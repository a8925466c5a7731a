//! A key head of one sequence and the value heads that share it.

#![expect(clippy::inline_always, reason = "code under `with_simd` becomes one function")]

use pulp::{Simd, WithSimd};

use super::backward::Grads;
use super::chunk::{CHUNK, Chunk, Inputs};
use super::tokens::Tokens;
use crate::block::DeltaNetConfig;
use crate::cpu::simd::Cpu;

/// Holds the place of a key head of one sequence.
pub(super) struct Head<'a> {
    pub(super) config: &'a DeltaNetConfig,
    /// The row of the sequence's first token.
    pub(super) start: usize,
    /// Tokens of the sequence, at least one.
    pub(super) length: usize,
    /// Index of the key head.
    pub(super) key: usize,
}

impl Head<'_> {
    /// Returns the value heads that share the key head.
    pub(super) fn values(&self) -> std::ops::Range<usize> {
        let share = self.config.value_heads / self.config.key_heads;
        self.key * share..(self.key + 1) * share
    }

    /// Returns the outputs of the value heads, `[heads, T, dv]`.
    pub(super) fn forward(&self, tokens: &Tokens) -> Vec<f32> {
        let mut out = vec![0.0; tokens.v.len()];
        let each = out.chunks_exact_mut(self.length * self.config.value_dim);
        for (at, out) in each.enumerate() {
            Cpu::detect().run(Forward { head: self, inputs: tokens.of(at), out });
        }
        out
    }

    /// Returns the gradients of the tokens.
    pub(super) fn backward(&self, tokens: &Tokens, grad: &[f32]) -> Tokens {
        let grad = self.read_values(grad, self.config.value_width(), 0);
        let mut grads = tokens.zeros();
        let part = self.length * self.config.value_dim;
        for (at, grad) in grad.chunks_exact(part).enumerate() {
            let grads = grads.of_mut(at);
            Cpu::detect().run(Backward { head: self, inputs: tokens.of(at), grad, grads });
        }
        grads
    }

    /// Copies the columns of the value heads to `[heads, T, dv]`.
    ///
    /// - `width`, `first`: columns of the matrix, and the first of all value heads
    pub(super) fn read_values(&self, matrix: &[f32], width: usize, first: usize) -> Vec<f32> {
        let dim = self.config.value_dim;
        let cell = |head: usize, t: usize| (self.start + t) * width + first + head * dim;
        let cells = self.values().flat_map(|head| (0..self.length).map(move |t| cell(head, t)));
        cells.flat_map(|cell| &matrix[cell..cell + dim]).copied().collect()
    }

    /// Copies `[heads, T, dv]` to the columns of the value heads.
    pub(super) fn write_values(&self, values: &[f32], width: usize, first: usize, matrix: &mut [f32]) {
        let dim = self.config.value_dim;
        for (head, values) in self.values().zip(values.chunks_exact(self.length * dim)) {
            for (t, row) in values.chunks_exact(dim).enumerate() {
                let cell = (self.start + t) * width + first + head * dim;
                matrix[cell..cell + dim].copy_from_slice(row);
            }
        }
    }

    /// Returns the chunks' first tokens and lengths.
    fn chunks(&self) -> impl DoubleEndedIterator<Item = (usize, usize)> + ExactSizeIterator {
        let length = self.length;
        (0..length.div_ceil(CHUNK)).map(move |at| (at * CHUNK, CHUNK.min(length - at * CHUNK)))
    }

    fn state(&self) -> Vec<f32> {
        vec![0.0; self.config.key_dim * self.config.value_dim]
    }
}

impl<'a> Inputs<'a> {
    /// Returns some of the tokens.
    #[inline(always)]
    fn cut(self, start: usize, length: usize) -> Self {
        let tokens = self.rates.len();
        let rows = |matrix: &'a [f32]| {
            let width = matrix.len() / tokens;
            &matrix[start * width..(start + length) * width]
        };
        let Self { q, k, v, decays, rates } = self;
        Self { q: rows(q), k: rows(k), v: rows(v), decays: rows(decays), rates: rows(rates) }
    }
}

struct Forward<'a> {
    head: &'a Head<'a>,
    inputs: Inputs<'a>,
    /// `[T, dv]`.
    out: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (mut state, wide) = (self.head.state(), self.head.config.value_dim);
        for (start, length) in self.head.chunks() {
            let inputs = self.inputs.cut(start, length);
            let chunk = Chunk::new(simd, inputs, &state);
            let out = &mut self.out[start * wide..(start + length) * wide];
            chunk.outputs(simd, inputs.q, &state, out);
            chunk.advance(simd, inputs.k, &mut state);
        }
    }
}

struct Backward<'a> {
    head: &'a Head<'a>,
    inputs: Inputs<'a>,
    /// With respect to the outputs, `[T, dv]`.
    grad: &'a [f32],
    grads: Grads<'a>,
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { head, inputs, grad, grads } = self;
        let (deep, wide) = (head.config.key_dim, head.config.value_dim);
        let mut states = Vec::new();
        let mut state = head.state();
        for (start, length) in head.chunks() {
            let inputs = inputs.cut(start, length);
            states.push(state.clone());
            Chunk::new(simd, inputs, &state).advance(simd, inputs.k, &mut state);
        }
        let mut grad_state = head.state();
        for ((start, length), state) in head.chunks().zip(states).rev() {
            let inputs = inputs.cut(start, length);
            let (keys, values) =
                (start * deep..(start + length) * deep, start * wide..(start + length) * wide);
            let mut grads = Grads {
                q: &mut grads.q[keys.clone()],
                k: &mut grads.k[keys],
                v: &mut grads.v[values.clone()],
                decays: &mut grads.decays[start..start + length],
                rates: &mut grads.rates[start..start + length],
            };
            let chunk = Chunk::new(simd, inputs, &state);
            chunk.backward(simd, inputs, &state, &grad[values], &mut grad_state, &mut grads);
        }
    }
}
