//! One token from one row of logits.

use rand::{Rng, RngExt};

/// How tokens are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 is greedy.
    pub temperature: f64,
    /// Keep this many of the likeliest tokens; 0 keeps all.
    pub top_k: usize,
    /// Keep the smallest set of tokens whose probability reaches this; 1 keeps all (arXiv:1904.09751).
    pub top_p: f64,
    /// Keep tokens at least this likely relative to the likeliest; 0 keeps all (arXiv:2407.01082).
    pub min_p: f64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0 }
    }
}

/// A drawn token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampled {
    /// The token.
    pub token: u32,
    /// Its log-probability under the crate's rule, in nats.
    pub logprob: f32,
}

/// Draws a token from a row of logits. Ties go to the smaller token id.
///
/// # Panics
/// If a logit is NaN: the model is broken, and any token would be a lie.
pub fn sample(logits: &[f32], how: &Sampling, rng: &mut impl Rng) -> Sampled {
    assert!(logits.iter().all(|l| !l.is_nan()), "logits hold NaN: the weights are broken");
    let greedy = how.temperature == 0.0;
    let scale = if greedy { 1.0 } else { 1.0 / how.temperature as f32 };
    let scaled: Vec<f32> = logits.iter().map(|l| l * scale).collect();
    let max = scaled.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let log_sum = scaled.iter().map(|l| (l - max).exp()).sum::<f32>().ln() + max;
    let token = if greedy {
        scaled.iter().position(|&l| l == max).expect("a row of logits is not empty")
    } else {
        draw(&scaled, max, how, rng)
    };
    Sampled { token: token as u32, logprob: scaled[token] - log_sum }
}

/// Draws an index from what the truncations leave.
fn draw(scaled: &[f32], max: f32, how: &Sampling, rng: &mut impl Rng) -> usize {
    let cut = how.top_k > 0 || how.top_p < 1.0;
    let floor = if how.min_p > 0.0 { max + how.min_p.ln() as f32 } else { f32::NEG_INFINITY };
    let mut kept: Vec<usize> = (0..scaled.len()).filter(|&i| scaled[i] >= floor).collect();
    if cut {
        kept.sort_by(|&a, &b| scaled[b].total_cmp(&scaled[a]).then(a.cmp(&b)));
        if how.top_k > 0 {
            kept.truncate(how.top_k);
        }
    }
    let mut weights: Vec<f64> = kept.iter().map(|&i| f64::from(scaled[i] - max).exp()).collect();
    let mut total: f64 = weights.iter().sum();
    if how.top_p < 1.0 {
        let goal = how.top_p * total;
        let mut sum = 0.0;
        let enough = weights.iter().position(|weight| {
            sum += weight;
            sum >= goal
        });
        weights.truncate(enough.map_or(kept.len(), |last| last + 1));
        total = weights.iter().sum();
    }
    let mut left = rng.random::<f64>() * total;
    let drawn = weights.iter().position(|weight| {
        left -= weight;
        left < 0.0
    });
    kept[drawn.unwrap_or(weights.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SequenceId;

    const LOGITS: [f32; 5] = [1.0, 3.0, 2.0, 3.0, -4.0];

    fn frequencies(how: Sampling) -> Vec<f64> {
        let mut rng = SequenceId { seed: 0, step: 0, task: 0, occurrence: 0, sample: 0, turn: 0 }.rng();
        let n = 100_000;
        let mut counts = vec![0.0; LOGITS.len()];
        for _ in 0..n {
            counts[sample(&LOGITS, &how, &mut rng).token as usize] += 1.0 / f64::from(n);
        }
        counts
    }

    fn softmax(temperature: f64, kept: &[usize]) -> Vec<f64> {
        let weights: Vec<f64> = (0..LOGITS.len())
            .map(|i| if kept.contains(&i) { (f64::from(LOGITS[i]) / temperature).exp() } else { 0.0 })
            .collect();
        let total: f64 = weights.iter().sum();
        weights.iter().map(|w| w / total).collect()
    }

    #[test]
    fn frequencies_follow_the_truncated_distribution() {
        let plain = Sampling::default();
        for (how, temperature, kept) in [
            (plain, 1.0, &[0, 1, 2, 3, 4][..]),
            (Sampling { temperature: 0.5, ..plain }, 0.5, &[0, 1, 2, 3, 4]),
            (Sampling { top_k: 3, ..plain }, 1.0, &[1, 2, 3]),
            (Sampling { top_p: 0.7, ..plain }, 1.0, &[1, 3]),
            (Sampling { min_p: 0.3, ..plain }, 1.0, &[1, 2, 3]),
            (Sampling { top_k: 1, ..plain }, 1.0, &[1]),
        ] {
            for (got, want) in frequencies(how).iter().zip(softmax(temperature, kept)) {
                assert!((got - want).abs() < 0.006, "{how:?}: {got} against {want}");
            }
        }
    }

    #[test]
    fn logprob_ignores_truncation_and_greedy_takes_the_first_of_equals() {
        let mut rng = SequenceId { seed: 0, step: 0, task: 0, occurrence: 0, sample: 0, turn: 0 }.rng();
        let greedy = sample(&LOGITS, &Sampling { temperature: 0.0, ..Sampling::default() }, &mut rng);
        assert_eq!(greedy.token, 1);
        let cut = sample(&LOGITS, &Sampling { top_k: 1, ..Sampling::default() }, &mut rng);
        let full = softmax(1.0, &[0, 1, 2, 3, 4])[1].ln();
        assert!((f64::from(cut.logprob) - full).abs() < 1e-6);
        assert_eq!(greedy.logprob, cut.logprob);
    }
}
