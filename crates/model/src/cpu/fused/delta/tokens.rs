//! The tokens of a key head in buffers: normalised queries and keys, values, decays and rates.

use super::backward::Grads;
use super::chunk::Inputs;
use super::head::Head;
use crate::block::{DeltaNetConfig, decay};

/// Holds the tokens of a key head and its value heads, or their gradients.
pub(super) struct Tokens {
    /// Normalised and scaled, `[T, dk]`.
    q: Vec<f32>,
    /// Normalised, `[T, dk]`.
    k: Vec<f32>,
    /// `[heads, T, dv]`.
    pub(super) v: Vec<f32>,
    /// `g`, `[heads, T]`.
    decays: Vec<f32>,
    /// `β`, `[heads, T]`.
    rates: Vec<f32>,
    /// Factors of queries and of keys, `[T]` each.
    factors: [Vec<f32>; 2],
    length: usize,
}

impl Tokens {
    /// Reads the tokens of a head.
    pub(super) fn read(head: &Head<'_>, [qkv, b, a, a_log, dt_bias]: [&[f32]; 5]) -> Self {
        let (config, length) = (head.config, head.length);
        let scale = config.scale() as f32;
        let mut factors = [Vec::with_capacity(length), Vec::with_capacity(length)];
        let normalised = |first: usize, scale: f32, factors: &mut Vec<f32>| -> Vec<f32> {
            let mut all = Vec::with_capacity(length * config.key_dim);
            for t in 0..length {
                let row = &qkv[column(config, head.start + t) + first..][..config.key_dim];
                let squares: f32 = row.iter().map(|x| x * x).sum();
                let factor = scale / (squares + DeltaNetConfig::EPSILON as f32).sqrt();
                all.extend(row.iter().map(|x| x * factor));
                factors.push(factor);
            }
            all
        };
        let first = head.key * config.key_dim;
        let q = normalised(first, scale, &mut factors[0]);
        let k = normalised(config.key_width() + first, 1.0, &mut factors[1]);
        let (mut decays, mut rates) = (Vec::new(), Vec::new());
        for value in head.values() {
            for t in head.start..head.start + length {
                let at = t * config.value_heads + value;
                decays.push(decay(a[at], a_log[value], dt_bias[value]));
                rates.push(sigmoid(b[at]));
            }
        }
        let v = head.read_values(qkv, config.conv_width(), 2 * config.key_width());
        Self { q, k, v, decays, rates, factors, length }
    }

    /// Returns the tokens of a value head.
    pub(super) fn of(&self, at: usize) -> Inputs<'_> {
        let Self { q, k, v, decays, rates, length, .. } = self;
        let (wide, heads) = (v.len() / decays.len(), at * length..(at + 1) * length);
        Inputs {
            q,
            k,
            v: &v[heads.start * wide..heads.end * wide],
            decays: &decays[heads.clone()],
            rates: &rates[heads],
        }
    }

    /// Returns the same part of gradients.
    pub(super) fn of_mut(&mut self, at: usize) -> Grads<'_> {
        let Self { q, k, v, decays, rates, length, .. } = self;
        let (wide, heads) = (v.len() / decays.len(), at * *length..(at + 1) * *length);
        Grads {
            q,
            k,
            v: &mut v[heads.start * wide..heads.end * wide],
            decays: &mut decays[heads.clone()],
            rates: &mut rates[heads],
        }
    }

    /// Returns gradients of 0.
    pub(super) fn zeros(&self) -> Self {
        let zeros = |like: &Vec<f32>| vec![0.0; like.len()];
        Self {
            q: zeros(&self.q),
            k: zeros(&self.k),
            v: zeros(&self.v),
            decays: zeros(&self.decays),
            rates: zeros(&self.rates),
            factors: [Vec::new(), Vec::new()],
            length: self.length,
        }
    }

    /// Takes gradients of the tokens to those of the inputs.
    pub(super) fn write_back(
        &self,
        head: &Head<'_>,
        through: &Self,
        [_, _, a, a_log, dt_bias]: [&[f32]; 5],
        [grad_qkv, grad_b, grad_a, grad_log, grad_bias]: &mut [Vec<f32>; 5],
    ) {
        let config = head.config;
        let (scale, first) = (config.scale() as f32, head.key * config.key_dim);
        let columns = [
            (&self.q, &through.q, first, scale, &self.factors[0]),
            (&self.k, &through.k, config.key_width() + first, 1.0, &self.factors[1]),
        ];
        for (rows, grads, first, scale, factors) in columns {
            let rows = rows.chunks_exact(config.key_dim).zip(grads.chunks_exact(config.key_dim));
            for (t, ((row, grad), factor)) in rows.zip(factors).enumerate() {
                // `x̂ = x·factor` has the length `scale`, so the part along it is lost.
                let along: f32 =
                    row.iter().zip(grad).map(|(x, grad)| x * grad).sum::<f32>() / (scale * scale);
                let out = &mut grad_qkv[column(config, head.start + t) + first..][..config.key_dim];
                for (out, (x, grad)) in out.iter_mut().zip(row.iter().zip(grad)) {
                    *out = factor * (grad - along * x);
                }
            }
        }
        head.write_values(&through.v, config.conv_width(), 2 * config.key_width(), grad_qkv);
        for (at, value) in head.values().enumerate() {
            for t in 0..self.length {
                let (cell, here) = ((head.start + t) * config.value_heads + value, at * self.length + t);
                let (grad, rate) = (through.rates[here], self.rates[here]);
                grad_b[cell] = grad * rate * (1.0 - rate);
                let (grad, decay) = (through.decays[here], self.decays[here]);
                let slope = -a_log[value].exp() * sigmoid(a[cell] + dt_bias[value]);
                grad_a[cell] = grad * slope;
                grad_bias[value] += grad * slope;
                grad_log[value] += grad * decay;
            }
        }
    }
}

/// Returns the cell of a row's first column in queries, keys and values.
fn column(config: &DeltaNetConfig, row: usize) -> usize {
    row * config.conv_width()
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}
