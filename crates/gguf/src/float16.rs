//! Reads the 16-bit floats that blocks hold their scales in.

use half::f16;

/// Reads the 16-bit float at a byte.
pub(crate) fn float16(bytes: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}
