//! One token per row out of the logits, under the sampler's rule: a softmax in f32, and its inverse
//! cumulative distribution at the row's uniform number, in the order of the tokens.

use cubecl::prelude::*;

use super::reduce::{largest, total};

/// Logits of a tile, each of which has a maximum and a sum. A row has at most 1,024 tiles.
pub(crate) const TILE: usize = 1024;

/// Computes the maximum of each tile of the scaled logits, and the sum of exponentials less that maximum.
///
/// # Shapes
/// - `logits`: `[rows, vocabulary]`, `stats`: `[rows, tiles, 2]`; a cube takes a tile
#[cube(launch)]
pub(crate) fn summarise(logits: &[f32], steps: &[u32], stats: &mut [f32], vocabulary: usize) {
    let unit = UNIT_POS as usize;
    let (tile, row) = (CUBE_POS_X as usize, CUBE_POS_Y as usize);
    let scale = f32::reinterpret(steps[row * 5 + 4]);
    let mut values = Shared::<[f32]>::new_slice(256usize);
    let mut scratch = Shared::<[f32]>::new_slice(16usize);
    let mut sum_scratch = Shared::<[f32]>::new_slice(16usize);
    let mut most = f32::new(-3.0e38f32);
    for i in 0..4usize {
        let at = tile * 1024 + i * 256 + unit;
        if at < vocabulary {
            most = max(most, logits[row * vocabulary + at] * scale);
        }
    }
    values[unit] = most;
    sync_cube();
    let most = largest(&values, &mut scratch);
    let mut sum = 0.0f32;
    for i in 0..4usize {
        let at = tile * 1024 + i * 256 + unit;
        if at < vocabulary {
            sum += (logits[row * vocabulary + at] * scale - most).exp();
        }
    }
    values[unit] = sum;
    sync_cube();
    let sum = total(&values, &mut sum_scratch);
    if unit == 0 {
        let to = (row * CUBE_COUNT_X as usize + tile) * 2;
        stats[to] = most;
        stats[to + 1] = sum;
    }
}

/// Draws one token per row, one cube each. A negative uniform number takes the first of the likeliest.
///
/// # Shapes
/// - `drawn`: `[rows, 2]`: the token, and the bits of its log-probability
#[cube(launch)]
pub(crate) fn draw(
    logits: &[f32],
    steps: &[u32],
    stats: &[f32],
    drawn: &mut [u32],
    vocabulary: usize,
    tiles: usize,
) {
    let unit = UNIT_POS as usize;
    let row = CUBE_POS_X as usize;
    let uniform = f32::reinterpret(steps[row * 5 + 3]);
    let scale = f32::reinterpret(steps[row * 5 + 4]);
    let greedy = uniform < 0.0f32;
    let mut values = Shared::<[f32]>::new_slice(256usize);
    let mut scratch = Shared::<[f32]>::new_slice(16usize);
    let mut weights = Shared::<[f32]>::new_slice(1024usize);
    let mut most = f32::new(-3.0e38f32);
    let mut tile = unit;
    while tile < tiles {
        most = max(most, stats[(row * tiles + tile) * 2]);
        tile += 256;
    }
    values[unit] = most;
    sync_cube();
    let most = largest(&values, &mut scratch);
    let sum = weigh_tiles(stats, &mut weights, row, tiles, most, greedy);
    let mut left = uniform * sum;
    if greedy {
        left = 0.0f32;
    }
    let (tile, left) = pick(&weights, 0usize, tiles, left);
    sync_cube();
    weigh_tokens(logits, &mut weights, &mut values, row, tile, vocabulary, scale, most, greedy);
    if unit == 0 {
        let (group, left) = pick(&values, 0usize, 32usize, left);
        let (at, _left) = pick(&weights, group * 32, 32usize, left);
        let token = tile * 1024 + group * 32 + at;
        let logit = logits[row * vocabulary + token] * scale;
        drawn[row * 2] = token as u32;
        drawn[row * 2 + 1] = u32::reinterpret(logit - (sum.ln() + most));
    }
}

/// Writes the weight of each tile and returns their sum. Greedy, tiles with the maximum weigh 1 and others 0.
#[cube]
fn weigh_tiles(
    stats: &[f32],
    weights: &mut Shared<[f32]>,
    row: usize,
    tiles: usize,
    most: f32,
    greedy: bool,
) -> f32 {
    let mut tile = UNIT_POS as usize;
    while tile < tiles {
        let of = (row * tiles + tile) * 2;
        weights[tile] = stats[of + 1] * (stats[of] - most).exp();
        tile += 256;
    }
    sync_cube();
    let mut sum = 0.0f32;
    for tile in 0..tiles {
        sum += weights[tile];
    }
    sync_cube();
    if greedy {
        let mut tile = UNIT_POS as usize;
        while tile < tiles {
            weights[tile] = 0.0f32;
            if stats[(row * tiles + tile) * 2] == most {
                weights[tile] = 1.0f32;
            }
            tile += 256;
        }
    }
    sync_cube();
    sum
}

/// Writes the weight of each token of a tile, and to `groups` the sums over 32 of them.
#[cube]
fn weigh_tokens(
    logits: &[f32],
    weights: &mut Shared<[f32]>,
    groups: &mut Shared<[f32]>,
    row: usize,
    tile: usize,
    vocabulary: usize,
    scale: f32,
    most: f32,
    greedy: bool,
) {
    let unit = UNIT_POS as usize;
    for i in 0..4usize {
        let at = i * 256 + unit;
        let token = tile * 1024 + at;
        let mut weight = 0.0f32;
        if token < vocabulary {
            let logit = logits[row * vocabulary + token] * scale;
            weight = (logit - most).exp();
            if greedy {
                weight = 0.0f32;
                if logit == most {
                    weight = 1.0f32;
                }
            }
        }
        weights[at] = weight;
    }
    sync_cube();
    if unit < 32 {
        let mut group = 0.0f32;
        for i in 0..32usize {
            group += weights[unit * 32 + i];
        }
        groups[unit] = group;
    }
    sync_cube();
}

/// Returns the index of the first weight at which a sum exceeds `left`, and the part of `left` that is left
/// for it. If rounding leaves a rest past the last weight, the last one above zero gets it.
#[cube]
fn pick(weights: &Shared<[f32]>, start: usize, count: usize, left: f32) -> (usize, f32) {
    let mut rest = left;
    let mut picked = 0usize;
    let mut searching = true;
    for i in 0..count {
        if searching {
            let weight = weights[start + i];
            if weight > 0.0f32 {
                picked = i;
            }
            if rest < weight {
                searching = false;
            } else {
                rest -= weight;
            }
        }
    }
    (picked, rest)
}
