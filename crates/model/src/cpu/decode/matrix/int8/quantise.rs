//! Rounding to eight bits.

#![expect(clippy::inline_always, reason = "code under `with_simd` becomes one function")]

use super::BLOCK;

/// Largest size of a rounded number.
const MOST: f32 = 127.0;
/// Blocks of smaller numbers are zeros, since `MOST / TINY` has to be finite.
const TINY: f32 = 1e-30;
/// Adding this rounds to a whole number, to the even one of two, which is then in the low bits of the sum.
const ROUND: f32 = 12_582_912.0;

/// Rounds the numbers of a block to whole multiples of `scale`, which is its largest size over 127.
///
/// A number that isn't finite makes the scale NaN, and so everything that is computed from the block.
#[inline(always)]
pub(super) fn quantise(block: &[f32; BLOCK]) -> ([i8; BLOCK], f32) {
    // Sizes compare like their bits, and NaN has the largest ones.
    let most = f32::from_bits(block.iter().fold(0, |most, x| (x.to_bits() & i32::MAX as u32).max(most)));
    if !most.is_finite() {
        return ([0; BLOCK], f32::NAN);
    }
    if most < TINY {
        return ([0; BLOCK], 0.0);
    }
    let per_unit = MOST / most;
    let round = |x: f32| (x * per_unit + ROUND).to_bits().wrapping_sub(ROUND.to_bits()) as i8;
    (block.map(round), most / MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_within_half_a_unit() {
        let block: [f32; BLOCK] = std::array::from_fn(|i| (i as f32 - 11.3) * 0.37);
        let (rounded, scale) = quantise(&block);
        assert_eq!(rounded.iter().map(|q| q.unsigned_abs()).max(), Some(127));
        for (x, q) in block.iter().zip(rounded) {
            assert!((x - scale * f32::from(q)).abs() <= 0.5001 * scale, "{x} is {q}");
        }
    }

    #[test]
    fn zeros_stay_and_what_is_no_number_is_none() {
        assert_eq!(quantise(&[0.0; BLOCK]), ([0; BLOCK], 0.0));
        assert_eq!(quantise(&[1e-38; BLOCK]), ([0; BLOCK], 0.0));
        assert_eq!(quantise(&[-f32::MAX; BLOCK]).0, [-127; BLOCK]);
        for broken in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut block = [1.0; BLOCK];
            block[5] = broken;
            assert!(quantise(&block).1.is_nan(), "{broken}");
        }
    }
}
