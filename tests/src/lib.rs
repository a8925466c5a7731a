//! Shared by the integration tests: the device under test and golden files.

use std::path::PathBuf;
use std::process::Command;

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

/// Runs a test that measures or changes its process in a process where no other test runs.
///
/// Starts this test program again for the test of that name. Under a runner that gives every test a
/// process, and under one that runs many in a process, the test then sees the same.
///
/// # Panics
/// If the test fails, with its output.
pub fn alone(name: &str, test: impl FnOnce()) {
    const MARK: &str = "TURNWISE_TEST_ALONE";
    if std::env::var_os(MARK).is_some_and(|alone| alone == name) {
        return test();
    }
    let program = std::env::current_exe().expect("a test program knows its file");
    let again = Command::new(program).args(["--exact", name, "--nocapture"]).env(MARK, name).output();
    let output = again.expect("a test program can be started");
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "{name}, alone: {}\n{}", output.status, said.join("\n"));
    assert!(said[0].contains("1 passed"), "no test of the name {name}: {}", said[0]);
}
