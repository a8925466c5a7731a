//! Attention of one token per sequence: norms and rotation, the write of its key and value, and the softmax
//! over all that it sees (arXiv:1805.02867), in one launch.

use cubecl::prelude::*;

use super::reduce::{largest, total};
pub(crate) use super::rotate::Heads;
use super::rotate::{head_scale, rotated};

/// Attends with one query head of one row per cube.
///
/// # Shapes
/// - `qkv`: `[rows, (H + 2·K)·D]`, `table`: `[positions, 2·pairs + 1]`, `out`: `[rows, H·D]`
/// - `keys`, `values`: `[slots·capacity, stride]`, in vectors; the first head of a group writes them
#[cube(launch)]
pub(crate) fn attend<C: Float, N: Size>(
    qkv: &[f32],
    q_norm: &[f32],
    k_norm: &[f32],
    table: &[f32],
    steps: &[u32],
    keys: &mut [Vector<C, N>],
    values: &mut [Vector<C, N>],
    out: &mut [f32],
    capacity: usize,
    stride: usize,
    eps: f32,
    scale: f32,
    #[comptime] heads: Heads,
    #[define(C)] _dtype: ElemType,
) {
    let unit = UNIT_POS as usize;
    let (head, row) = (CUBE_POS_X as usize, CUBE_POS_Y as usize);
    let group = head / comptime!(heads.query / heads.key_value);
    let dim = comptime!(heads.dim);
    let vectors = comptime!(heads.dim / heads.vector);
    let start = row * comptime!((heads.query + 2 * heads.key_value) * heads.dim);
    let new_value = start + comptime!((heads.query + heads.key_value) * heads.dim) + group * dim;
    let position = steps[row * 5 + 2] as usize;
    // Row of the cache that holds the sequence's first token.
    let first = steps[row * 5 + 1] as usize * capacity;

    let mut raw_query = Shared::<[f32]>::new_slice(dim);
    let mut raw_key = Shared::<[f32]>::new_slice(dim);
    let mut query = Shared::<[f32]>::new_slice(dim);
    let mut key = Shared::<[f32]>::new_slice(dim);
    if unit < dim {
        raw_query[unit] = qkv[start + head * dim + unit];
        raw_key[unit] = qkv[start + comptime!(heads.query * heads.dim) + group * dim + unit];
    }
    sync_cube();
    let turn = position * comptime!(2 * heads.pairs + 1);
    let query_scale = head_scale(&raw_query, eps, heads);
    let key_scale = head_scale(&raw_key, eps, heads);
    if unit < dim {
        let by = scale * table[turn + comptime!(2 * heads.pairs)];
        query[unit] = rotated(&raw_query, q_norm, query_scale, table, turn, unit, heads) * by;
        key[unit] = rotated(&raw_key, k_norm, key_scale, table, turn, unit, heads);
    }
    sync_cube();
    if unit < vectors && head % comptime!(heads.query / heads.key_value) == 0 {
        let to = (first + position) * stride + group * vectors + unit;
        let mut new_keys = Vector::<f32, N>::empty();
        let mut new_values = Vector::<f32, N>::empty();
        #[unroll]
        for i in 0..N::value() {
            new_keys.insert(i, key[unit * N::value() + i]);
            new_values.insert(i, qkv[new_value + unit * N::value() + i]);
        }
        keys[to] = Vector::cast_from(new_keys);
        values[to] = Vector::cast_from(new_values);
    }
    let place = first * stride + group * vectors;
    weigh::<C, N>(qkv, new_value, &query, &key, &*keys, &*values, out, place, stride, position, heads);
}

/// Computes the softmax over the keys of a sequence, and the sum of its values that it weighs.
///
/// The new token is taken from `key` and `qkv`, because other cubes may read the cache before it is written.
#[cube]
fn weigh<C: Float, N: Size>(
    qkv: &[f32],
    new_value: usize,
    query: &Shared<[f32]>,
    key: &Shared<[f32]>,
    keys: &[Vector<C, N>],
    values: &[Vector<C, N>],
    out: &mut [f32],
    place: usize,
    stride: usize,
    position: usize,
    #[comptime] heads: Heads,
) {
    let unit = UNIT_POS as usize;
    let dim = comptime!(heads.dim);
    let vectors = comptime!(heads.dim / heads.vector);
    let (lane, part) = (unit % vectors, unit / vectors);
    let mut weights = Shared::<[f32]>::new_slice(256usize);
    let mut scratch = Shared::<[f32]>::new_slice(16usize);
    let mut sum_scratch = Shared::<[f32]>::new_slice(16usize);

    let mut most = 0.0f32;
    for at in 0..dim {
        most = fma(query[at], key[at], most);
    }
    let mut sum = 1.0f32;
    let mut sums = Array::<f32>::new(heads.vector);
    #[unroll]
    for i in 0..N::value() {
        sums[i] = 0.0f32;
        if part == 0 {
            sums[i] = qkv[new_value + lane * N::value() + i];
        }
    }

    let mut begin = 0usize;
    if comptime!(heads.window > 0) {
        if position + 1 > comptime!(heads.window) {
            begin = position + 1 - comptime!(heads.window);
        }
    }
    while begin < position {
        let at = begin + unit;
        let mut score = f32::new(-1.0e30f32);
        if at < position {
            score = product::<C, N>(query, keys, place + at * stride, heads);
        }
        weights[unit] = score;
        sync_cube();
        let higher = max(most, largest(&weights, &mut scratch));
        let keep = (most - higher).exp();
        let mut weight = 0.0f32;
        if at < position {
            weight = (score - higher).exp();
        }
        weights[unit] = weight;
        sync_cube();
        sum = fma(sum, keep, total(&weights, &mut sum_scratch));
        most = higher;
        #[unroll]
        for i in 0..N::value() {
            sums[i] *= keep;
        }
        let count = min(position - begin, 256usize);
        add_values::<C, N>(values, &weights, &mut sums, place + begin * stride, stride, count, heads);
        sync_cube();
        begin += 256;
    }

    write_sums::<N>(&sums, sum, out, heads);
}

/// Adds the weighed values of a block of keys to this unit's sums. Units share the keys out.
#[cube]
fn add_values<C: Float, N: Size>(
    values: &[Vector<C, N>],
    weights: &Shared<[f32]>,
    sums: &mut Array<f32>,
    start: usize,
    stride: usize,
    count: usize,
    #[comptime] heads: Heads,
) {
    let vectors = comptime!(heads.dim / heads.vector);
    let parts = comptime!(256 / (heads.dim / heads.vector));
    let (lane, part) = (UNIT_POS as usize % vectors, UNIT_POS as usize / vectors);
    if part < parts {
        let mut seen = part;
        while seen < count {
            let value = Vector::<f32, N>::cast_from(values[start + seen * stride + lane]);
            #[unroll]
            for i in 0..N::value() {
                sums[i] = fma(weights[seen], value.extract(i), sums[i]);
            }
            seen += parts;
        }
    }
}

/// Adds up the sums of all units and writes the head's output.
#[cube]
fn write_sums<N: Size>(sums: &Array<f32>, sum: f32, out: &mut [f32], #[comptime] heads: Heads) {
    let unit = UNIT_POS as usize;
    let dim = comptime!(heads.dim);
    let vectors = comptime!(heads.dim / heads.vector);
    let parts = comptime!(256 / (heads.dim / heads.vector));
    let (lane, part) = (unit % vectors, unit / vectors);
    let mut gathered = Shared::<[f32]>::new_slice(comptime!(256 / (heads.dim / heads.vector) * heads.dim));
    if part < parts {
        #[unroll]
        for i in 0..N::value() {
            gathered[part * dim + lane * N::value() + i] = sums[i];
        }
    }
    sync_cube();
    if unit < dim {
        let mut value = 0.0f32;
        for i in 0..parts {
            value += gathered[i * dim + unit];
        }
        let to = CUBE_POS_Y as usize * comptime!(heads.query) + CUBE_POS_X as usize;
        out[to * dim + unit] = value / sum;
    }
}

/// Returns the product of the query with one key of the cache.
#[cube]
fn product<C: Float, N: Size>(
    query: &Shared<[f32]>,
    keys: &[Vector<C, N>],
    start: usize,
    #[comptime] heads: Heads,
) -> f32 {
    let mut sum = 0.0f32;
    for vector in 0..comptime!(heads.dim / heads.vector) {
        let key = Vector::<f32, N>::cast_from(keys[start + vector]);
        #[unroll]
        for i in 0..N::value() {
            sum = fma(query[vector * N::value() + i], key.extract(i), sum);
        }
    }
    sum
}
