//! Products on processors without instructions for bytes.

#![expect(clippy::inline_always, reason = "code under `with_simd` becomes one function")]

use pulp::{Simd, WithSimd};

use super::{GROUP, GROUPS, LINE, LINES, PANEL, Panel, Rows};

/// Computes the outputs of one panel for all rows.
pub(super) struct Product<'a> {
    pub(super) panel: &'a Panel<'a>,
    pub(super) x: &'a Rows,
    pub(super) y: &'a mut [f32],
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { panel, x, y } = self;
        for (at, y) in y.chunks_exact_mut(PANEL).enumerate() {
            let row = x.row(at);
            y.fill(0.0);
            let blocks = panel.lines.chunks_exact(GROUPS * LINES).zip(panel.scales.chunks_exact(PANEL));
            for (block, (lines, scales)) in blocks.enumerate() {
                let mut sums = [row.starts[block]; PANEL];
                let groups = &row.groups[block * GROUPS..][..GROUPS];
                for (lines, group) in lines.chunks_exact(LINES).zip(groups) {
                    let x = group.to_le_bytes().map(|byte| i32::from(byte as i8));
                    for (sums, line) in sums.chunks_exact_mut(LINE).zip(lines) {
                        for (sum, w) in sums.iter_mut().zip(line.0.as_chunks::<GROUP>().0) {
                            for (w, x) in w.iter().zip(x) {
                                *sum += i32::from(*w) * x;
                            }
                        }
                    }
                }
                for ((y, sum), scale) in y.iter_mut().zip(sums).zip(scales) {
                    *y = (scale * row.scales[block]).mul_add(sum as f32, *y);
                }
            }
        }
    }
}
