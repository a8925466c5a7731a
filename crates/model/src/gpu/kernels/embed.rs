//! The input embedding.

use cubecl::prelude::*;

/// Copies the row of each token.
///
/// # Shapes
/// - `weights`: `[V, stride]`, `out`: `[rows, width]`; a cube takes 256 numbers of a row
#[cube(launch)]
pub(crate) fn embed<W: Float>(
    weights: &[W],
    steps: &[u32],
    out: &mut [f32],
    width: usize,
    stride: usize,
    scale: f32,
    #[define(W)] _dtype: ElemType,
) {
    let at = CUBE_POS_X as usize * 256 + UNIT_POS as usize;
    let row = CUBE_POS_Y as usize;
    if at < width {
        let token = steps[row * 5] as usize;
        out[row * width + at] = f32::cast_from(weights[token * stride + at]) * scale;
    }
}
