//! Causal grouped-query attention with rotary positions, without the matrix of weights.
//!
//! Queries are processed in blocks of [`ROWS`] over the keys that they see. A block's weights are in a
//! buffer, and the backward pass computes them again from two statistics per row (the idea of
//! arXiv:2205.14135).

mod backward;
mod forward;
mod heads;
mod rotation;

use std::sync::Arc;

use rayon::prelude::*;

use super::host_op::HostOp;
use crate::batch::TokenBatch;
use crate::block::{AttentionConfig, QkNorm};
use crate::cpu::simd::Cpu;
use crate::layers::angles::{Angles, Factors};
use heads::Unit;
pub(crate) use rotation::FusedRotation;

/// Queries of a block.
const ROWS: usize = 8;
/// Numbers of keys and of head dimensions are rounded up to this: the columns of a tile, on every processor.
const COLUMNS: usize = 32;

/// Computes attention of whole sequences, each from position 0.
///
/// # Shapes
/// - `q`: `[N, H·D]`, `k`, `v`: `[N, K·D]`, of the tokens of all sequences in turn → `[N, H·D]`; `q` and `k`
///   aren't rotated, except by [`rotations`](Self::rotations)
#[derive(Debug, Clone)]
pub(crate) struct FusedAttention(Arc<Plan>);

/// Holds values that layers with equal settings share.
#[derive(Debug)]
struct Plan {
    attention: AttentionConfig,
    /// Tokens of each sequence.
    lengths: Vec<usize>,
    /// The row of each sequence's first token.
    starts: Vec<usize>,
    /// Angles of every position: one set for all sequences, or one for each if angles depend on the length.
    angles: Vec<Vec<Angles>>,
    /// Factors of queries and of keys.
    factors: [Factors; 2],
    /// Rotations of queries and of keys, where norms come between them and attention.
    rotations: Option<[FusedRotation; 2]>,
    cpu: Cpu,
}

/// Holds the largest score of a query's row and `1 / Σ exp(score - max)`.
type Row = [f32; 2];

impl FusedAttention {
    pub(crate) fn new(attention: &AttentionConfig, batch: &TokenBatch) -> Self {
        let gain = attention.rope.attention_factor() as f32;
        let angles = |length: usize| -> Vec<Angles> {
            (0..length).map(|at| Angles::new(attention, at, length)).collect()
        };
        let mut angles = if attention.rope.depends_on_length() {
            batch.lengths.iter().map(|&length| angles(length)).collect()
        } else {
            vec![angles(batch.columns)]
        };
        let scaled = |by: f32| match attention.scale {
            Some(scale) => by * scale as f32,
            None => by / (attention.head_dim as f32).sqrt(),
        };
        let keys = Factors { rotated: gain, rest: 1.0, query: false };
        let queries = Factors { rotated: scaled(gain), rest: scaled(1.0), query: true };
        let rotations = (attention.qk_norm == Some(QkNorm::PerHeadRotated)).then(|| {
            let cells =
                batch.lengths.iter().enumerate().flat_map(|(row, &length)| {
                    angles.get(row).unwrap_or(&angles[0])[..length].iter().cloned()
                });
            let cells: Arc<Vec<Angles>> = Arc::new(cells.collect());
            let of = |factors| FusedRotation::new(&cells, attention.head_dim, factors);
            [of(Factors { query: true, ..keys }), of(keys)]
        });
        if rotations.is_some() {
            angles = vec![vec![Angles::none(); batch.columns]];
        }
        Self(Arc::new(Plan {
            attention: attention.clone(),
            lengths: batch.lengths.clone(),
            starts: batch.starts(true),
            angles,
            factors: [queries, keys],
            rotations,
            cpu: Cpu::detect(),
        }))
    }

    /// Returns the rotations of queries and of keys, if they are separate operations before the norms.
    pub(crate) fn rotations(&self) -> Option<[FusedRotation; 2]> {
        self.0.rotations.clone()
    }
}

impl Plan {
    /// Lists the key/value heads of all sequences.
    fn units(&self) -> Vec<Unit<'_>> {
        let unit = |(row, group)| Unit { plan: self, row, group };
        (0..self.lengths.len())
            .flat_map(|row| (0..self.attention.key_value_heads).map(move |group| (row, group)))
            .map(unit)
            .collect()
    }
}

/// Calls `of` for every unit, on the threads of the caller's pool.
fn each<T: Send>(units: &[Unit<'_>], of: impl Fn(&Unit<'_>) -> T + Sync + Send) -> Vec<T> {
    if rayon::current_num_threads() == 1 {
        units.iter().map(of).collect()
    } else {
        units.par_iter().map(of).collect()
    }
}

impl HostOp<3> for FusedAttention {
    type Saved = Arc<Vec<Vec<Row>>>;

    fn forward(&self, inputs: [&[f32]; 3]) -> (Vec<f32>, Self::Saved) {
        let units = self.0.units();
        let (mut out, mut saved) = (vec![0.0; inputs[0].len()], Vec::with_capacity(units.len()));
        let parts = each(&units, |unit| unit.forward(inputs));
        for (unit, (part, rows)) in units.iter().zip(parts) {
            unit.queries().write(&part, &mut out);
            saved.push(rows);
        }
        (out, Arc::new(saved))
    }

    fn backward(&self, inputs: [&[f32]; 3], saved: &Self::Saved, grad: &[f32]) -> [Vec<f32>; 3] {
        let units = self.0.units();
        let mut grads = inputs.map(|input| vec![0.0; input.len()]);
        let at = |unit: &Unit<'_>| unit.row * self.0.attention.key_value_heads + unit.group;
        let parts = each(&units, |unit| unit.backward(inputs, &saved[at(unit)], grad));
        for (unit, [q, k, v]) in units.iter().zip(parts) {
            unit.queries().write(&q, &mut grads[0]);
            unit.keys().write(&k, &mut grads[1]);
            unit.keys().write(&v, &mut grads[2]);
        }
        grads
    }
}

#[cfg(test)]
mod tests;
