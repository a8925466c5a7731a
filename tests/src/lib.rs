//! What the integration tests share: the device under test and golden files.

use std::path::PathBuf;

use burn::tensor::{Device, Tensor};

/// The device under test: `TURNWISE_TEST_DEVICE`, else the CPU backend.
pub fn device() -> Device {
    let name = std::env::var("TURNWISE_TEST_DEVICE").ok();
    turnwise_trainer::backend::device(Some(name.as_deref().unwrap_or("flex"))).expect("the device under test")
}

/// A path below `tests/golden`.
pub fn golden(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(path)
}

/// A committed model folder.
pub fn model_folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../models").join(name)
}

/// Values of a tensor, row by row.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("an f32 tensor")
}

/// Largest absolute difference.
///
/// # Panics
/// If the lengths differ.
pub fn max_abs_diff(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "compared values have the same shape");
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}
