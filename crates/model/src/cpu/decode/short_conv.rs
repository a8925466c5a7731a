//! The gated short convolution of new tokens, one after the other.

use super::feed::{Feed, Row};
use super::precision::HostPrecision;
use super::weights::{Affine, affine, floats};
use crate::cpu::simd::Cpu;
use crate::layers::short_conv::{ShortConv, Taps};

/// Holds the weights of a gated short convolution.
#[derive(Debug)]
pub(super) struct HostShortConv {
    input: Affine,
    taps: HostTaps,
    output: Affine,
}

/// Holds the weights of a causal convolution of each channel.
#[derive(Debug)]
pub(super) struct HostTaps {
    /// `[taps, channels]`.
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl HostTaps {
    pub(super) fn new(conv: &Taps) -> Self {
        let [channels, _, taps] = conv.weight.val().dims();
        let weight = floats(&conv.weight);
        let tap = |k: usize| weight[k..].iter().step_by(taps).copied();
        let weight = (0..taps).flat_map(tap).collect();
        Self { weight, bias: conv.bias.as_ref().map_or(vec![0.0; channels], floats) }
    }

    /// Convolves one row and moves the state on.
    ///
    /// # Shapes
    /// - `row`: `[channels]`, `state`: `[taps - 1, channels]` → `[channels]`
    pub(super) fn step(&self, row: &[f32], state: &mut [f32]) -> Vec<f32> {
        let width = row.len();
        let mut mixed = self.bias.clone();
        let rows = state.chunks_exact(width).chain([row]);
        for (fed, taps) in rows.zip(self.weight.chunks_exact(width)) {
            for (sum, (fed, tap)) in mixed.iter_mut().zip(fed.iter().zip(taps)) {
                *sum += fed * tap;
            }
        }
        if !state.is_empty() {
            state.copy_within(width.., 0);
            let last = state.len() - width;
            state[last..].copy_from_slice(row);
        }
        mixed
    }
}

impl HostShortConv {
    pub(super) fn new(conv: &ShortConv, precision: HostPrecision) -> Self {
        Self {
            input: affine(&conv.in_proj, precision),
            taps: HostTaps::new(&conv.conv),
            output: affine(&conv.out_proj, precision),
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
        let (gates, width) = (self.input.apply(cpu, h), self.taps.bias.len());
        let mut gated = Vec::with_capacity(rows.len() * width);
        for ((row, _), gates) in rows.iter().zip(gates.chunks_exact(3 * width)) {
            let (b, c, x) = (&gates[..width], &gates[width..2 * width], &gates[2 * width..]);
            let fed: Vec<f32> = b.iter().zip(x).map(|(b, x)| b * x).collect();
            let mixed = self.taps.step(&fed, &mut feeds[row.feed].1.states[layer]);
            gated.extend(mixed.iter().zip(c).map(|(mixed, c)| mixed * c));
        }
        self.output.apply(cpu, &gated)
    }
}
