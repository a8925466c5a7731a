//! Finds the likeliest tokens of a row without sorting the rest of the vocabulary.

use std::cmp::Ordering;

/// Number of tokens that are sorted first, and the factor by which it grows until they suffice.
const SORTED: usize = 64;

/// Bound on the relative difference of two sums of the same weights in different orders. A vocabulary has at
/// most 2²⁰ tokens, and each addition rounds by at most 2⁻⁵³.
const ROUNDING: f64 = 1e-9;

/// Returns the unnormalised probability of a token.
pub(crate) fn weight(scaled: f32, max: f32) -> f64 {
    f64::from(scaled - max).exp()
}

/// Holds tokens of a row of logits.
pub(crate) struct Likeliest<'a> {
    pub(crate) scaled: &'a [f32],
    /// Tokens to select from, each once.
    pub(crate) kept: Vec<usize>,
}

impl Likeliest<'_> {
    /// Returns the `count` likeliest tokens, likeliest first. Ties go to the smaller token id.
    pub(crate) fn first(mut self, count: usize) -> Vec<usize> {
        self.sort(count);
        self.kept.truncate(count);
        self.kept
    }

    /// Returns the smallest set of likeliest tokens whose weights reach `share` of the sum, likeliest first.
    ///
    /// The set is that of a sum over sorted weights, to the bit. A sum in another order decides unless its
    /// rounding could change the result; only then is everything sorted.
    pub(crate) fn nucleus(mut self, max: f32, share: f64) -> Vec<usize> {
        let unsorted: f64 = self.kept.iter().map(|&i| weight(self.scaled[i], max)).sum();
        let bounds = [1.0 - ROUNDING, 1.0 + ROUNDING].map(|factor| share * unsorted * factor);
        let mut sorted = SORTED;
        while sorted < self.kept.len() {
            self.sort(sorted);
            match bounds.map(|goal| self.reach(sorted, max, goal)) {
                [Some(first), Some(last)] if first == last => {
                    self.kept.truncate(first);
                    return self.kept;
                }
                [_, Some(_)] => break,
                _ => sorted = sorted.saturating_mul(SORTED),
            }
        }
        let all = self.kept.len();
        self.sort(all);
        let total: f64 = self.kept.iter().map(|&i| weight(self.scaled[i], max)).sum();
        let count = self.reach(all, max, share * total).unwrap_or(all);
        self.kept.truncate(count);
        self.kept
    }

    /// Moves the `count` likeliest tokens to the front, in order.
    fn sort(&mut self, count: usize) {
        let scaled = self.scaled;
        let order = |a: &usize, b: &usize| -> Ordering { scaled[*b].total_cmp(&scaled[*a]).then(a.cmp(b)) };
        if count < self.kept.len() {
            self.kept.select_nth_unstable_by(count, order);
        }
        let end = count.min(self.kept.len());
        self.kept[..end].sort_unstable_by(order);
    }

    /// Counts the tokens, of the first `sorted`, whose weights reach `goal` together.
    fn reach(&self, sorted: usize, max: f32, goal: f64) -> Option<usize> {
        let mut sum = 0.0;
        let last = self.kept[..sorted].iter().position(|&i| {
            sum += weight(self.scaled[i], max);
            sum >= goal
        });
        last.map(|last| last + 1)
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Sorts everything.
    fn textbook(scaled: &[f32], top_k: usize, top_p: f64) -> Vec<usize> {
        let max = scaled.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut kept: Vec<usize> = (0..scaled.len()).collect();
        kept.sort_by(|&a, &b| scaled[b].total_cmp(&scaled[a]).then(a.cmp(&b)));
        kept.truncate(top_k);
        let weights: Vec<f64> = kept.iter().map(|&i| weight(scaled[i], max)).collect();
        let goal = top_p * weights.iter().sum::<f64>();
        let mut sum = 0.0;
        let enough = weights.iter().position(|weight| {
            sum += weight;
            sum >= goal
        });
        kept.truncate(enough.map_or(kept.len(), |last| last + 1));
        kept
    }

    #[test]
    fn a_selection_is_the_beginning_of_everything_sorted() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        for (size, spread) in
            [(1, 1.0), (63, 3.0), (64, 0.0), (65, 9.0), (5000, 0.0), (5000, 4.0), (9000, 30.0)]
        {
            // Whole and half numbers make ties, and sums that meet their goal exactly.
            let logit = |_| (spread * rng.random::<f32>() * 2.0).round() / 2.0;
            let scaled: Vec<f32> = (0..size).map(logit).collect();
            let max = scaled.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            for top_k in [1, 2, 64, 65, 4999, 5000, usize::MAX] {
                for top_p in [5e-324, 0.25, 0.5, 0.9, 0.999, 1.0 - 1e-12] {
                    let kept = Likeliest { scaled: &scaled, kept: (0..size).collect() }.first(top_k);
                    let kept = Likeliest { scaled: &scaled, kept }.nucleus(max, top_p);
                    assert_eq!(kept, textbook(&scaled, top_k, top_p), "{size} {spread} {top_k} {top_p}");
                }
            }
            let kept = Likeliest { scaled: &scaled, kept: (0..size).rev().collect() }.nucleus(max, 0.75);
            assert_eq!(kept, textbook(&scaled, usize::MAX, 0.75), "{size} {spread}, alone");
        }
    }
}
