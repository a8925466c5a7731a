//! The gated delta rule with operations of the tensor backend, in chunks (arXiv:2412.06464 eq. 11-13).
//!
//! The fused pass of the CPU explains the letters: `cpu/fused/delta`.

use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::block::DeltaNetConfig;

/// The most tokens of a chunk: a chunk costs as many operations, and a sequence one pass per chunk.
const CHUNK: usize = 32;

/// Holds what the rule reads, in f32.
pub(crate) struct Rule<'a> {
    pub(crate) config: &'a DeltaNetConfig,
    /// Convolved queries, keys and values, `[B, T, 2·K·dk + V·dv]`.
    pub(crate) qkv: Tensor<3>,
    /// `g`, `[B, T, V]`.
    pub(crate) decays: Tensor<3>,
    /// `β`, `[B, T, V]`.
    pub(crate) rates: Tensor<3>,
    /// State before the first token, `[B, V·dk·dv]`; zeros if there is none.
    pub(crate) state: Option<Tensor<2>>,
}

/// Computes the outputs, `[B, T, V·dv]`, and the state after the last token, `[B, V·dk·dv]`.
pub(crate) fn delta_rule(rule: Rule<'_>) -> (Tensor<3>, Tensor<2>) {
    let Rule { config, qkv, decays, rates, state } = rule;
    let ([b, t, _], device) = (qkv.dims(), qkv.device());
    let &DeltaNetConfig { value_heads: heads, key_dim: deep, value_dim: wide, .. } = config;
    let (size, all) = (CHUNK.min(t), b * heads);
    let count = t.div_ceil(size);
    let cut = |x: Tensor<4>| chunks(x, size, count);
    let columns = |x: Tensor<3>| chunks(x.reshape([b, t, heads, 1]), size, count);

    let q = cut(shared(unit(part(&qkv, config, 0)), heads)).mul_scalar(config.scale());
    let k = cut(shared(unit(part(&qkv, config, 1)), heads));
    let v = cut(part(&qkv, config, 2));
    let (g, rates) = (columns(decays), columns(rates));

    let lower = triangle(size, true, &device);
    let sums = lower.clone().matmul(g.clone());
    let last = sums.clone().narrow(1, size - 1, 1);
    let hidden = lower.sub_scalar(1.0).mul_scalar(1e9);
    let between = (sums.clone() - sums.clone().swap_dims(1, 2) + hidden).exp();
    let columns = k.clone().swap_dims(1, 2);
    let slow = k.clone() * rates.clone();
    let system = slow.clone().matmul(columns.clone()) * between.clone() * triangle(size, false, &device);
    let inverse = inverse(&system, &device);
    let grown = sums.clone().exp();
    let written = inverse.clone().matmul(v * rates);
    let recalled = inverse.matmul(slow * grown.clone());
    let weights = q.clone().matmul(columns) * between;
    let (q, k) = (q * grown, k * (last.clone() - sums).exp());

    // Chunks one after the other: `[B·V, n, rows, columns]`.
    let split = |x: Tensor<3>| {
        let [_, rows, columns] = x.dims();
        x.reshape([all, count, rows, columns])
    };
    let (q, k, written, recalled, weights, last) =
        (split(q), split(k), split(written), split(recalled), split(weights), split(last.exp()));
    let mut state = match state {
        Some(state) => state.cast(DType::F32).reshape([all, deep, wide]),
        None => Tensor::zeros([all, deep, wide], (&device, DType::F32)),
    };
    let mut outputs = Vec::with_capacity(count);
    for at in 0..count {
        let of = |x: &Tensor<4>| -> Tensor<3> {
            let [_, _, rows, columns] = x.dims();
            x.clone().narrow(1, at, 1).reshape([all, rows, columns])
        };
        let corrections = of(&written) - of(&recalled).matmul(state.clone());
        outputs.push(of(&q).matmul(state.clone()) + of(&weights).matmul(corrections.clone()));
        state = state * of(&last) + of(&k).swap_dims(1, 2).matmul(corrections);
    }
    let out: Tensor<4> = Tensor::cat(outputs, 1).narrow(1, 0, t).reshape([b, heads, t, wide]);
    (out.swap_dims(1, 2).reshape([b, t, heads * wide]), state.reshape([b, heads * deep * wide]))
}

/// Returns queries (0), keys (1) or values (2), `[B, T, heads, dim]`.
fn part(qkv: &Tensor<3>, config: &DeltaNetConfig, which: usize) -> Tensor<4> {
    let ([b, t, _], keys) = (qkv.dims(), config.key_width());
    let (heads, dim) = match which {
        2 => (config.value_heads, config.value_dim),
        _ => (config.key_heads, config.key_dim),
    };
    qkv.clone().narrow(2, which * keys, heads * dim).reshape([b, t, heads, dim])
}

/// Divides every head by its length.
fn unit(x: Tensor<4>) -> Tensor<4> {
    let squares = x.clone().square().sum_dim(3).add_scalar(DeltaNetConfig::EPSILON);
    x / squares.sqrt()
}

/// Repeats every key head for the value heads that share it.
fn shared(x: Tensor<4>, heads: usize) -> Tensor<4> {
    let [b, t, keys, dim] = x.dims();
    if keys == heads {
        return x;
    }
    let x: Tensor<5> = x.reshape([b, t, keys, 1, dim]);
    x.expand([b, t, keys, heads / keys, dim]).reshape([b, t, heads, dim])
}

/// Cuts `[B, T, V, dim]` into chunks, `[B·V·n, size, dim]`, with zeros after the last token.
fn chunks(x: Tensor<4>, size: usize, count: usize) -> Tensor<3> {
    let [b, t, heads, dim] = x.dims();
    let x = x.swap_dims(1, 2);
    let x = if count * size > t {
        let zeros = Tensor::zeros([b, heads, count * size - t, dim], (&x.device(), DType::F32));
        Tensor::cat(vec![x, zeros], 2)
    } else {
        x
    };
    x.reshape([b * heads * count, size, dim])
}

/// Makes a lower triangle of ones, with or without its diagonal, `[1, size, size]`.
fn triangle(size: usize, diagonal: bool, device: &Device) -> Tensor<3> {
    let ones = (0..size).flat_map(|i| (0..size).map(move |j| f32::from(j < i || (diagonal && j == i))));
    let ones: Vec<f32> = ones.collect();
    Tensor::from_data(TensorData::new(ones, [1, size, size]), (device, DType::F32))
}

/// Computes `(I + A)⁻¹` row by row, where `A` is 0 on and above its diagonal.
///
/// # Shapes
/// - `[N, size, size]` → the same
fn inverse(system: &Tensor<3>, device: &Device) -> Tensor<3> {
    let [n, size, _] = system.dims();
    let row = |i: usize| {
        let ones: Vec<f32> = (0..size).map(|j| f32::from(i == j)).collect();
        let row = Tensor::<3>::from_data(TensorData::new(ones, [1, 1, size]), (device, DType::F32));
        row.expand([n, 1, size])
    };
    let mut solved = row(0);
    for i in 1..size {
        let factors = system.clone().narrow(1, i, 1).narrow(2, 0, i);
        let next = row(i) - factors.matmul(solved.clone());
        solved = Tensor::cat(vec![solved, next], 1);
    }
    solved
}
