//! Products with AVX-512 VNNI: an instruction multiplies 64 bytes by 64 others and adds them up by fours.
//!
//! `pulp` doesn't have these instructions, so this file has `unsafe` code: a call of a function that is
//! compiled for them, and loads from arrays.
#![allow(unsafe_code, reason = "the instructions are found at run time, and loads are from whole arrays")]

use std::arch::x86_64::{
    __m512, __m512i, _mm512_cvtepi32_ps, _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_loadu_ps,
    _mm512_loadu_si512, _mm512_mul_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps,
    _mm512_setzero_si512, _mm512_storeu_ps,
};

use super::rows::Row;
use super::{GROUPS, LINE, LINES, Line, PANEL, Panel, Rows};
use crate::cpu::simd::{Ahead, Vnni};

/// Computes the outputs of one panel for all rows.
pub(super) fn product(_: Vnni, panel: &Panel<'_>, x: &Rows, y: &mut [f32]) {
    // SAFETY: a `Vnni` exists only on processors with these instructions.
    unsafe { all(panel, x, y) }
}

#[target_feature(enable = "avx512f,avx512vnni")]
fn all(panel: &Panel<'_>, x: &Rows, y: &mut [f32]) {
    if x.count() == 1 {
        let ahead = Ahead::of_pass(panel.lines, LINES, (0, 1));
        return tile::<1, 4, true>(panel, ahead, [x.row(0)], 0, y);
    }
    // Four rows take two passes over the panel.
    let passes = 2 * x.count().div_ceil(4);
    let (mut at, mut pass) = (0, 0);
    while at < x.count() {
        let y = &mut y[at * PANEL..];
        let rows = match x.count() - at {
            1 => {
                tile::<1, 4, false>(panel, Ahead::nothing(), [x.row(at)], 0, y);
                1
            }
            2 | 3 => {
                strip(panel, (pass, passes), [x.row(at), x.row(at + 1)], y);
                2
            }
            _ => {
                strip(panel, (pass, passes), [0, 1, 2, 3].map(|i| x.row(at + i)), y);
                4
            }
        };
        (at, pass) = (at + rows, pass + 2);
    }
}

/// Computes all outputs of a panel for `M` rows, in the two passes from `pass` on.
#[target_feature(enable = "avx512f,avx512vnni")]
#[inline]
fn strip<const M: usize>(
    panel: &Panel<'_>,
    (pass, passes): (usize, usize),
    rows: [Row<'_>; M],
    y: &mut [f32],
) {
    for column in 0..2 {
        let ahead = Ahead::of_pass(panel.lines, LINES, (pass + column, passes));
        if ahead.is_nothing() {
            tile::<M, 2, false>(panel, ahead, rows, 2 * column, y);
        } else {
            tile::<M, 2, true>(panel, ahead, rows, 2 * column, y);
        }
    }
}

/// Computes `W` lines of outputs from line `column` on, for `M` rows. `A`: whether it asks for memory.
#[target_feature(enable = "avx512f,avx512vnni")]
#[inline]
fn tile<const M: usize, const W: usize, const A: bool>(
    panel: &Panel<'_>,
    ahead: Ahead,
    rows: [Row<'_>; M],
    column: usize,
    y: &mut [f32],
) {
    let mut sums = [[_mm512_setzero_ps(); W]; M];
    let (lines, scales) = (panel.lines.as_chunks::<LINES>().0, panel.scales.as_chunks::<LINE>().0);
    let blocks = scales.len() / LINES;
    for block in 0..blocks {
        let mut whole = [[_mm512_setzero_si512(); W]; M];
        for i in 0..M {
            whole[i] = [_mm512_set1_epi32(rows[i].starts[block]); W];
        }
        for group in block * GROUPS..(block + 1) * GROUPS {
            if A {
                ahead.step(group);
            }
            let lines = &lines[group];
            for v in 0..W {
                let weights = load(&lines[column + v]);
                for i in 0..M {
                    let x = _mm512_set1_epi32(rows[i].groups[group]);
                    whole[i][v] = _mm512_dpbusd_epi32(whole[i][v], weights, x);
                }
            }
        }
        for v in 0..W {
            let scales = load_floats(&scales[block * LINES + column + v]);
            for i in 0..M {
                let scale = _mm512_mul_ps(scales, _mm512_set1_ps(rows[i].scales[block]));
                sums[i][v] = _mm512_fmadd_ps(scale, _mm512_cvtepi32_ps(whole[i][v]), sums[i][v]);
            }
        }
    }
    for i in 0..M {
        let out = y[i * PANEL..][..PANEL].as_chunks_mut::<LINE>().0;
        for v in 0..W {
            store(sums[i][v], &mut out[column + v]);
        }
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn load(line: &Line) -> __m512i {
    // SAFETY: a line has 64 bytes.
    unsafe { _mm512_loadu_si512(line.0.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn load_floats(floats: &[f32; LINE]) -> __m512 {
    // SAFETY: these are 16 numbers.
    unsafe { _mm512_loadu_ps(floats.as_ptr()) }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn store(floats: __m512, to: &mut [f32; LINE]) {
    // SAFETY: these are 16 numbers.
    unsafe { _mm512_storeu_ps(to.as_mut_ptr(), floats) }
}
