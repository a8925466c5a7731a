//! Samples one token from one row of logits.

use rand::{Rng, RngExt};

use turnwise_trajectory::TokenId;

use crate::likeliest::{Likeliest, weight};
use crate::softmax::Softmax;

/// Holds the settings of sampling.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Divisor of the logits. 0 is greedy, as is anything below a millionth, which f32 can't tell from it.
    pub temperature: f64,
    /// Keeps the `top_k` likeliest tokens; 0 keeps all.
    pub top_k: usize,
    /// Keeps the smallest set of tokens whose probability reaches `top_p`; 1 keeps all (arXiv:1904.09751).
    pub top_p: f64,
    /// Keeps tokens at least `min_p` times as likely as the likeliest; 0 keeps all (arXiv:2407.01082).
    pub min_p: f64,
}

/// Temperatures below this are 0.
const GREEDY: f64 = 1e-6;

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0 }
    }
}

impl Sampling {
    /// Returns whether the likeliest token is taken.
    pub(crate) fn is_greedy(&self) -> bool {
        self.temperature < GREEDY
    }

    /// Returns the factor of the logits, 1 over the temperature.
    pub(crate) fn factor(&self) -> f32 {
        if self.is_greedy() { 1.0 } else { 1.0 / self.temperature as f32 }
    }

    /// Returns whether every token can be drawn, or only the likeliest: no truncation changes what is drawn.
    pub(crate) fn is_plain(&self) -> bool {
        self.is_greedy() || (self.top_k == 0 && self.top_p >= 1.0 && self.min_p <= 0.0)
    }
}

/// Holds a sampled token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampledToken {
    /// The token.
    pub token: u32,
    /// Its log-probability under the crate's rule, in nats.
    pub logprob: f32,
}

/// Holds a token and its log-probability under the crate's rule, in nats.
pub type Likely = (TokenId, f32);

/// Says why no token can be sampled from the logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the model's logits hold {0}: its weights are broken, or its activations overflow; \
     hint: take an earlier checkpoint and a lower optimizer.lr, or optimizer.precision = \"f32\""
)]
pub struct LogitsError(&'static str);

/// Samples a token from a row of logits. Ties go to the smaller token id.
///
/// # Errors
/// If a logit is NaN or +∞, or all are -∞: no token and no log-probability would be right.
pub fn sample(logits: &[f32], how: &Sampling, rng: &mut impl Rng) -> Result<SampledToken, LogitsError> {
    sample_beside(logits.to_vec(), how, 0, rng).map(|(sampled, _)| sampled)
}

/// Samples a token as [`sample`] does. Returns the `count` likeliest tokens beside it, likeliest first.
pub(crate) fn sample_beside(
    logits: Vec<f32>,
    how: &Sampling,
    count: usize,
    rng: &mut impl Rng,
) -> Result<(SampledToken, Vec<Likely>), LogitsError> {
    let (mut scaled, scale) = (logits, how.factor());
    for l in &mut scaled {
        *l *= scale;
    }
    if scaled.iter().fold(false, |any, l| any | l.is_nan()) {
        return Err(LogitsError("NaN"));
    }
    let max = highest(&scaled);
    if !max.is_finite() {
        return Err(LogitsError(if max > 0.0 { "+inf" } else { "nothing but -inf" }));
    }
    let softmax = Softmax::new(&scaled, max);
    let token = if how.is_greedy() {
        scaled.iter().position(|&l| l == max).expect("a row of logits is not empty")
    } else if how.is_plain() {
        softmax.draw(rng.random())
    } else {
        draw(&scaled, max, how, rng)
    };
    let sampled = SampledToken { token: token as u32, logprob: softmax.logprob(scaled[token]) };
    if count == 0 {
        return Ok((sampled, Vec::new()));
    }
    let likeliest = Likeliest { scaled: &scaled, kept: (0..scaled.len()).collect() }.first(count);
    let likely = |token: usize| (token as u32, softmax.logprob(scaled[token]));
    Ok((sampled, likeliest.into_iter().map(likely).collect()))
}

/// Returns the maximum. Sixteen lanes let the compiler use vector instructions.
fn highest(numbers: &[f32]) -> f32 {
    let mut most = [f32::NEG_INFINITY; 16];
    let (lanes, rest) = numbers.as_chunks::<16>();
    for lane in lanes {
        for (most, number) in most.iter_mut().zip(lane) {
            *most = if number > most { *number } else { *most };
        }
    }
    most.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max)
}

/// Samples an index from the tokens that the truncations keep.
fn draw(scaled: &[f32], max: f32, how: &Sampling, rng: &mut impl Rng) -> usize {
    // The likeliest token is kept at any setting.
    let floor = if how.min_p > 0.0 { (max + how.min_p.ln() as f32).min(max) } else { f32::NEG_INFINITY };
    let mut kept: Vec<usize> = (0..scaled.len()).filter(|&i| scaled[i] >= floor).collect();
    if how.top_k > 0 {
        kept = Likeliest { scaled, kept }.first(how.top_k);
    }
    if how.top_p < 1.0 {
        kept = Likeliest { scaled, kept }.nucleus(max, how.top_p);
    }
    let weights: Vec<f64> = kept.iter().map(|&i| weight(scaled[i], max)).collect();
    let total: f64 = weights.iter().sum();
    let mut left = rng.random::<f64>() * total;
    let drawn = weights.iter().position(|weight| {
        left -= weight;
        left < 0.0
    });
    // Rounding may leave a rest after the last weight. A token without weight doesn't get it.
    let last = || weights.iter().rposition(|weight| *weight > 0.0).expect("the likeliest token has a weight");
    kept[drawn.unwrap_or_else(last)]
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
            counts[sample(&LOGITS, &how, &mut rng).expect("finite").token as usize] += 1.0 / f64::from(n);
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
        let greedy = greedy.expect("finite");
        assert_eq!(greedy.token, 1);
        let cut = sample(&LOGITS, &Sampling { top_k: 1, ..Sampling::default() }, &mut rng).expect("finite");
        let full = softmax(1.0, &[0, 1, 2, 3, 4])[1].ln();
        assert!((f64::from(cut.logprob) - full).abs() < 1e-6);
        assert_eq!(greedy.logprob, cut.logprob);
    }

    #[test]
    fn the_likeliest_tokens_are_told_before_truncation_in_the_scale_of_the_temperature() {
        for temperature in [1.0, 2.0] {
            let how = Sampling { temperature, top_k: 1, ..Sampling::default() };
            let mut rng = SequenceId { seed: 0, step: 0, task: 0, occurrence: 0, sample: 0, turn: 0 }.rng();
            let (sampled, likeliest) = sample_beside(LOGITS.to_vec(), &how, 3, &mut rng).expect("finite");
            let all = softmax(temperature, &[0, 1, 2, 3, 4]);
            assert_eq!(likeliest.iter().map(|(token, _)| *token).collect::<Vec<_>>(), [1, 3, 2]);
            for (token, logprob) in &likeliest {
                assert!((f64::from(*logprob).exp() - all[*token as usize]).abs() < 1e-6);
            }
            assert_eq!((sampled.token, sampled.logprob), likeliest[0]);
        }
    }

    /// Tests settings at the ends of their ranges, and beyond the precision of f32.
    #[test]
    fn any_sampling_draws_a_token_with_a_finite_logprob_or_says_what_the_logits_hold() {
        let rows: [(&[f32], Option<&str>); 8] = [
            (&LOGITS, None),
            (&[0.0, f32::NEG_INFINITY, 3.0], None),
            (&[f32::MIN, 0.0, 1e30], None),
            (&[2.5], None),
            (&[f32::NAN, 1.0], Some("NaN")),
            (&[1.0, f32::INFINITY], Some("+inf")),
            (&[f32::INFINITY, f32::INFINITY], Some("+inf")),
            (&[f32::NEG_INFINITY; 3], Some("nothing but -inf")),
        ];
        let mut rng = SequenceId { seed: 0, step: 0, task: 0, occurrence: 0, sample: 0, turn: 0 }.rng();
        for temperature in [0.0, 5e-324, 1e-40, 1e-6, 0.01, 1.0, 100.0] {
            for (top_k, top_p, min_p) in
                [(0, 1.0, 0.0), (1, 1.0, 0.0), (usize::MAX, 1.0, 0.0), (0, 5e-324, 0.0), (0, 1.0, 1.0)]
            {
                let how = Sampling { temperature, top_k, top_p, min_p };
                for (logits, expect) in rows {
                    match (sample(logits, &how, &mut rng), expect) {
                        (Ok(drawn), None) => {
                            assert!((drawn.token as usize) < logits.len(), "{how:?}");
                            assert!(drawn.logprob.is_finite() && drawn.logprob <= 1e-6, "{how:?}: {drawn:?}");
                        }
                        (Err(LogitsError(what)), Some(expect)) => assert_eq!(what, expect),
                        (found, _) => panic!("{how:?} of {logits:?}: {found:?}"),
                    }
                }
            }
        }
    }
}
