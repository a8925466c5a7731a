//! A batch on the host, and its loss as one loop over tokens in f64.

use burn::tensor::{Int, Tensor, TensorData};
use turnwise_credit::KlEstimator;
use turnwise_loss::{
    Bounding, Correction, Divergence, LossBatch, LossConfig, LossOutput, LossSums, RatioLevel,
};
use turnwise_tests::{device, values};

pub(crate) const ROWS: usize = 4;
pub(crate) const TOKENS: usize = 7;
pub(crate) const N: usize = ROWS * TOKENS;

/// Columns of a batch on the host, row after row.
#[derive(Clone)]
pub(crate) struct Columns {
    pub(crate) logprobs: Vec<f64>,
    pub(crate) old: Vec<f64>,
    pub(crate) advantages: Vec<f64>,
    pub(crate) weights: Vec<f64>,
    pub(crate) reference: Vec<f64>,
    pub(crate) rollout: Vec<f64>,
    pub(crate) entropies: Vec<f64>,
    pub(crate) turns: Vec<i64>,
}

/// Uniform numbers in [0, 1), the same everywhere (splitmix64).
pub(crate) fn noise(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as f64 / 2.0_f64.powi(64)
    }
}

impl Columns {
    /// Log-ratios far enough from every kink that a finite difference does not cross it. The first and the
    /// fourth column are context, and the last row is padding.
    pub(crate) fn random(seed: u64) -> Self {
        let mut uniform = noise(seed);
        let mut take =
            |low: f64, high: f64| (0..N).map(|_| low + (high - low) * uniform()).collect::<Vec<_>>();
        let logprobs = take(-3.0, -0.1);
        let mut ratio = take(-1.5, 1.5);
        for r in &mut ratio {
            let kinks = [0.8_f64.ln(), 1.28_f64.ln(), 3.0_f64.ln(), 2.0_f64.ln()];
            while kinks.iter().any(|k| (*r - k).abs() < 0.01) {
                *r += 0.02;
            }
        }
        let context = |n: usize| matches!(n % TOKENS, 0 | 3) || n / TOKENS == ROWS - 1;
        let weights = take(0.1, 1.0).into_iter().enumerate();
        Self {
            old: logprobs.iter().zip(&ratio).map(|(l, r)| l - r).collect(),
            advantages: take(-2.0, 2.0),
            weights: weights.map(|(n, w)| if context(n) { 0.0 } else { w }).collect(),
            reference: take(-3.0, -0.1),
            rollout: take(-3.0, -0.1),
            entropies: take(0.0, 2.0),
            turns: (0..N).map(|n| i64::from(n % TOKENS > 3)).collect(),
            logprobs,
        }
    }

    fn tensor(column: &[f64], rows: &[usize]) -> Tensor<2> {
        let flat: Vec<f32> =
            rows.iter().flat_map(|r| &column[r * TOKENS..(r + 1) * TOKENS]).map(|v| *v as f32).collect();
        Tensor::from_data(TensorData::new(flat, [rows.len(), TOKENS]), &device().autodiff())
    }

    /// The log-probabilities of some rows, to differentiate, and the batch of their other columns.
    pub(crate) fn batch(&self, rows: &[usize]) -> (Tensor<2>, LossBatch) {
        let logprobs = Self::tensor(&self.logprobs, rows).require_grad();
        let turns: Vec<i64> =
            rows.iter().flat_map(|r| self.turns[r * TOKENS..(r + 1) * TOKENS].to_vec()).collect();
        let batch = LossBatch {
            ref_logprobs: Some(Self::tensor(&self.reference, rows)),
            entropies: Some(Self::tensor(&self.entropies, rows)),
            rollout_logprobs: Some(Self::tensor(&self.rollout, rows)),
            turns: Some(Tensor::<2, Int>::from_data(
                TensorData::new(turns, [rows.len(), TOKENS]),
                &device().autodiff(),
            )),
            ..LossBatch::new(
                Self::tensor(&self.old, rows),
                Self::tensor(&self.advantages, rows),
                Self::tensor(&self.weights, rows),
            )
        };
        (logprobs, batch)
    }

    /// Loss, gradient with respect to the log-probabilities, and statistics of some rows.
    pub(crate) fn run(&self, config: &LossConfig, rows: &[usize]) -> (f64, Vec<f32>, LossSums) {
        let (logprobs, batch) = self.batch(rows);
        let LossOutput { loss, stats } = config.loss().evaluate(logprobs.clone(), &batch);
        let gradients = loss.backward();
        let gradient = logprobs.grad(&gradients).expect("a gradient for the log-probabilities");
        (f64::from(values(loss.inner())[0]), values(gradient), stats.sums(&batch.weights))
    }

    /// The loss as one loop over tokens in f64. The detached part of a loss is computed from `frozen`.
    pub(crate) fn naive(&self, config: &LossConfig, logprobs: &[f64], frozen: &[f64]) -> f64 {
        let terms = config.loss().terms();
        let trained = |n: &usize| self.weights[*n] != 0.0;
        let tokens = (0..N).filter(trained);
        tokens
            .map(|n| {
                let level = |l: &[f64]| {
                    let d = |m: usize| l[m] - self.old[m];
                    let row = n / TOKENS * TOKENS..(n / TOKENS + 1) * TOKENS;
                    let peers: Vec<usize> = match terms.level {
                        RatioLevel::Token => vec![n],
                        RatioLevel::Turn => row.filter(|m| self.turns[*m] == self.turns[n]).collect(),
                        RatioLevel::Sequence => row.collect(),
                    };
                    let peers: Vec<f64> = peers.into_iter().filter(trained).map(d).collect();
                    peers.iter().sum::<f64>() / peers.len() as f64
                };
                let loss = self.naive_surrogate(config, n, level(logprobs), level(frozen), logprobs, frozen);
                let d = logprobs[n] - self.reference[n];
                let kl = match terms.kl {
                    KlEstimator::K1 => d,
                    KlEstimator::K2 => 0.5 * d * d,
                    KlEstimator::K3 => (-d).exp() + d - 1.0,
                };
                self.weights[n] * (loss + terms.beta * kl - terms.entropy * self.entropies[n])
            })
            .sum()
    }

    fn naive_surrogate(
        &self,
        config: &LossConfig,
        n: usize,
        d: f64,
        frozen_d: f64,
        logprobs: &[f64],
        frozen: &[f64],
    ) -> f64 {
        let a = self.advantages[n] * self.naive_weight(config, n).0;
        let clipped =
            |ratio: f64, low: f64, high: f64| (ratio * a).min(ratio.clamp(1.0 - low, 1.0 + high) * a);
        match config {
            LossConfig::Clip(c) if c.dual_clip > 0.0 && a < 0.0 => {
                -clipped(d.exp(), c.eps_low, c.eps_high).max(c.dual_clip * a)
            }
            LossConfig::Clip(c) => -clipped(d.exp(), c.eps_low, c.eps_high),
            LossConfig::Cispo(c) => {
                -frozen_d.exp().clamp(1.0 - c.eps_low, 1.0 + c.eps_high) * a * logprobs[n]
            }
            LossConfig::Gspo(c) => {
                -clipped((frozen_d + logprobs[n] - frozen[n]).exp(), c.eps_low, c.eps_high)
            }
            LossConfig::Dppo(c) => {
                let (p, old) = (frozen[n].exp(), self.old[n].exp());
                let divergence = match c.divergence {
                    Divergence::Tv => (p - old).abs(),
                    Divergence::Kl => old * (old / p).ln() + (1.0 - old) * ((1.0 - old) / (1.0 - p)).ln(),
                };
                let outside = |delta: f64| divergence.is_nan() || divergence > delta;
                let left =
                    if a > 0.0 { p > old && outside(c.delta_high) } else { p < old && outside(c.delta_low) };
                if left { 0.0 } else { -frozen_d.exp().min(c.ratio_cap) * a * logprobs[n] }
            }
        }
    }

    /// The bounded importance weight of a token, and whether the bounds changed it.
    pub(super) fn naive_weight(&self, config: &LossConfig, n: usize) -> (f64, bool) {
        let Correction { cap, min, bounding, level } = config.loss().terms().correction;
        if cap == 0.0 {
            return (1.0, false);
        }
        let row = n / TOKENS * TOKENS..(n / TOKENS + 1) * TOKENS;
        let peer = |m: &usize| match level {
            RatioLevel::Token => *m == n,
            RatioLevel::Turn => self.turns[*m] == self.turns[n],
            RatioLevel::Sequence => true,
        };
        let peers = row.filter(|m| self.weights[*m] != 0.0).filter(peer);
        let weight = peers.map(|m| self.old[m] - self.rollout[m]).sum::<f64>().exp();
        let inside = (min..=cap).contains(&weight);
        match bounding {
            _ if inside => (weight, false),
            Bounding::Truncate => (weight.clamp(min, cap), true),
            Bounding::Mask => (0.0, true),
        }
    }
}
