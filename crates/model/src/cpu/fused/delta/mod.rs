//! The gated delta rule (arXiv:2412.06464 eq. 10) over whole sequences, in chunks.
//!
//! A head has a state `S`, `[dk, dv]`, and each token changes it: `S ← e^g·S`, then `S ← S + k·uᵀ` with
//! `u = β·(v - Sᵀ·k)`. Its output is `Sᵀ·q`. The tokens of a chunk are computed together from the state
//! before them. The backward pass computes the states and chunks again, so nothing but the inputs is kept.

mod backward;
mod chunk;
mod head;
mod passes;
mod products;
mod tokens;

use std::sync::Arc;

use rayon::prelude::*;

use super::host_op::HostOp;
use crate::block::DeltaNetConfig;
use head::Head;
use tokens::Tokens;

/// Computes the rule for whole sequences, each from an empty state.
///
/// # Shapes
/// - queries, keys and values: `[N, 2·K·dk + V·dv]`, of the tokens of all sequences in turn; `b`, `a`:
///   `[N, V]`; `A_log`, `dt_bias`: `[1, V]` → `[N, V·dv]`
#[derive(Debug, Clone)]
pub(crate) struct FusedDelta {
    pub(crate) config: DeltaNetConfig,
    /// Tokens of each sequence.
    pub(crate) lengths: Arc<[usize]>,
}

impl FusedDelta {
    /// Lists the key heads of all sequences.
    fn heads(&self) -> Vec<Head<'_>> {
        let starts = self.lengths.iter().scan(0, |end, length| {
            let start = *end;
            *end += length;
            Some((start, *length))
        });
        let head = |(start, length)| (0..self.config.key_heads).map(move |key| (start, length, key));
        let all = starts.filter(|(_, length)| *length > 0).flat_map(head);
        all.map(|(start, length, key)| Head { config: &self.config, start, length, key }).collect()
    }
}

/// Calls `of` for every head, on the threads of the caller's pool.
fn each<T: Send>(heads: &[Head<'_>], of: impl Fn(&Head<'_>) -> T + Sync + Send) -> Vec<T> {
    if rayon::current_num_threads() == 1 {
        heads.iter().map(of).collect()
    } else {
        heads.par_iter().map(of).collect()
    }
}

impl HostOp<5> for FusedDelta {
    type Saved = ();

    fn forward(&self, inputs: [&[f32]; 5]) -> (Vec<f32>, ()) {
        let heads = self.heads();
        let mut out = vec![0.0; inputs[1].len() * self.config.value_dim];
        let parts = each(&heads, |head| head.forward(&Tokens::read(head, inputs)));
        for (head, part) in heads.iter().zip(parts) {
            head.write_values(&part, self.config.value_width(), 0, &mut out);
        }
        (out, ())
    }

    fn backward(&self, inputs: [&[f32]; 5], (): &(), grad: &[f32]) -> [Vec<f32>; 5] {
        let heads = self.heads();
        let mut grads = inputs.map(|input| vec![0.0; input.len()]);
        let parts = each(&heads, |head| {
            let tokens = Tokens::read(head, inputs);
            let through = head.backward(&tokens, grad);
            (tokens, through)
        });
        for (head, (tokens, through)) in heads.iter().zip(parts) {
            tokens.write_back(head, &through, inputs, &mut grads);
        }
        grads
    }
}

#[cfg(test)]
mod tests;
