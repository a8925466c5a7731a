//! The rotary position embedding of one head at one position, for code on plain vectors.

use crate::block::AttentionConfig;
use crate::layers::rope::{angle, frequencies};

/// Holds the rotation at one position.
#[derive(Debug, Clone)]
pub(crate) struct Angles {
    /// Cosine and sine of each pair.
    turns: Vec<(f32, f32)>,
    interleaved: bool,
    /// Factor of queries.
    growth: f32,
}

/// Multiplies a head after its rotation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Factors {
    /// Factor of the numbers that are rotated.
    pub(crate) rotated: f32,
    /// Factor of the numbers that aren't.
    pub(crate) rest: f32,
    /// Whether the head is a query's, whose factor may depend on the position.
    pub(crate) query: bool,
}

impl Factors {
    /// Multiplies both factors by the one of a position.
    fn at(self, growth: f32) -> [f32; 2] {
        let by = if self.query { growth } else { 1.0 };
        [self.rotated * by, self.rest * by]
    }
}

impl Angles {
    /// Computes the angles of a position in a sequence of `length` tokens.
    pub(crate) fn new(attention: &AttentionConfig, position: usize, length: usize) -> Self {
        let angle = |frequency: f32| angle(position, frequency).sin_cos();
        let frequencies = frequencies(&attention.rope, length).into_iter();
        Self {
            turns: frequencies.map(angle).map(|(sin, cos)| (cos as f32, sin as f32)).collect(),
            interleaved: attention.rope.interleaved,
            growth: attention.rope.growth(position) as f32,
        }
    }

    /// Returns a rotation that leaves every head as it is.
    pub(crate) fn none() -> Self {
        Self { turns: Vec::new(), interleaved: false, growth: 1.0 }
    }

    /// Rotates one head and multiplies it by its factors.
    pub(crate) fn rotate(&self, head: &mut [f32], factors: Factors) {
        let [factor, rest] = factors.at(self.growth);
        self.each_pair(head, rest, |a, b, cos, sin| {
            ((a * cos - b * sin) * factor, (b * cos + a * sin) * factor)
        });
    }

    /// Replaces the gradient with respect to the output of [`rotate`](Self::rotate) by that of its input.
    pub(crate) fn rotate_back(&self, head: &mut [f32], factors: Factors) {
        let [factor, rest] = factors.at(self.growth);
        self.each_pair(head, rest, |a, b, cos, sin| {
            ((a * cos + b * sin) * factor, (b * cos - a * sin) * factor)
        });
    }

    /// Replaces each rotated pair by `turn(a, b, cos, sin)` and multiplies the other numbers by `rest`.
    fn each_pair(&self, head: &mut [f32], rest: f32, turn: impl Fn(f32, f32, f32, f32) -> (f32, f32)) {
        let (rotated, others) = head.split_at_mut(2 * self.turns.len());
        for value in others {
            *value *= rest;
        }
        if self.interleaved {
            for (pair, (cos, sin)) in rotated.chunks_exact_mut(2).zip(&self.turns) {
                (pair[0], pair[1]) = turn(pair[0], pair[1], *cos, *sin);
            }
            return;
        }
        let (first, second) = rotated.split_at_mut(self.turns.len());
        for ((a, b), (cos, sin)) in first.iter_mut().zip(second).zip(&self.turns) {
            (*a, *b) = turn(*a, *b, *cos, *sin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rope_config::{QueryGrowth, RopeConfig};

    #[test]
    fn rotating_back_undoes_the_rotation_of_every_pairing_and_part() {
        for (rotated, interleaved) in [(0, false), (4, false), (8, false), (4, true), (8, true)] {
            let growth = QueryGrowth { beta: 0.5, period: 3 };
            let rope =
                RopeConfig { interleaved, query_growth: Some(growth), ..RopeConfig::new(rotated, 100.0) };
            let attention = AttentionConfig { rope, ..AttentionConfig::new(1, 1, 8) };
            let angles = Angles::new(&attention, 7, 8);
            let head: Vec<f32> = (1..=8).map(|at| at as f32).collect();
            let mut turned = head.clone();
            let factors = Factors { rotated: 1.0, rest: 1.0, query: true };
            angles.rotate(&mut turned, factors);
            let by = 1.0 + 0.5 * 3.0_f32.ln();
            let length = |head: &[f32]| head.iter().map(|x| x * x).sum::<f32>().sqrt();
            assert!((length(&turned) - by * length(&head)).abs() < 1e-4, "a rotation keeps the length");
            assert_eq!(
                turned[..rotated] == head.iter().map(|x| x * by).collect::<Vec<_>>()[..rotated],
                rotated == 0
            );
            angles.rotate_back(&mut turned, factors);
            for (turned, head) in turned.iter().zip(&head) {
                assert!((turned - head * by * by).abs() < 1e-4, "{turned}, not {head}");
            }
        }
    }
}
