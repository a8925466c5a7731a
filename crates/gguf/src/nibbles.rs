//! Numbers of four bits, two to a byte.

/// Appends the 32 numbers of 16 bytes: first all the low halves, then all the high ones.
pub(crate) fn nibbles(bytes: &[u8], out: &mut Vec<f32>, value: impl Fn(u8, usize) -> f32) {
    out.extend(bytes.iter().enumerate().map(|(at, byte)| value(byte & 15, at)));
    out.extend(bytes.iter().enumerate().map(|(at, byte)| value(byte >> 4, at + 16)));
}
