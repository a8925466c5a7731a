//! Sums and maxima over the units of a cube.

use cubecl::prelude::*;

/// Returns the largest of 256 values, which all units have written and waited for.
///
/// - `parts`: 16 numbers of scratch, which nobody reads any more
#[cube]
pub(super) fn largest(values: &Shared<[f32]>, parts: &mut Shared<[f32]>) -> f32 {
    let unit = UNIT_POS as usize;
    if unit < 16 {
        let mut most = values[unit * 16];
        for i in 1..16usize {
            most = max(most, values[unit * 16 + i]);
        }
        parts[unit] = most;
    }
    sync_cube();
    let mut most = parts[0];
    for i in 1..16usize {
        most = max(most, parts[i]);
    }
    most
}

/// Returns the sum of 256 values, which all units have written and waited for.
///
/// - `parts`: 16 numbers of scratch, which nobody reads any more
#[cube]
pub(super) fn total(values: &Shared<[f32]>, parts: &mut Shared<[f32]>) -> f32 {
    let unit = UNIT_POS as usize;
    if unit < 16 {
        let mut sum = values[unit * 16];
        for i in 1..16usize {
            sum += values[unit * 16 + i];
        }
        parts[unit] = sum;
    }
    sync_cube();
    let mut sum = parts[0];
    for i in 1..16usize {
        sum += parts[i];
    }
    sum
}
