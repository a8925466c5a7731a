//! Policy losses against a naive f64 reference: values, gradients by finite differences, masks,
//! micro-batches.

#[path = "loss/columns.rs"]
mod columns;
#[path = "loss/golden.rs"]
mod golden;

use turnwise_credit::KlEstimator;
use turnwise_loss::{Bounding, Cispo, Clip, Divergence, Dppo, Gspo, LossConfig, LossSums, RatioLevel};

use columns::{Columns, N, ROWS, TOKENS};

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
