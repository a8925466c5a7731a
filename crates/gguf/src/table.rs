//! Types whose four bits stand for the numbers of a table.

use crate::float16::float16;
use crate::nibbles::nibbles;

/// Steps of the `IQ4` types, closer together around 0.
const STEPS: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
/// Twice the numbers of a 4-bit float with two bits of exponent and one of mantissa.
const FLOATS: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

fn from_table(table: &[i8; 16], scale: f32, bytes: &[u8], out: &mut Vec<f32>) {
    nibbles(bytes, out, |nibble, _| scale * f32::from(table[usize::from(nibble)]));
}

pub(crate) fn iq4_nl(block: &[u8], out: &mut Vec<f32>) {
    from_table(&STEPS, float16(block, 0), &block[2..], out);
}

pub(crate) fn iq4_xs(block: &[u8], out: &mut Vec<f32>) {
    let (d, high) = (float16(block, 0), u16::from_le_bytes([block[2], block[3]]));
    for (s, quants) in block[8..].chunks_exact(16).enumerate() {
        // Six bits of scale: four in a half of a byte, two in the word before them.
        let four = (block[4 + s / 2] >> (4 * (s % 2))) & 15;
        let two = ((high >> (2 * s)) & 3) as u8;
        from_table(&STEPS, d * (f32::from(four | (two << 4)) - 32.0), quants, out);
    }
}

pub(crate) fn mxfp4(block: &[u8], out: &mut Vec<f32>) {
    // Half of 2^(e - 127), because the table holds doubles; the two least are subnormal.
    let e = u32::from(block[0]);
    let bits = if e < 2 { 0x0020_0000 << e } else { (e - 1) << 23 };
    from_table(&FLOATS, f32::from_bits(bits), &block[1..], out);
}
