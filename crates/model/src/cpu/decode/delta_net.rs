//! The gated DeltaNet of new tokens: the recurrent form, one token after the other.

#![expect(clippy::inline_always, reason = "code under `with_simd` becomes one function")]

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::feed::{Feed, Row};
use super::kernels::norm;
use super::precision::HostPrecision;
use super::short_conv::HostTaps;
use super::weights::{Affine, affine, floats, vector};
use crate::block::{Activation, DeltaNetConfig, decay};
use crate::cpu::simd::{Cpu, add_rows, gated, sigmoids};
use crate::layers::delta_net::DeltaNet;

/// Holds the weights of a gated DeltaNet.
#[derive(Debug)]
pub(super) struct HostDeltaNet {
    config: DeltaNetConfig,
    qkv: Affine,
    z: Affine,
    b: Affine,
    a: Affine,
    taps: HostTaps,
    dt_bias: Vec<f32>,
    a_log: Vec<f32>,
    norm: Vec<f32>,
    eps: f64,
    output: Affine,
}

/// Holds what the rule reads of some rows.
struct Rows<'a> {
    /// Normalised queries, normalised keys, and values, `[N, 2·K·dk + V·dv]`.
    qkv: &'a [f32],
    /// `[N, V]`.
    b: &'a [f32],
    /// `[N, V]`.
    a: &'a [f32],
    /// Sequence of each row.
    feeds: Vec<usize>,
}

impl HostDeltaNet {
    pub(super) fn new(config: &DeltaNetConfig, delta: &DeltaNet, precision: HostPrecision) -> Self {
        Self {
            config: config.clone(),
            qkv: affine(&delta.in_proj_qkv, precision),
            z: affine(&delta.in_proj_z, precision),
            b: affine(&delta.in_proj_b, precision),
            a: affine(&delta.in_proj_a, precision),
            taps: HostTaps::new(&delta.conv1d),
            dt_bias: floats(&delta.dt_bias),
            a_log: floats(&delta.a_log),
            norm: vector(&delta.norm),
            eps: delta.norm.eps,
            output: affine(&delta.out_proj, precision),
        }
    }

    /// Moves the states of new tokens' sequences on and returns what the layer adds.
    ///
    /// # Shapes
    /// - `h`: `[N, hidden]` → the same
    pub(super) fn forward(
        &self,
        cpu: Cpu,
        layer: usize,
        h: &[f32],
        rows: &[(Row, u32)],
        feeds: &mut [Feed<'_, '_>],
    ) -> Vec<f32> {
        let config = &self.config;
        let (width, recent) = (config.conv_width(), (config.taps - 1) * config.conv_width());
        let layers = [&self.qkv, &self.b, &self.a, &self.z];
        let [fed, b, a, mut z] = Affine::apply_each(layers, cpu, h);
        let mut qkv = Vec::with_capacity(rows.len() * width);
        for ((row, _), fed) in rows.iter().zip(fed.chunks_exact(width)) {
            qkv.extend(self.taps.step(fed, &mut feeds[row.feed].1.states[layer][..recent]));
        }
        let mut slopes = qkv.clone();
        sigmoids(cpu, &mut slopes);
        qkv.iter_mut().zip(slopes).for_each(|(x, sigmoid)| *x *= sigmoid);
        for row in qkv.chunks_exact_mut(width) {
            let (queries, others) = row.split_at_mut(config.key_width());
            queries.chunks_exact_mut(config.key_dim).for_each(|head| normalise(head, config.scale() as f32));
            let keys = &mut others[..config.key_width()];
            keys.chunks_exact_mut(config.key_dim).for_each(|head| normalise(head, 1.0));
        }
        let feeds_of = rows.iter().map(|(row, _)| row.feed).collect();
        let read = Rows { qkv: &qkv, b: &b, a: &a, feeds: feeds_of };
        // The states of each head, by sequence.
        let mut states: Vec<Vec<&mut [f32]>> = (0..config.value_heads).map(|_| Vec::new()).collect();
        for (_, cache) in feeds.iter_mut() {
            let heads = cache.states[layer][recent..].chunks_exact_mut(config.key_dim * config.value_dim);
            states.iter_mut().zip(heads).for_each(|(states, head)| states.push(head));
        }
        // The rows of each head, and one to work in.
        let size = (rows.len() + 1) * config.value_dim;
        let mut heads = vec![0.0; config.value_heads * size];
        let one = |((head, out), mut states): ((usize, &mut [f32]), Vec<&mut [f32]>)| {
            self.head(cpu, head, &mut states, &read, out);
        };
        if rayon::current_num_threads() == 1 {
            heads.chunks_exact_mut(size).enumerate().zip(states).for_each(one);
        } else {
            heads.par_chunks_exact_mut(size).enumerate().zip(states).for_each(one);
        }
        let mut o = Vec::with_capacity(rows.len() * config.value_width());
        for row in 0..rows.len() {
            for head in heads.chunks_exact(size) {
                o.extend_from_slice(&head[row * config.value_dim..][..config.value_dim]);
            }
        }
        gated(cpu, Activation::Silu, &mut z, &norm(&o, &self.norm, self.eps));
        self.output.apply(cpu, &z)
    }

    /// Computes one head of all rows.
    ///
    /// # Shapes
    /// - `out`: `[N + 1, dv]`, whose last row is any
    fn head(&self, cpu: Cpu, head: usize, states: &mut [&mut [f32]], rows: &Rows<'_>, out: &mut [f32]) {
        let DeltaNetConfig { value_heads, key_heads, key_dim, value_dim, .. } = self.config;
        let (keys, key) = (self.config.key_width(), head / (value_heads / key_heads) * key_dim);
        let (out, recalled) = out.split_at_mut(rows.feeds.len() * value_dim);
        let all = rows.qkv.chunks_exact(self.config.conv_width()).zip(out.chunks_exact_mut(value_dim));
        for (at, (row, out)) in all.enumerate() {
            let cell = at * value_heads + head;
            cpu.run(Step {
                q: &row[key..][..key_dim],
                k: &row[keys + key..][..key_dim],
                v: &row[2 * keys + head * value_dim..][..value_dim],
                kept: decay(rows.a[cell], self.a_log[head], self.dt_bias[head]).exp(),
                rate: 1.0 / (1.0 + (-rows.b[cell]).exp()),
                state: &mut *states[rows.feeds[at]],
                recalled: &mut *recalled,
                out,
            });
        }
    }
}

/// Divides a head by its length and multiplies it by a number.
fn normalise(head: &mut [f32], by: f32) {
    let squares: f32 = head.iter().map(|x| x * x).sum();
    let factor = by / (squares + DeltaNetConfig::EPSILON as f32).sqrt();
    for x in head {
        *x *= factor;
    }
}

/// Computes one token of one head (arXiv:2412.06464 eq. 10).
struct Step<'a> {
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    /// Factor of the state.
    kept: f32,
    /// `β`.
    rate: f32,
    /// `[dk, dv]`.
    state: &'a mut [f32],
    /// Values that the state holds for the key, `[dv]`.
    recalled: &'a mut [f32],
    /// `[dv]`.
    out: &'a mut [f32],
}

impl WithSimd for Step<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { q, k, v, kept, rate, state, recalled, out } = self;
        let wide = v.len();
        for state in state.iter_mut() {
            *state *= kept;
        }
        recalled.fill(0.0);
        add_rows(simd, k.len(), |i| k[i], state, recalled);
        for (u, v) in recalled.iter_mut().zip(v) {
            *u = rate * (v - *u);
        }
        for (k, row) in k.iter().zip(state.chunks_exact_mut(wide)) {
            row.iter_mut().zip(&*recalled).for_each(|(state, u)| *state += k * u);
        }
        out.fill(0.0);
        add_rows(simd, q.len(), |i| q[i], state, out);
    }
}
