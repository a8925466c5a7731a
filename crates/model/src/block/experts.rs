//! The settings of a mixture of experts.

use super::attention::within;

/// Describes a mixture of experts: a router sends each token through a few of many feed-forward layers
/// (arXiv:1701.06538 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpertsConfig {
    /// Experts, `E`.
    pub count: usize,
    /// Experts of a token, those with the highest scores.
    pub chosen: usize,
    /// Whether the weights of a token's experts add up to 1; otherwise they are probabilities among all.
    pub normalised: bool,
}

/// The most experts of a layer.
const MAX_EXPERTS: usize = 1 << 10;

impl ExpertsConfig {
    /// Returns the experts with the highest scores, best first. Equal scores choose the first expert, so the
    /// choice depends on nothing but the scores.
    pub(crate) fn choose(&self, scores: &[f32]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        // The sum makes both zeros equal.
        let score = |at: usize| scores[at] + 0.0;
        order.sort_unstable_by(|&a, &b| score(b).total_cmp(&score(a)).then(a.cmp(&b)));
        order.truncate(self.chosen);
        order
    }

    /// Checks the sizes. The error says which is wrong, with the value.
    pub(crate) fn check(&self) -> Result<(), String> {
        within("num_experts", self.count, MAX_EXPERTS)?;
        within("num_experts_per_tok", self.chosen, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_scores_are_chosen_and_of_equal_ones_the_first() {
        let check = |chosen: usize, scores: &[f32], expect: &[usize]| {
            let config = ExpertsConfig { count: scores.len(), chosen, normalised: true };
            assert_eq!(config.choose(scores), expect, "{scores:?}");
        };
        check(2, &[0.5, 2.0, -1.0, 1.0], &[1, 3]);
        check(2, &[1.0, 1.0, 1.0], &[0, 1]);
        check(3, &[0.0, 3.0, -0.0, 3.0], &[1, 3, 0]);
        check(1, &[-0.0, 0.0], &[0]);
        check(2, &[f32::NEG_INFINITY, -1.0], &[1, 0]);
    }
}
