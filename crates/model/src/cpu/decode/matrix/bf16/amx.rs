//! Products with weights in bf16 by the tiles of AMX.
//!
//! A tile of weights is 16 outputs by 32 inputs, and an instruction multiplies it with the same inputs of up
//! to 16 rows. Rows are [split](super::split) into two bf16, and both products go to the same sum. The order
//! of a row's sum doesn't depend on the rows beside it.

use super::split::Rows;
use super::{PANEL, STEP};
use crate::cpu::simd::{TILE_ROWS, Tiles, Walk};

/// Computes the outputs of one panel, `[in / 2, PANEL]` pairs, for all rows.
pub(in crate::cpu::decode::matrix) fn product(tiles: Tiles, panel: &[u32], rows: &Rows, y: &mut [f32]) {
    let steps = rows.wide / STEP;
    assert_eq!(panel.len(), steps * STEP / 2 * PANEL, "a panel has whole steps");
    let (high, low) = (rows.high.chunks(TILE_ROWS * rows.wide), rows.low.chunks(TILE_ROWS * rows.wide));
    for ((high, low), out) in high.zip(low).zip(y.chunks_mut(TILE_ROWS * PANEL)) {
        Tiles::multiply(tiles, Walk { high, low, weights: panel, steps, out });
    }
}
