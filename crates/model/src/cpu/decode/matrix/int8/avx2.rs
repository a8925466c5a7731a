//! Products with AVX2, which multiplies bytes by pairs.

#![expect(clippy::inline_always, reason = "code under `vectorize` becomes one function")]

use std::arch::x86_64::{__m256, __m256i};

use pulp::NullaryFnOnce;
use pulp::x86::V3;

use super::rows::Row;
use super::{GROUPS, LINE, LINES, PANEL, Panel, Rows};

/// Outputs of a vector.
const LANES: usize = 8;

/// Computes the outputs of one panel for all rows.
pub(super) fn product(simd: V3, panel: &Panel<'_>, x: &Rows, y: &mut [f32]) {
    simd.vectorize(Product { simd, panel, x, y });
}

struct Product<'a> {
    simd: V3,
    panel: &'a Panel<'a>,
    x: &'a Rows,
    y: &'a mut [f32],
}

impl NullaryFnOnce for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { simd, panel, x, y } = self;
        for (pair, y) in y.chunks_mut(2 * PANEL).enumerate() {
            let at = 2 * pair;
            for column in (0..PANEL / LANES).step_by(2) {
                if y.len() == PANEL {
                    tile(simd, panel, [x.row(at)], column, y);
                } else {
                    tile(simd, panel, [x.row(at), x.row(at + 1)], column, y);
                }
            }
        }
    }
}

/// Computes two vectors of outputs from vector `column` on, for `M` rows.
#[inline(always)]
fn tile<const M: usize>(simd: V3, panel: &Panel<'_>, rows: [Row<'_>; M], column: usize, y: &mut [f32]) {
    let (avx, avx2) = (simd.avx, simd.avx2);
    let (ones, sign) = (avx._mm256_set1_epi16(1), avx._mm256_set1_epi8(i8::MIN));
    let mut sums = [[avx._mm256_setzero_ps(); 2]; M];
    for block in 0..panel.scales.len() / PANEL {
        let mut whole = [[avx._mm256_setzero_si256(); 2]; M];
        for group in block * GROUPS..(block + 1) * GROUPS {
            // Sixteen outputs are a line, so two vectors are one.
            let line = &panel.lines[group * LINES + column * LANES / LINE].0;
            for (v, weights) in line.as_chunks::<32>().0.iter().enumerate() {
                let weights: __m256i = pulp::cast(*weights);
                let weights = avx2._mm256_xor_si256(weights, sign);
                for i in 0..M {
                    let x = avx._mm256_set1_epi32(rows[i].groups[group]);
                    // |x|·(w with the sign of x): at most 2·127², which 16 bits hold.
                    let signed = avx2._mm256_sign_epi8(weights, x);
                    let pairs = avx2._mm256_maddubs_epi16(avx2._mm256_abs_epi8(x), signed);
                    let fours = avx2._mm256_madd_epi16(pairs, ones);
                    whole[i][v] = avx2._mm256_add_epi32(whole[i][v], fours);
                }
            }
        }
        let scales = panel.scales[block * PANEL + column * LANES..][..2 * LANES].as_chunks::<LANES>().0;
        for (v, scales) in scales.iter().enumerate() {
            let scales: __m256 = pulp::cast(*scales);
            for i in 0..M {
                let scale = avx._mm256_mul_ps(scales, avx._mm256_set1_ps(rows[i].scales[block]));
                let sum = avx._mm256_cvtepi32_ps(whole[i][v]);
                sums[i][v] = simd.fma._mm256_fmadd_ps(scale, sum, sums[i][v]);
            }
        }
    }
    for (i, sums) in sums.into_iter().enumerate() {
        let out: [f32; 2 * LANES] = pulp::cast(sums);
        y[i * PANEL + column * LANES..][..2 * LANES].copy_from_slice(&out);
    }
}
