//! Norm and rotation of one head.

use cubecl::prelude::*;

/// Describes the heads of a layer to its kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Heads {
    /// Query heads, `H`.
    pub(crate) query: usize,
    /// Key/value heads, `K`.
    pub(crate) key_value: usize,
    /// Size of a head, `D`, at most 256.
    pub(crate) dim: usize,
    /// Pairs of numbers that are rotated.
    pub(crate) pairs: usize,
    /// Whether a pair is two neighbours.
    pub(crate) interleaved: bool,
    /// Whether each head of q and k has a norm.
    pub(crate) normed: bool,
    /// Tokens that a query sees; 0 means all.
    pub(crate) window: usize,
    /// Numbers of a vector in the cache, which divides `dim`.
    pub(crate) vector: usize,
}

/// Returns the factor that normalises a head, 1 without a norm.
#[cube]
pub(super) fn head_scale(raw: &Shared<[f32]>, eps: f32, #[comptime] heads: Heads) -> f32 {
    let mut scale = 1.0f32;
    if comptime!(heads.normed) {
        let mut sum = 0.0f32;
        for at in 0..comptime!(heads.dim) {
            sum = fma(raw[at], raw[at], sum);
        }
        scale = 1.0f32 / (sum / comptime!(heads.dim as f32) + eps).sqrt();
    }
    scale
}

/// Returns a number of a head after its norm.
#[cube]
fn normed(raw: &Shared<[f32]>, norm: &[f32], scale: f32, at: usize, #[comptime] heads: Heads) -> f32 {
    let mut value = raw[at];
    if comptime!(heads.normed) {
        value = value * scale * norm[at];
    }
    value
}

/// Returns a number of a head after its norm and rotation. Interleaved pairs are moved apart, in queries and
/// keys alike, as in Burn's graph.
///
/// # Shapes
/// - `table`: a row of a position, `pairs` cosines, `pairs` sines, and the factor of queries
#[cube]
pub(super) fn rotated(
    raw: &Shared<[f32]>,
    norm: &[f32],
    scale: f32,
    table: &[f32],
    row: usize,
    at: usize,
    #[comptime] heads: Heads,
) -> f32 {
    let mut value = normed(raw, norm, scale, at, heads);
    let pairs = comptime!(heads.pairs);
    if comptime!(heads.pairs > 0) {
        if at < comptime!(2 * heads.pairs) {
            let pair = at % pairs;
            let mut first = pair;
            let mut second = pair + pairs;
            if comptime!(heads.interleaved) {
                first = 2 * pair;
                second = 2 * pair + 1;
            }
            let a = normed(raw, norm, scale, first, heads);
            let b = normed(raw, norm, scale, second, heads);
            let (cos, sin) = (table[row + pair], table[row + pairs + pair]);
            if at < pairs {
                value = a * cos - b * sin;
            } else {
                value = b * cos + a * sin;
            }
        }
    }
    value
}
