//! Asks for memory before a product reads it, so that multiplications don't wait for all of it.

#![expect(clippy::inline_always, reason = "code under `with_simd` becomes one function")]

/// Bytes of a cache line.
const LINE: usize = 64;
/// Distance within a panel that is read once.
const NEAR: usize = 4096;

/// Asks for lines of memory, some at each step of a pass over a panel.
///
/// If several passes read a panel, it comes out of memory in the first and out of the cache in the others.
/// Each pass therefore asks for its part of the next panel, and memory is busy all the time. Processors do
/// this themselves for f32 in a single pass, and not for steps with more work per byte.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ahead {
    start: *const u8,
    /// Lines at each step.
    lines: usize,
}

impl Ahead {
    /// Returns the lines of pass `at` of `passes` over a panel. A step reads `per_step` entries of it.
    #[inline(always)]
    pub(crate) fn of_pass<T>(panel: &[T], per_step: usize, (at, passes): (usize, usize)) -> Self {
        let all = (per_step * size_of::<T>()).div_ceil(LINE);
        if passes <= 1 {
            return Self { start: panel.as_ptr().cast::<u8>().wrapping_add(NEAR), lines: all };
        }
        // Later passes of many ask for nothing, before anything is divided.
        if at >= all {
            return Self::nothing();
        }
        let lines = all.div_ceil(passes);
        let lines = if at * lines < all { lines } else { 0 };
        let before = at * lines * LINE * (panel.len() / per_step);
        Self { start: panel.as_ptr_range().end.cast::<u8>().wrapping_add(before), lines }
    }

    /// Returns no lines.
    #[inline(always)]
    pub(crate) fn nothing() -> Self {
        Self { start: std::ptr::null(), lines: 0 }
    }

    /// Returns whether there are no lines.
    #[inline(always)]
    pub(crate) fn is_nothing(self) -> bool {
        self.lines == 0
    }

    /// Asks for the lines of step `k`.
    #[inline(always)]
    pub(crate) fn step(self, k: usize) {
        for line in 0..self.lines {
            prefetch(self.start.wrapping_add((k * self.lines + line) * LINE));
        }
    }
}

/// Asks for a line of memory into the second cache. Other processors than x86-64 do without.
#[inline(always)]
#[allow(unsafe_code, reason = "a hint reads nothing, and any address may be named")]
fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction is of every x86-64, and ignores addresses that can't be read.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Offsets of all lines that a pass asks for.
    fn asked(panel: &[f32], per_step: usize, pass: (usize, usize)) -> Vec<usize> {
        let ahead = Ahead::of_pass(panel, per_step, pass);
        let steps = panel.len() / per_step;
        let offset = ahead.start.addr().wrapping_sub(panel.as_ptr().addr());
        (0..steps * ahead.lines).map(|line| offset + line * LINE).collect()
    }

    #[test]
    fn passes_ask_for_the_panel_behind_and_for_each_line_once() {
        let panel = [0.0; 64 * 10];
        for passes in 2..9 {
            let mut all: Vec<usize> = (0..passes).flat_map(|at| asked(&panel, 64, (at, passes))).collect();
            all.truncate(panel.len() * 4 / LINE);
            let expect: Vec<usize> = (0..40).map(|line| panel.len() * 4 + line * LINE).collect();
            assert_eq!(all, expect, "{passes} passes");
        }
        let near: Vec<usize> = (0..40).map(|line| NEAR + line * LINE).collect();
        assert_eq!(asked(&panel, 64, (0, 1)), near, "one pass");
    }
}
