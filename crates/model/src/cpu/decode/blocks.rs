//! Blocks of rows that threads work on separately while a prompt is read.

use rayon::prelude::*;

/// Rows that share each reading of the weights at least.
const LEAST: usize = 48;
/// Rows of a block at most: what a product reads of them stays in a core's cache.
const MOST: usize = 128;

/// Returns the tokens that go through the layers together.
pub(super) fn rows_at_once() -> usize {
    MOST * rayon::current_num_threads()
}

/// Returns the rows of a block, so that each thread has one.
pub(super) fn block_of(rows: usize) -> usize {
    rows.div_ceil(rayon::current_num_threads()).max(LEAST)
}

/// Runs `work` on pieces of two slices, which have `size` entries each.
pub(super) fn each_block(x: &mut [f32], y: &[f32], size: usize, work: impl Fn(&mut [f32], &[f32]) + Sync) {
    if x.len() <= size {
        return work(x, y);
    }
    x.par_chunks_mut(size).zip(y.par_chunks(size)).for_each(|(x, y)| work(x, y));
}

/// Returns what `work` makes of pieces of `size` entries, one after the other.
pub(super) fn map_blocks(
    x: &[f32],
    size: usize,
    work: impl Fn(&[f32]) -> Vec<f32> + Send + Sync,
) -> Vec<f32> {
    if x.len() <= size {
        return work(x);
    }
    x.par_chunks(size).map(&work).collect::<Vec<_>>().concat()
}
