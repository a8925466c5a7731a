//! The rotary position embedding as a separate operation, for norms that come after it.

use std::sync::Arc;

use crate::cpu::fused::host_op::HostOp;
use crate::layers::angles::{Angles, Factors};

/// Rotates every head of the tokens of all sequences in turn.
///
/// # Shapes
/// - `x`: `[N, heads·D]` → the same
#[derive(Debug, Clone)]
pub(crate) struct FusedRotation {
    /// Angles of each row.
    angles: Arc<Vec<Angles>>,
    /// `D`.
    dim: usize,
    factors: Factors,
}

impl FusedRotation {
    pub(super) fn new(angles: &Arc<Vec<Angles>>, dim: usize, factors: Factors) -> Self {
        Self { angles: Arc::clone(angles), dim, factors }
    }

    fn each(&self, x: &[f32], turn: impl Fn(&Angles, &mut [f32])) -> Vec<f32> {
        let mut y = x.to_vec();
        for (row, angles) in y.chunks_exact_mut(x.len() / self.angles.len().max(1)).zip(&*self.angles) {
            row.chunks_exact_mut(self.dim).for_each(|head| turn(angles, head));
        }
        y
    }
}

impl HostOp<1> for FusedRotation {
    type Saved = ();

    fn forward(&self, [x]: [&[f32]; 1]) -> (Vec<f32>, ()) {
        (self.each(x, |angles, head| angles.rotate(head, self.factors)), ())
    }

    fn backward(&self, _: [&[f32]; 1], (): &(), grad: &[f32]) -> [Vec<f32>; 1] {
        [self.each(grad, |angles, head| angles.rotate_back(head, self.factors))]
    }
}
