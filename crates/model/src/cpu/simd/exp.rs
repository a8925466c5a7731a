//! The exponential function of a vector.

use pulp::Simd;

/// Bounds beyond which `2ⁿ`, with the nearest whole `n`, isn't a normal number.
const MIN: f32 = -87.0;
const MAX: f32 = 88.0;
/// Adding this rounds to a whole number, which is then in the low bits of the sum.
const ROUND: f32 = 12_582_912.0;
/// `ln 2` in two parts; `n·ln 2` is exact in the first.
const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
/// `(eʳ - 1 - r) / r²` for `|r| ≤ ln 2 / 2` (the coefficients of Cephes).
const TERMS: [f32; 6] = [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];

/// Computes `eˣ` within two units in the last place for `-87 ≤ x ≤ 88`; 0 below, `e⁸⁸` above. NaN stays NaN.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let wide = |value: f32| simd.splat_f32s(value);
    // Comparisons with NaN are false, so NaN passes through.
    let below = simd.less_than_f32s(x, wide(MIN));
    let x = simd.select_f32s(simd.greater_than_f32s(x, wide(MAX)), wide(MAX), x);
    let shifted = simd.mul_add_f32s(x, wide(std::f32::consts::LOG2_E), wide(ROUND));
    let n = simd.sub_f32s(shifted, wide(ROUND));
    let r = simd.mul_add_f32s(n, wide(-LN_2[0]), x);
    let r = simd.mul_add_f32s(n, wide(-LN_2[1]), r);
    let mut p = wide(TERMS[0]);
    for term in &TERMS[1..] {
        p = simd.mul_add_f32s(p, r, wide(*term));
    }
    let p = simd.mul_add_f32s(p, simd.mul_f32s(r, r), simd.add_f32s(r, wide(1.0)));
    // The low bits of `shifted` are n; the exponent of 2ⁿ is n + 127, nine bits from the left.
    let exponent = simd.add_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(127));
    let power = simd.wrapping_dyn_shl_u32s(exponent, simd.splat_u32s(23));
    let power = simd.mul_f32s(p, simd.transmute_f32s_u32s(power));
    simd.select_f32s(below, wide(0.0), power)
}

#[cfg(test)]
mod tests {
    use pulp::WithSimd;

    use super::super::dispatch::Cpu;
    use super::*;

    struct Exp<'a>(&'a mut [f32]);

    impl WithSimd for Exp<'_> {
        type Output = ();
        fn with_simd<S: Simd>(self, simd: S) {
            let (head, tail) = S::as_mut_simd_f32s(self.0);
            assert!(tail.is_empty());
            for x in head {
                *x = exp(simd, *x);
            }
        }
    }

    fn exps(mut x: Vec<f32>) -> Vec<f32> {
        x.resize(x.len().next_multiple_of(64), 0.0);
        Cpu::detect().run(Exp(&mut x));
        x
    }

    #[test]
    fn it_is_within_two_units_in_the_last_place() {
        let x: Vec<f32> =
            (0..1 << 20).map(|i| -87.0 + i as f32 * (174.9 / f32::from(u16::MAX) / 16.0)).collect();
        for (x, y) in x.iter().zip(exps(x.clone())) {
            let exact = f64::from(*x).exp();
            let unit = f64::from(f32::EPSILON) * exact;
            assert!((f64::from(y) - exact).abs() <= 2.0 * unit, "exp({x}) is {y}, not {exact}");
        }
    }

    #[test]
    fn ends_and_what_is_no_number() {
        let y = exps(vec![0.0, -87.0, -1e9, f32::NEG_INFINITY, 88.0, 1e9, f32::NAN]);
        assert_eq!(y[0], 1.0);
        assert!(y[1] > 0.0 && y[2] == 0.0 && y[3] == 0.0, "{y:?}");
        assert!(y[4].is_finite() && y[5] == y[4], "{y:?}");
        assert!(y[6].is_nan());
    }
}
