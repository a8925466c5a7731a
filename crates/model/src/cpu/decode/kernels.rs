//! The arithmetic of decoding besides products of matrices.
//!
//! Every output is computed by the same operations in the same order, so a sequence's result doesn't depend
//! on its batch or on the number of threads.

/// Computes RMSNorm of each row (arXiv:1910.07467 eq. 4).
pub(super) fn norm(x: &[f32], weight: &[f32], eps: f64) -> Vec<f32> {
    let mut out = Vec::with_capacity(x.len());
    for row in x.chunks_exact(weight.len()) {
        let squares: f32 = lanes(row, |v| v * v);
        let scale = 1.0 / (squares / row.len() as f32 + eps as f32).sqrt();
        out.extend(row.iter().zip(weight).map(|(v, w)| v * scale * w));
    }
    out
}

/// Sums in eight lanes, in the same order on every processor.
fn lanes(row: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.0_f32; 8];
    let chunks = row.chunks_exact(8);
    let tail: f32 = chunks.remainder().iter().map(|&v| of(v)).sum();
    for chunk in chunks {
        for (sum, &v) in sums.iter_mut().zip(chunk) {
            *sum += of(v);
        }
    }
    sums.iter().sum::<f32>() + tail
}

/// Adds `b` to `a`.
pub(super) fn add(a: &mut [f32], b: &[f32]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
}

/// Multiplies `a` by a number.
pub(super) fn scale(a: &mut [f32], by: f32) {
    for a in a {
        *a *= by;
    }
}

/// Adds `by·b` to `a`.
pub(super) fn add_scaled(a: &mut [f32], b: &[f32], by: f64) {
    if by == 1.0 {
        return add(a, b);
    }
    let by = by as f32;
    a.iter_mut().zip(b).for_each(|(a, b)| *a += by * b);
}
