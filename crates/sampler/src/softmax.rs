//! The softmax of a row of logits.

use turnwise_model::exponentials;

/// Weights whose sum is kept, so that a draw looks at one part of a vocabulary.
const PART: usize = 1024;

/// Holds the unnormalised softmax of a row. Sums are f64, in an order that depends on nothing but the length.
pub(crate) struct Softmax {
    /// `e^(l - max)` of each scaled logit.
    unnormalised: Vec<f32>,
    /// Sums of [`PART`] weights each.
    parts: Vec<f64>,
    /// Logarithm of the sum of all `e^l`.
    log_sum: f64,
}

impl Softmax {
    /// Computes the softmax of scaled logits that are finite or −∞.
    pub(crate) fn new(scaled: &[f32], max: f32) -> Self {
        let mut unnormalised = scaled.to_vec();
        exponentials(&mut unnormalised, max);
        let parts: Vec<f64> = unnormalised.chunks(PART).map(sum).collect();
        let log_sum = parts.iter().sum::<f64>().ln() + f64::from(max);
        Self { unnormalised, parts, log_sum }
    }

    /// Returns the log-probability of a scaled logit, in nats.
    pub(crate) fn logprob(&self, scaled: f32) -> f32 {
        (f64::from(scaled) - self.log_sum) as f32
    }

    /// Samples a token by the inverse of the cumulative distribution function.
    ///
    /// - `uniform`: from 0 to 1
    pub(crate) fn draw(&self, uniform: f64) -> usize {
        let mut left = uniform * self.parts.iter().sum::<f64>();
        let part = inverse_cdf(self.parts.iter().copied(), &mut left);
        let of_part = &self.unnormalised[part * PART..];
        let of_part = &of_part[..of_part.len().min(PART)];
        part * PART + inverse_cdf(of_part.iter().map(|&weight| f64::from(weight)), &mut left)
    }
}

/// Returns the first weight at which a sum exceeds `left`, and takes those before it from `left`. If rounding
/// leaves a rest past the last weight, the last one above zero gets it.
fn inverse_cdf(weights: impl Iterator<Item = f64>, left: &mut f64) -> usize {
    let mut last = 0;
    for (at, weight) in weights.enumerate() {
        if weight > 0.0 {
            last = at;
        }
        if *left < weight {
            return at;
        }
        *left -= weight;
    }
    *left = f64::INFINITY;
    last
}

/// Sums in eight lanes.
fn sum(weights: &[f32]) -> f64 {
    let mut sums = [0.0_f64; 8];
    let (lanes, rest) = weights.as_chunks::<8>();
    for lane in lanes {
        for (sum, weight) in sums.iter_mut().zip(lane) {
            *sum += f64::from(*weight);
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|&weight| f64::from(weight)).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_is_the_inverse_of_the_cumulative_distribution() {
        let logits: Vec<f32> = (0..3000).map(|at| ((at * 7919) % 1009) as f32 / 200.0 - 4.0).collect();
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let softmax = Softmax::new(&logits, max);
        let total: f64 = logits.iter().map(|l| f64::from(*l).exp()).sum();
        let mut below = 0.0;
        for (token, logit) in logits.iter().enumerate() {
            let share = f64::from(*logit).exp() / total;
            assert!((f64::from(softmax.logprob(*logit)) - share.ln()).abs() < 1e-5, "token {token}");
            for inside in [0.01, 0.5, 0.99] {
                assert_eq!(softmax.draw(below + inside * share), token);
            }
            below += share;
        }
    }

    #[test]
    fn a_rest_goes_to_the_last_token_with_a_weight() {
        let logits = [0.0, 1.0, f32::NEG_INFINITY];
        assert_eq!(Softmax::new(&logits, 1.0).draw(1.0), 1);
        assert_eq!(Softmax::new(&logits, 1.0).draw(0.0), 0);
    }
}
