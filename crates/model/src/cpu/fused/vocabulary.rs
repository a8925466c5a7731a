//! Softmax over the vocabulary: log-probabilities and entropies of rows of logits, and gradients through
//! them.

#![expect(clippy::inline_always, reason = "code under `with_simd` becomes one function")]

use pulp::{Simd, WithSimd};

use crate::cpu::simd::{Cpu, exp, row_max_any};

/// Holds gradients of a loss for each row's log-probability and, if the loss uses it, entropy.
pub(crate) struct OutputGrads<'a> {
    pub(crate) logprob: &'a [f32],
    pub(crate) entropy: Option<&'a [f32]>,
}

/// Returns the log-probability of one token per row of logits, `[N, V]`, and the row's entropy, in nats.
pub(crate) fn pick_logprobs(logits: &[f32], tokens: &[i32]) -> Vec<[f32; 2]> {
    let of = |(row, &token): (&[f32], &i32)| {
        let Row { max, log_sum, entropy } = Cpu::detect().run(Read(row));
        [row[token as usize] - max - log_sum, entropy]
    };
    logits.chunks_exact(logits.len() / tokens.len()).zip(tokens).map(of).collect()
}

/// Replaces logits, `[N, V]`, by the gradient with respect to them: `∂logp(a)/∂l = onehot(a) - p` and `∂H/∂l
/// = -p·(log p + H)`.
pub(crate) fn write_grad_logits(logits: &mut [f32], tokens: &[i32], grads: &OutputGrads<'_>) {
    let width = logits.len() / tokens.len();
    for (at, (row, &token)) in logits.chunks_exact_mut(width).zip(tokens).enumerate() {
        let read = Cpu::detect().run(Read(row));
        let grad_logprob = grads.logprob[at];
        let grad_entropy = grads.entropy.map_or(0.0, |entropy| entropy[at]);
        Cpu::detect().run(Change { row, read, grad_logprob, grad_entropy });
        row[token as usize] += grad_logprob;
    }
}

/// Holds statistics of a row: its largest logit, `log Σ exp(l - max)`, and its entropy.
#[derive(Clone, Copy)]
struct Row {
    max: f32,
    log_sum: f32,
    entropy: f32,
}

struct Read<'a>(&'a [f32]);

impl WithSimd for Read<'_> {
    type Output = Row;

    /// With `d = l - max` and `S = Σ exp(d)`: `H = log S - Σ d·exp(d) / S`.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Row {
        let max = row_max_any(simd, self.0);
        let (head, tail) = S::as_simd_f32s(self.0);
        let (wide, mut sum, mut mean) = (simd.splat_f32s(max), simd.splat_f32s(0.0), simd.splat_f32s(0.0));
        for x in head {
            let d = simd.sub_f32s(*x, wide);
            let e = exp(simd, d);
            sum = simd.add_f32s(sum, e);
            mean = simd.mul_add_f32s(e, d, mean);
        }
        let (mut sum, mut mean) = (simd.reduce_sum_f32s(sum), simd.reduce_sum_f32s(mean));
        for x in tail {
            let e = (x - max).exp();
            sum += e;
            mean += e * (x - max);
        }
        let log_sum = sum.ln();
        Row { max, log_sum, entropy: log_sum - mean / sum }
    }
}

struct Change<'a> {
    row: &'a mut [f32],
    read: Row,
    grad_logprob: f32,
    grad_entropy: f32,
}

impl WithSimd for Change<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Row { max, log_sum, entropy } = self.read;
        let (head, tail) = S::as_mut_simd_f32s(self.row);
        let whole = simd.splat_f32s(max + log_sum);
        let (grad_entropy, at_zero) = (
            simd.splat_f32s(self.grad_entropy),
            simd.splat_f32s(self.grad_logprob + self.grad_entropy * entropy),
        );
        for x in head {
            let logp = simd.sub_f32s(*x, whole);
            let grad = simd.mul_add_f32s(grad_entropy, logp, at_zero);
            *x = simd.neg_f32s(simd.mul_f32s(exp(simd, logp), grad));
        }
        for x in tail {
            let logp = *x - (max + log_sum);
            *x = -logp.exp() * (self.grad_logprob + self.grad_entropy * (logp + entropy));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::numbers;
    use super::*;

    /// Computes `Σ a·logp(token) + b·H` over rows, in f64.
    fn loss(logits: &[f64], tokens: &[i32], grads: &OutputGrads<'_>) -> f64 {
        let width = logits.len() / tokens.len();
        let row = |(at, row): (usize, &[f64])| {
            let log_sum = row.iter().map(|l| l.exp()).sum::<f64>().ln();
            let entropy: f64 = row.iter().map(|l| -(l - log_sum).exp() * (l - log_sum)).sum();
            let grad_entropy = grads.entropy.map_or(0.0, |grad| f64::from(grad[at]));
            f64::from(grads.logprob[at]) * (row[tokens[at] as usize] - log_sum) + grad_entropy * entropy
        };
        logits.chunks(width).enumerate().map(row).sum()
    }

    #[test]
    fn they_are_the_formula_and_its_slopes() {
        for (width, with_entropy) in [(1, true), (5, false), (64, true), (131, true), (131, false)] {
            let logits: Vec<f32> = numbers(3 * width, 1).into_iter().map(|l| 9.0 * l).collect();
            let (tokens, by, more) = ([0, width as i32 - 1, width as i32 / 2], numbers(3, 2), numbers(3, 3));
            let grads = OutputGrads { logprob: &by, entropy: with_entropy.then_some(more.as_slice()) };
            let mut exact: Vec<f64> = logits.iter().copied().map(f64::from).collect();
            let read = pick_logprobs(&logits, &tokens);
            let told: f32 = read
                .iter()
                .zip(by.iter().zip(&more))
                .map(|([logp, entropy], (a, b))| a * logp + if with_entropy { b * entropy } else { 0.0 })
                .sum();
            assert!((f64::from(told) - loss(&exact, &tokens, &grads)).abs() < 1e-5, "{width}: {told}");
            let mut grad = logits.clone();
            write_grad_logits(&mut grad, &tokens, &grads);
            for at in 0..exact.len() {
                let mut moved = |by: f64| {
                    exact[at] += by;
                    let loss = loss(&exact, &tokens, &grads);
                    exact[at] -= by;
                    loss
                };
                let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!(
                    (f64::from(grad[at]) - expected).abs() < 1e-6,
                    "{at} of {width}: {} {expected}",
                    grad[at]
                );
            }
        }
    }
}
