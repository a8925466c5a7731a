//! Turns stored bytes into f32, in the order of operations of the reference implementation, so that the
//! results are the same to the bit.

use half::bf16;

use crate::float16::float16;
use crate::kind::Kind;
use crate::nibbles::nibbles;
use crate::super_block::{q2_k, q3_k, q4_k, q5_k, q6_k};
use crate::table::{iq4_nl, iq4_xs, mxfp4};

/// Appends the numbers of whole blocks to `out`. Bytes that fill no block are ignored.
pub fn dequantize(kind: Kind, bytes: &[u8], out: &mut Vec<f32>) {
    let one: fn(&[u8], &mut Vec<f32>) = match kind {
        Kind::F32 => |b, out| out.push(f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
        Kind::F16 => |b, out| out.push(float16(b, 0)),
        Kind::Bf16 => |b, out| out.push(bf16::from_le_bytes([b[0], b[1]]).to_f32()),
        Kind::Q4_0 => |b, out| {
            let scale = float16(b, 0);
            nibbles(&b[2..], out, |nibble, _| (f32::from(nibble) - 8.0) * scale);
        },
        Kind::Q4_1 => |b, out| {
            let (scale, least) = (float16(b, 0), float16(b, 2));
            nibbles(&b[4..], out, |nibble, _| f32::from(nibble) * scale + least);
        },
        Kind::Q5_0 => |b, out| {
            let (scale, high) = (float16(b, 0), bits(b, 2));
            nibbles(&b[6..], out, |nibble, at| (f32::from(fifth(nibble, high, at)) - 16.0) * scale);
        },
        Kind::Q5_1 => |b, out| {
            let (scale, least, high) = (float16(b, 0), float16(b, 2), bits(b, 4));
            nibbles(&b[8..], out, |nibble, at| f32::from(fifth(nibble, high, at)) * scale + least);
        },
        Kind::Q8_0 => |b, out| {
            let scale = float16(b, 0);
            out.extend(b[2..].iter().map(|&byte| f32::from(byte as i8) * scale));
        },
        Kind::Q2K => q2_k,
        Kind::Q3K => q3_k,
        Kind::Q4K => q4_k,
        Kind::Q5K => q5_k,
        Kind::Q6K => q6_k,
        Kind::Iq4Nl => iq4_nl,
        Kind::Iq4Xs => iq4_xs,
        Kind::Mxfp4 => mxfp4,
    };
    for block in bytes.chunks_exact(kind.bytes()) {
        one(block, out);
    }
}

/// The fifth bits of 32 numbers.
fn bits(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Returns four bits and the fifth of number `at`.
fn fifth(nibble: u8, high: u32, at: usize) -> u8 {
    nibble | ((((high >> at) & 1) as u8) << 4)
}
