//! Rows as sums of two bf16, for the tiles of AMX.

#![expect(clippy::inline_always, reason = "code under `with_simd` becomes one function")]

use pulp::{Simd, WithSimd};

use super::STEP;
use crate::cpu::simd::Cpu;

/// Holds rows `x ≈ high + low`, padded with zeros to whole steps. The sum is off by at most `2⁻¹⁶·|x|`.
pub(in crate::cpu::decode::matrix) struct Rows {
    /// `[N, wide]` each.
    pub(super) high: Vec<u16>,
    pub(super) low: Vec<u16>,
    pub(super) wide: usize,
}

impl Rows {
    /// Splits `x`, `[N, wide]`.
    pub(in crate::cpu::decode::matrix) fn new(cpu: Cpu, x: &[f32], wide: usize) -> Self {
        let (n, padded) = (x.len() / wide, wide.next_multiple_of(STEP));
        let mut rows = Self { high: vec![0; n * padded], low: vec![0; n * padded], wide: padded };
        cpu.run(Split { x, wide, rows: &mut rows });
        rows
    }
}

/// Splits rows.
struct Split<'a> {
    x: &'a [f32],
    wide: usize,
    rows: &'a mut Rows,
}

impl WithSimd for Split<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { x, wide, rows } = self;
        let (high, low) = (rows.high.chunks_exact_mut(rows.wide), rows.low.chunks_exact_mut(rows.wide));
        for ((row, high), low) in x.chunks_exact(wide).zip(high).zip(low) {
            for ((x, high), low) in row.iter().zip(high).zip(low) {
                (*high, *low) = split(*x);
            }
        }
    }
}

/// Returns the upper half of a number, and the rest rounded to bf16. One of them is NaN if the number is
/// none.
#[inline(always)]
fn split(x: f32) -> (u16, u16) {
    let high = x.to_bits() & super::HIGH;
    let rest = (x - f32::from_bits(high)).to_bits();
    // To the nearest, and to the even one of two.
    let low = rest.wrapping_add(0x7fff + (rest >> 16 & 1)) >> 16;
    ((high >> 16) as u16, low as u16)
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;

    #[test]
    fn both_parts_are_the_number_to_sixteen_bits() {
        for x in super::super::super::tests::numbers(1000, 9).into_iter().chain([0.0, 1e-30, -3e38, 1.0]) {
            let (high, low) = split(x);
            let sum = bf16::from_bits(high).to_f64() + bf16::from_bits(low).to_f64();
            assert!((sum - f64::from(x)).abs() <= f64::from(x).abs() / 65536.0, "{x}: {sum}");
        }
    }

    #[test]
    fn a_number_that_is_none_is_none_in_a_part() {
        for bits in [0x7f80_0000_u32, 0xff80_0000, 0x7f80_0001, 0x7fff_ffff, 0xffff_ffff, 0x7fc0_0000] {
            let (high, low) = split(f32::from_bits(bits));
            let parts = [high, low].map(|bits| bf16::from_bits(bits).to_f32());
            assert!(parts.iter().any(|part| !part.is_finite()), "{bits:x}");
        }
    }
}
