//! Reads the k-quants: super-blocks of 256 numbers, whose sub-blocks have scales that are quantised
//! themselves.

use crate::float16::float16;

/// Scale and minimum of each of the eight sub-blocks of 32, six bits each, packed into twelve bytes.
fn scales(packed: &[u8]) -> [(f32, f32); 8] {
    std::array::from_fn(|at| {
        let (scale, least) = if at < 4 {
            (packed[at] & 63, packed[at + 4] & 63)
        } else {
            (
                (packed[at + 4] & 15) | ((packed[at - 4] >> 6) << 4),
                (packed[at + 4] >> 4) | ((packed[at] >> 6) << 4),
            )
        };
        (f32::from(scale), f32::from(least))
    })
}

/// Eight sub-blocks of 32; `quant` gives number `l` of sub-block `s`.
fn with_minimum(block: &[u8], out: &mut Vec<f32>, quant: impl Fn(usize, usize) -> u8) {
    let (d, d_min) = (float16(block, 0), float16(block, 2));
    for (s, (scale, least)) in scales(&block[4..16]).into_iter().enumerate() {
        let (scale, least) = (d * scale, d_min * least);
        out.extend((0..32).map(|l| scale * f32::from(quant(s, l)) - least));
    }
}

/// Low halves of 32 bytes are one sub-block, high halves the next.
fn nibble(quants: &[u8], s: usize, l: usize) -> u8 {
    let byte = quants[s / 2 * 32 + l];
    if s.is_multiple_of(2) { byte & 15 } else { byte >> 4 }
}

/// Number `at` of 64 bytes with two bits each: two halves of 128, and in each four runs of 32 that share
/// their bytes.
fn pair(quants: &[u8], at: usize) -> u8 {
    let (half, run, l) = (at / 128, at % 128 / 32, at % 32);
    (quants[half * 32 + l] >> (2 * run)) & 3
}

pub(crate) fn q2_k(block: &[u8], out: &mut Vec<f32>) {
    let (scales, rest) = block.split_at(16);
    let (d, d_min) = (float16(rest, 64), float16(rest, 66));
    out.extend((0..256).map(|at| {
        let scale = scales[at / 16];
        let (scale, least) = (d * f32::from(scale & 15), d_min * f32::from(scale >> 4));
        scale * f32::from(pair(rest, at)) - least
    }));
}

pub(crate) fn q3_k(block: &[u8], out: &mut Vec<f32>) {
    let (high, rest) = block.split_at(32);
    let (quants, rest) = rest.split_at(64);
    let d = float16(rest, 12);
    // Six bits for each of sixteen sub-blocks: four in eight bytes, two in the other four.
    let scale = |s: usize| {
        let four = if s < 8 { rest[s] & 15 } else { rest[s - 8] >> 4 };
        let two = (rest[8 + s % 4] >> (2 * (s / 4))) & 3;
        d * (f32::from(four | (two << 4)) - 32.0)
    };
    out.extend((0..256).map(|at| {
        // The third bit takes four off where it isn't set.
        let third = (high[at % 32] >> (at / 32)) & 1;
        scale(at / 16) * (f32::from(pair(quants, at)) - f32::from(4 * (third ^ 1)))
    }));
}

pub(crate) fn q4_k(block: &[u8], out: &mut Vec<f32>) {
    with_minimum(block, out, |s, l| nibble(&block[16..], s, l));
}

pub(crate) fn q5_k(block: &[u8], out: &mut Vec<f32>) {
    let (high, quants) = block[16..].split_at(32);
    with_minimum(block, out, |s, l| nibble(quants, s, l) | (((high[l] >> s) & 1) << 4));
}

pub(crate) fn q6_k(block: &[u8], out: &mut Vec<f32>) {
    let (low, rest) = block.split_at(128);
    let (high, rest) = rest.split_at(64);
    let d = float16(rest, 16);
    for at in 0..256 {
        // Two halves of 128; in each, four runs of 32 that share their bytes.
        let (half, run, l) = (at / 128, at % 128 / 32, at % 32);
        let byte = low[half * 64 + run % 2 * 32 + l];
        let four = if run < 2 { byte & 15 } else { byte >> 4 };
        let two = (high[half * 32 + l] >> (2 * run)) & 3;
        let scale = d * f32::from(rest[at / 16] as i8);
        out.push(scale * (f32::from(four | (two << 4)) - 32.0));
    }
}
