//! Reads files and their numbers for records.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

pub(crate) fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("{}: cannot read", path.display()))
}

pub(crate) fn number(of: &Value, key: &str) -> Result<f64> {
    of[key].as_f64().with_context(|| format!("{key} is no number: {}", of[key]))
}

/// Rounds to four decimal places. A share of 128 trajectories has no more.
pub(crate) fn short(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}
