//! Causal convolution of each channel, with operations of the tensor backend.

use burn::tensor::{DType, Int, Tensor, TensorData};

/// Convolves rows that continue those of a state. Returns the state and the rows together, and the results.
///
/// # Shapes
/// - `rows`: `[B, T, channels]`, `state`: `[B, (taps - 1)·channels]`, zeros if there is none, `weight`:
///   `[channels, taps]` → `[B, taps - 1 + T, channels]`, `[B, T, channels]`
pub(crate) fn convolve(
    rows: Tensor<3>,
    state: Option<Tensor<2>>,
    weight: &Tensor<2>,
) -> (Tensor<3>, Tensor<3>) {
    let ([b, t, channels], [_, taps]) = (rows.dims(), weight.dims());
    let before = [b, taps - 1, channels];
    let all = if taps == 1 {
        rows
    } else {
        let before = match state {
            Some(state) => state.cast(DType::F32).reshape(before),
            None => Tensor::zeros(before, (&rows.device(), rows.dtype())),
        };
        Tensor::cat(vec![before, rows], 1)
    };
    let tap = |k: usize| {
        let weight = weight.clone().narrow(1, k, 1).reshape([1, 1, channels]);
        all.clone().narrow(1, k, t) * weight
    };
    let mixed = (1..taps).fold(tap(0), |sum, k| sum + tap(k));
    (all, mixed)
}

/// Returns the state after the first `lengths[row]` tokens of each row.
///
/// # Shapes
/// - `all`: `[B, taps - 1 + T, channels]` → `[B, (taps - 1)·channels]`
pub(crate) fn following(all: Tensor<3>, lengths: &[usize], taps: usize) -> Tensor<2> {
    let [b, columns, channels] = all.dims();
    let cells = lengths.iter().enumerate().flat_map(|(row, length)| {
        let first = row * columns + length;
        (first..first + taps - 1).map(|cell| cell as i32)
    });
    let cells: Vec<i32> = cells.collect();
    let count = cells.len();
    let cells = Tensor::<1, Int>::from_data(TensorData::new(cells, [count]), &all.device());
    all.reshape([b * columns, channels]).select(0, cells).reshape([b, (taps - 1) * channels])
}
