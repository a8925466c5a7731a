//! Products of a few rows with a matrix: a cube computes 8 outputs of up to 8 rows, and 32 units share an
//! output. Weights are read once for all rows of a cube.

use cubecl::prelude::*;

/// Outputs of a cube.
pub(crate) const OUTPUTS: usize = 8;
/// Most rows of a cube.
pub(crate) const ROWS: usize = 8;

/// Adds the products of one row of weights with each row of `x` to this unit's sums.
///
/// # Shapes
/// - `x`: `[rows, width]`, `factors`: `[width]`, `weights`: `[outputs, stride]`, all in vectors
#[cube]
fn accumulate<W: Float, N: Size>(
    x: &[Vector<f32, N>],
    factors: &[Vector<f32, N>],
    weights: &[Vector<W, N>],
    start: usize,
    rows: usize,
    width: usize,
    sums: &mut Array<f32>,
    #[comptime] tile: usize,
    #[comptime] normed: bool,
) {
    let first = CUBE_POS_Y as usize * tile;
    let mut at = UNIT_POS as usize % 32;
    while at < width {
        let mut weight = Vector::<f32, N>::cast_from(weights[start + at]);
        if comptime!(normed) {
            weight *= factors[at];
        }
        #[unroll]
        for r in 0..tile {
            let row = min(first + r, rows - 1);
            let value = x[row * width + at];
            #[unroll]
            for k in 0..N::value() {
                sums[r] = fma(value.extract(k), weight.extract(k), sums[r]);
            }
        }
        at += 32;
    }
}

/// Computes `1 / sqrt(mean(x²) + ε)` of each row of the tile.
///
/// - `shared`: 256 numbers of scratch per row of the tile
/// - `scales`: gets one number per row of the tile, to be read after a barrier
#[cube]
fn row_scales<N: Size>(
    x: &[Vector<f32, N>],
    rows: usize,
    width: usize,
    eps: f32,
    shared: &mut Shared<[f32]>,
    scales: &mut Shared<[f32]>,
    #[comptime] tile: usize,
) {
    let unit = UNIT_POS as usize;
    let first = CUBE_POS_Y as usize * tile;
    #[unroll]
    for r in 0..tile {
        let start = min(first + r, rows - 1) * width;
        let mut sum = 0.0f32;
        let mut at = unit;
        while at < width {
            let value = x[start + at];
            #[unroll]
            for k in 0..N::value() {
                sum = fma(value.extract(k), value.extract(k), sum);
            }
            at += 256;
        }
        shared[r * 256 + unit] = sum;
    }
    sync_cube();
    // 32 units add eight numbers each, then one adds theirs.
    let row = unit / 32;
    let mut part = 0.0f32;
    if row < tile {
        for i in 0..8usize {
            part += shared[unit * 8 + i];
        }
    }
    sync_cube();
    if row < tile {
        shared[unit] = part;
    }
    sync_cube();
    if unit < tile {
        let mut sum = 0.0f32;
        for i in 0..32usize {
            sum += shared[unit * 32 + i];
        }
        let numbers = f32::cast_from((width * N::value()) as u32);
        scales[unit] = 1.0f32 / (sum / numbers + eps).sqrt();
    }
    sync_cube();
}

/// Writes this unit's sums where [`gathered`] finds them.
#[cube]
fn share(sums: &Array<f32>, shared: &mut Shared<[f32]>, #[comptime] tile: usize) {
    #[unroll]
    for r in 0..tile {
        shared[r * 256 + UNIT_POS as usize] = sums[r];
    }
}

/// Returns the whole sum of output `unit % 8` and row `unit / 8` of the tile.
#[cube]
fn gathered(shared: &Shared<[f32]>) -> f32 {
    let unit = UNIT_POS as usize;
    let start = unit / 8 * 256 + unit % 8 * 32;
    let mut sum = 0.0f32;
    for i in 0..32usize {
        sum += shared[start + i];
    }
    sum
}

/// Returns sums that begin at zero.
#[cube]
fn zeros(#[comptime] tile: usize) -> Array<f32> {
    let mut sums = Array::<f32>::new(tile);
    #[unroll]
    for r in 0..tile {
        sums[r] = 0.0f32;
    }
    sums
}

/// Computes `factor · (norm(x)·Wᵀ) + bias`, where `W` is up to three matrices below each other.
///
/// # Shapes
/// - `x`: `[rows, width]`, weights: `[outputs of each, stride]`, in vectors; `out`: `[rows, outs]`
#[cube(launch)]
pub(crate) fn project_normed<W: Float, N: Size>(
    x: &[Vector<f32, N>],
    factors: &[Vector<f32, N>],
    first_weights: &[Vector<W, N>],
    second_weights: &[Vector<W, N>],
    third_weights: &[Vector<W, N>],
    bias: &[f32],
    out: &mut [f32],
    rows: usize,
    width: usize,
    stride: usize,
    outs: usize,
    second: usize,
    third: usize,
    eps: f32,
    factor: f32,
    #[comptime] tile: usize,
    #[comptime] several: bool,
    #[comptime] biased: bool,
    #[define(W)] _dtype: ElemType,
) {
    let unit = UNIT_POS as usize;
    let mut shared = Shared::<[f32]>::new_slice(comptime!(256 * tile));
    let mut scales = Shared::<[f32]>::new_slice(tile);
    row_scales::<N>(x, rows, width, eps, &mut shared, &mut scales, tile);
    let mut sums = zeros(tile);
    // Units past the last output repeat it and write nothing.
    let output = min(CUBE_POS_X as usize * 8 + unit / 32, outs - 1);
    if comptime!(several) {
        if output < second {
            accumulate::<W, N>(
                x,
                factors,
                first_weights,
                output * stride,
                rows,
                width,
                &mut sums,
                tile,
                true,
            );
        } else if output < third {
            let start = (output - second) * stride;
            accumulate::<W, N>(x, factors, second_weights, start, rows, width, &mut sums, tile, true);
        } else {
            let start = (output - third) * stride;
            accumulate::<W, N>(x, factors, third_weights, start, rows, width, &mut sums, tile, true);
        }
    } else {
        accumulate::<W, N>(x, factors, first_weights, output * stride, rows, width, &mut sums, tile, true);
    }
    share(&sums, &mut shared, tile);
    sync_cube();
    let (output, row) = (CUBE_POS_X as usize * 8 + unit % 8, unit / 8);
    let to = CUBE_POS_Y as usize * tile + row;
    if row < tile && to < rows && output < outs {
        let mut sum = gathered(&shared) * scales[row] * factor;
        if comptime!(biased) {
            sum += bias[output];
        }
        out[to * outs + output] = sum;
    }
}

/// Computes `activation(norm(x)·Gᵀ + bias) ⊙ (norm(x)·Uᵀ + bias)`.
///
/// # Shapes
/// - `x`: `[rows, width]`, weights: `[outs, stride]` each, or `[2·outs, stride]` in the first, in vectors
/// - `bias`: `[2·outs]`, `out`: `[rows, outs]`
#[cube(launch)]
pub(crate) fn gate_up<W: Float, N: Size>(
    x: &[Vector<f32, N>],
    factors: &[Vector<f32, N>],
    gate_weights: &[Vector<W, N>],
    up_weights: &[Vector<W, N>],
    bias: &[f32],
    out: &mut [f32],
    rows: usize,
    width: usize,
    stride: usize,
    outs: usize,
    eps: f32,
    linear: f32,
    cubic: f32,
    #[comptime] tile: usize,
    #[comptime] fused: bool,
    #[comptime] biased: bool,
    #[define(W)] _dtype: ElemType,
) {
    let unit = UNIT_POS as usize;
    let mut shared = Shared::<[f32]>::new_slice(comptime!(256 * tile));
    let mut scales = Shared::<[f32]>::new_slice(tile);
    row_scales::<N>(x, rows, width, eps, &mut shared, &mut scales, tile);
    let mut gates = zeros(tile);
    let mut ups = zeros(tile);
    let output = min(CUBE_POS_X as usize * 8 + unit / 32, outs - 1);
    let start = output * stride;
    accumulate::<W, N>(x, factors, gate_weights, start, rows, width, &mut gates, tile, true);
    if comptime!(fused) {
        let start = (outs + output) * stride;
        accumulate::<W, N>(x, factors, gate_weights, start, rows, width, &mut ups, tile, true);
    } else {
        accumulate::<W, N>(x, factors, up_weights, start, rows, width, &mut ups, tile, true);
    }
    let (output, row) = (CUBE_POS_X as usize * 8 + unit % 8, unit / 8);
    let to = CUBE_POS_Y as usize * tile + row;
    let writes = row < tile && to < rows && output < outs;
    share(&gates, &mut shared, tile);
    sync_cube();
    let mut gate = 0.0f32;
    if writes {
        gate = gathered(&shared) * scales[row];
    }
    sync_cube();
    share(&ups, &mut shared, tile);
    sync_cube();
    if writes {
        let mut up = gathered(&shared) * scales[row];
        if comptime!(biased) {
            gate += bias[output];
            up += bias[outs + output];
        }
        let inner = gate * (linear + cubic * gate * gate);
        out[to * outs + output] = gate / (1.0f32 + (0.0f32 - inner).exp()) * up;
    }
}

/// Computes `out += by · (x·Wᵀ + bias)`.
///
/// # Shapes
/// - `x`: `[rows, width]`, `weights`: `[outs, stride]`, in vectors; `out`: `[rows, outs]`
#[cube(launch)]
pub(crate) fn project_added<W: Float, N: Size>(
    x: &[Vector<f32, N>],
    weights: &[Vector<W, N>],
    bias: &[f32],
    out: &mut [f32],
    rows: usize,
    width: usize,
    stride: usize,
    outs: usize,
    by: f32,
    #[comptime] tile: usize,
    #[comptime] biased: bool,
    #[define(W)] _dtype: ElemType,
) {
    let unit = UNIT_POS as usize;
    let mut shared = Shared::<[f32]>::new_slice(comptime!(256 * tile));
    let mut sums = zeros(tile);
    let output = min(CUBE_POS_X as usize * 8 + unit / 32, outs - 1);
    accumulate::<W, N>(x, x, weights, output * stride, rows, width, &mut sums, tile, false);
    share(&sums, &mut shared, tile);
    sync_cube();
    let (output, row) = (CUBE_POS_X as usize * 8 + unit % 8, unit / 8);
    let to = CUBE_POS_Y as usize * tile + row;
    if row < tile && to < rows && output < outs {
        let mut sum = gathered(&shared);
        if comptime!(biased) {
            sum += bias[output];
        }
        out[to * outs + output] = fma(sum, by, out[to * outs + output]);
    }
}
