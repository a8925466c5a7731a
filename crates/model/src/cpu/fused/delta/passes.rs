//! The forward and the backward pass of a key head, chunk by chunk.

#![expect(clippy::inline_always, reason = "code under `with_simd` becomes one function")]

use pulp::{Simd, WithSimd};

use super::backward::Grads;
use super::chunk::{Chunk, Inputs};
use super::head::Head;
use super::tokens::Tokens;
use crate::cpu::simd::Cpu;

impl Head<'_> {
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
