//! Policy losses against a naive f64 reference: values, gradients by finite differences, masks,
//! micro-batches.

use burn::tensor::{Int, Tensor, TensorData};
use turnwise_credit::KlEstimator;
use turnwise_loss::{
    Bounding, Cispo, Clip, Correction, Divergence, Dppo, Gspo, LossBatch, LossConfig, LossOutput, LossSums,
    RatioLevel,
};
use turnwise_tests::{device, values};

const ROWS: usize = 4;
const TOKENS: usize = 7;
const N: usize = ROWS * TOKENS;

/// Columns of a batch on the host, row after row.
#[derive(Clone)]
struct Columns {
    logprobs: Vec<f64>,
    old: Vec<f64>,
    advantages: Vec<f64>,
    weights: Vec<f64>,
    reference: Vec<f64>,
    rollout: Vec<f64>,
    entropies: Vec<f64>,
    turns: Vec<i64>,
}

/// Uniform numbers in [0, 1), the same everywhere (splitmix64).
fn noise(seed: u64) -> impl FnMut() -> f64 {
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
    fn random(seed: u64) -> Self {
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
    fn batch(&self, rows: &[usize]) -> (Tensor<2>, LossBatch) {
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
    fn run(&self, config: &LossConfig, rows: &[usize]) -> (f64, Vec<f32>, LossSums) {
        let (logprobs, batch) = self.batch(rows);
        let LossOutput { loss, stats } = config.loss().evaluate(logprobs.clone(), &batch);
        let gradients = loss.backward();
        let gradient = logprobs.grad(&gradients).expect("a gradient for the log-probabilities");
        (f64::from(values(loss.inner())[0]), values(gradient), stats.sums(&batch.weights))
    }

    /// The loss as one loop over tokens in f64. The detached part of a loss is computed from `frozen`.
    fn naive(&self, config: &LossConfig, logprobs: &[f64], frozen: &[f64]) -> f64 {
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
    fn naive_weight(&self, config: &LossConfig, n: usize) -> (f64, bool) {
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

/// Every loss with every term, one per line.
fn configs() -> Vec<LossConfig> {
    let terms = Clip { beta: 0.1, entropy: 0.05, ..Clip::default() };
    let stale = Clip { tis_cap: 2.0, ..Clip::default() };
    vec![
        LossConfig::Clip(Clip::default()),
        LossConfig::Clip(Clip { dual_clip: 3.0, ..Clip::default() }),
        LossConfig::Clip(Clip { kl: KlEstimator::K1, ..terms }),
        LossConfig::Clip(Clip { kl: KlEstimator::K2, ..terms }),
        LossConfig::Clip(Clip { kl: KlEstimator::K3, ..terms }),
        LossConfig::Clip(Clip { level: RatioLevel::Turn, ..terms }),
        LossConfig::Clip(Clip { level: RatioLevel::Sequence, ..terms }),
        LossConfig::Clip(Clip { tis_cap: 2.0, ..terms }),
        LossConfig::Cispo(Cispo { eps_low: 0.2, eps_high: 1.0, beta: 0.1, ..Cispo::default() }),
        LossConfig::Cispo(Cispo { level: RatioLevel::Turn, tis_cap: 2.0, ..Cispo::default() }),
        LossConfig::Clip(Clip { tis_min: 0.5, tis_mode: Bounding::Mask, ..stale }),
        LossConfig::Clip(Clip { tis_min: 0.5, ..stale }),
        LossConfig::Clip(Clip { tis_level: RatioLevel::Turn, ..stale }),
        LossConfig::Clip(Clip { tis_level: RatioLevel::Sequence, ..stale }),
        LossConfig::Clip(Clip { tis_level: RatioLevel::Sequence, tis_mode: Bounding::Mask, ..stale }),
        LossConfig::Dppo(Dppo { delta_low: 0.05, delta_high: 0.05, beta: 0.1, ..Dppo::default() }),
        LossConfig::Dppo(Dppo {
            divergence: Divergence::Kl,
            delta_low: 0.02,
            delta_high: 0.03,
            ..Dppo::default()
        }),
        LossConfig::Dppo(Dppo { level: RatioLevel::Turn, ratio_cap: 1.5, tis_cap: 2.0, ..Dppo::default() }),
        LossConfig::Gspo(Gspo { eps_low: 0.2, eps_high: 0.28, beta: 0.1, ..Gspo::default() }),
        LossConfig::Gspo(Gspo { eps_low: 0.2, eps_high: 0.28, level: RatioLevel::Turn, ..Gspo::default() }),
    ]
}

const ALL: [usize; ROWS] = [0, 1, 2, 3];

#[test]
fn values_and_gradients_equal_finite_differences_of_the_naive_loss() {
    for config in configs() {
        for seed in 0..8 {
            let columns = Columns::random(seed);
            let (loss, gradient, _) = columns.run(&config, &ALL);
            let base = columns.logprobs.clone();
            let expect = columns.naive(&config, &base, &base);
            assert!(
                (loss - expect).abs() < 1e-5 * (1.0 + expect.abs()),
                "{config:?}: {loss} is not {expect}"
            );
            for n in 0..N {
                let at = |step: f64| {
                    let mut moved = base.clone();
                    moved[n] += step;
                    columns.naive(&config, &moved, &base)
                };
                let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
                let got = f64::from(gradient[n]);
                assert!(
                    (got - slope).abs() < 2e-5 * (1.0 + slope.abs()),
                    "{config:?} token {n}: {got} is not {slope}"
                );
            }
        }
    }
}

#[test]
fn at_ratio_one_the_gradient_is_reinforce() {
    let mut columns = Columns::random(1);
    columns.old = columns.logprobs.clone();
    for config in [
        LossConfig::default(),
        LossConfig::Clip(Clip { dual_clip: 3.0, ..Clip::default() }),
        LossConfig::Cispo(Cispo::default()),
        LossConfig::Gspo(Gspo::default()),
    ] {
        let (_, gradient, sums) = columns.run(&config, &ALL);
        for (n, g) in gradient.iter().enumerate() {
            let expect = -(columns.weights[n] as f32) * (columns.advantages[n] as f32);
            assert!((g - expect).abs() <= 1e-6 * expect.abs(), "{config:?} token {n}: {g} is not {expect}");
        }
        assert_eq!(sums.clipped, 0.0);
        assert!((sums.means().ratio - 1.0).abs() < 1e-6);
        assert!(sums.old_kl.abs() < 1e-6);
    }
}

/// Context, padding and dropped trajectories: whatever stands there, also infinities and NaN.
#[test]
fn tokens_of_weight_zero_have_exactly_zero_gradient_and_no_say() {
    for config in configs() {
        let columns = Columns::random(2);
        let mut spoilt = columns.clone();
        for n in (0..N).filter(|n| columns.weights[*n] == 0.0) {
            for column in [&mut spoilt.logprobs, &mut spoilt.old, &mut spoilt.reference, &mut spoilt.rollout]
            {
                column[n] = [f64::NEG_INFINITY, f64::NAN, f64::INFINITY, 1e30][n % 4];
            }
            spoilt.advantages[n] = f64::NAN;
            spoilt.entropies[n] = f64::INFINITY;
        }
        let (loss, gradient, sums) = columns.run(&config, &ALL);
        let again = spoilt.run(&config, &ALL);
        assert_eq!((loss, &gradient, sums), (again.0, &again.1, again.2), "{config:?}");
        for n in (0..N).filter(|n| columns.weights[*n] == 0.0) {
            assert_eq!(gradient[n], 0.0, "{config:?} token {n}");
        }
    }
}

#[test]
fn any_split_into_micro_batches_gives_the_same_loss_and_gradients() {
    let splits: [&[&[usize]]; 4] =
        [&[&[0], &[1], &[2], &[3]], &[&[0, 1], &[2, 3]], &[&[3, 1], &[2], &[0]], &[&[0, 2, 3], &[1]]];
    for config in configs() {
        let columns = Columns::random(3);
        let (loss, gradient, sums) = columns.run(&config, &ALL);
        for split in splits {
            let (mut total, mut added) = (0.0, LossSums::default());
            for rows in split {
                let (part, part_gradient, part_sums) = columns.run(&config, rows);
                total += part;
                added += part_sums;
                for (k, row) in rows.iter().enumerate() {
                    let (whole, part) = (&gradient[row * TOKENS..], &part_gradient[k * TOKENS..]);
                    for t in 0..TOKENS {
                        let tolerance = 1e-6 * whole[t].abs();
                        assert!((whole[t] - part[t]).abs() <= tolerance, "{config:?} row {row} token {t}");
                    }
                }
            }
            assert!((total - loss).abs() <= 1e-6 * (1.0 + loss.abs()), "{config:?} {split:?}");
            assert!((added.means().ratio - sums.means().ratio).abs() < 1e-6);
        }
    }
}

#[test]
fn extreme_log_ratios_stay_finite() {
    for config in configs() {
        let mut columns = Columns::random(4);
        for n in 0..N {
            columns.old[n] = if n % 2 == 0 { -1e4 } else { 0.0 };
            columns.logprobs[n] = if n % 2 == 0 { 0.0 } else { -1e4 };
            columns.reference[n] = columns.old[n];
            columns.rollout[n] = columns.logprobs[n];
        }
        let (loss, gradient, sums) = columns.run(&config, &ALL);
        assert!(loss.is_finite() && sums.ratio.is_finite(), "{config:?}");
        assert!(gradient.iter().all(|g| g.is_finite()), "{config:?}");
    }
}

#[test]
fn statistics_count_what_was_clipped_with_the_weights_of_the_loss() {
    let mut columns = Columns::random(5);
    let tokens = [1, 2, 4, 5];
    columns.weights = (0..N).map(|n| if tokens.contains(&n) { 0.25 } else { 0.0 }).collect();
    for (n, (ratio, advantage)) in
        tokens.into_iter().zip([(1.5_f64, 1.0), (1.5, -1.0), (0.5, -1.0), (1.0, 1.0)])
    {
        columns.old[n] = columns.logprobs[n] - ratio.ln();
        columns.advantages[n] = advantage;
    }
    let (_, _, sums) = columns.run(&LossConfig::default(), &ALL);
    assert!((sums.weight - 1.0).abs() < 1e-6);
    assert!((sums.clipped - 0.5).abs() < 1e-6, "rising with A > 0 and falling with A < 0");
    assert!((sums.ratio - 4.5 / 4.0).abs() < 1e-5);
}

#[test]
fn statistics_count_weights_of_stale_rollouts_and_those_that_were_bounded() {
    let columns = Columns::random(6);
    let stale = Clip { tis_cap: 1.5, tis_min: 0.5, ..Clip::default() };
    for level in [RatioLevel::Token, RatioLevel::Turn, RatioLevel::Sequence] {
        for tis_mode in [Bounding::Truncate, Bounding::Mask] {
            let config = LossConfig::Clip(Clip { tis_level: level, tis_mode, ..stale });
            let (_, _, sums) = columns.run(&config, &ALL);
            let weights = (0..N).filter(|&n| columns.weights[n] != 0.0);
            let naive = weights.map(|n| (columns.weights[n], columns.naive_weight(&config, n)));
            let (mut weight, mut cut) = (0.0, 0.0);
            naive.for_each(|(w, (bounded, changed))| {
                weight += w * bounded;
                cut += if changed { w } else { 0.0 };
            });
            assert!(
                (sums.tis_weight - weight).abs() < 1e-5,
                "{config:?}: {} is not {weight}",
                sums.tis_weight
            );
            assert!((sums.tis_cut - cut).abs() < 1e-5, "{config:?}: {} is not {cut}", sums.tis_cut);
            assert!(cut > 0.0);
        }
    }
    let (_, _, sums) = columns.run(&LossConfig::default(), &ALL);
    assert_eq!((sums.tis_weight, sums.tis_cut), (0.0, 0.0));
}

/// The rule behind `clipped`: the surrogate's own gradient is gone although the token has an advantage.
#[test]
fn a_token_is_counted_as_clipped_where_its_gradient_is_cut() {
    for dual_clip in [0.0, 1.5, 3.0] {
        let config = LossConfig::Clip(Clip { dual_clip, ..Clip::default() });
        for seed in 0..8 {
            let columns = Columns::random(seed);
            for n in (0..N).filter(|n| columns.weights[*n] != 0.0) {
                let mut one = columns.clone();
                one.weights = (0..N).map(|m| if m == n { 1.0 } else { 0.0 }).collect();
                let (_, gradient, sums) = one.run(&config, &ALL);
                let cut = if gradient[n] == 0.0 { 1.0 } else { 0.0 };
                assert_eq!(sums.clipped, cut, "{config:?} seed {seed} token {n}");
            }
        }
    }
    // By hand: A < 0 and a ratio above c is bounded by the dual clip alone.
    let mut columns = Columns::random(5);
    columns.weights = (0..N).map(|n| if n == 1 { 1.0 } else { 0.0 }).collect();
    columns.old[1] = columns.logprobs[1] - 4.0_f64.ln();
    columns.advantages[1] = -1.0;
    let clipped =
        |dual_clip| columns.run(&LossConfig::Clip(Clip { dual_clip, ..Clip::default() }), &ALL).2.clipped;
    assert_eq!((clipped(0.0), clipped(3.0), clipped(5.0)), (0.0, 1.0, 0.0));
}

#[test]
fn divergences_are_never_negative_and_have_their_digits_near_zero() {
    let configs =
        [LossConfig::Clip(Clip { beta: 0.1, ..Clip::default() }), LossConfig::Gspo(Gspo::default())];
    for d in [0.0, 1e-9, 1e-7, 3e-6, 1e-5, 2e-4, 0.003, 0.07, 0.4999, 0.5001, 2.0, 15.0] {
        for d in [d, -d] {
            for config in &configs {
                let mut columns = Columns::random(7);
                // Steps that f32 holds, so that the difference is the one that is meant.
                columns.logprobs.fill(0.0);
                columns.old.fill(-d);
                columns.reference.fill(d);
                columns.weights.fill(1.0 / N as f64);
                let (_, gradient, sums) = columns.run(config, &ALL);
                assert!(gradient.iter().all(|g| g.is_finite()));
                for found in [sums.old_kl, sums.ref_kl] {
                    // exp_m1 has its digits, but for the smallest, where the series is one term.
                    let expect = if d.abs() < 1e-5 { d * d / 2.0 } else { d.exp_m1() - d };
                    assert!(found >= 0.0, "{config:?} d = {d}: {found}");
                    let off = (found - expect).abs();
                    assert!(off <= 2e-5 * expect, "{config:?} d = {d}: {found} is not {expect}");
                }
            }
            let host = KlEstimator::K3.of(0.0, d);
            assert!(host >= 0.0 && (host - (d.exp_m1() - d)).abs() <= 1e-9 * d * d + 1e-16, "{d}: {host}");
        }
    }
}

#[test]
fn statistics_by_turn_add_up_to_those_of_the_batch() {
    let columns = Columns::random(6);
    let config = LossConfig::Clip(Clip { beta: 0.1, entropy: 0.1, ..Clip::default() });
    let (logprobs, batch) = columns.batch(&ALL);
    let stats = config.loss().evaluate(logprobs, &batch).stats;
    let sums = stats.sums(&batch.weights);
    let by_turn =
        stats.sums_by_turn(&batch.weights, &columns.turns.iter().map(|t| *t as i32).collect::<Vec<_>>());
    assert_eq!(by_turn.len(), 2);
    let mut added = LossSums::default();
    for (turn, part) in by_turn.into_iter().enumerate() {
        let weight = |n: usize| if columns.turns[n] == turn as i64 { columns.weights[n] } else { 0.0 };
        let entropy: f64 = (0..N).map(|n| weight(n) * columns.entropies[n]).sum();
        assert!((part.entropy - entropy).abs() < 1e-5);
        added += part;
    }
    for (added, sum) in [
        (added.weight, sums.weight),
        (added.ratio, sums.ratio),
        (added.clipped, sums.clipped),
        (added.old_kl, sums.old_kl),
        (added.ref_kl, sums.ref_kl),
        (added.entropy, sums.entropy),
    ] {
        assert!((added - sum).abs() < 1e-5 * (1.0 + sum.abs()), "{added} is not {sum}");
    }
}
