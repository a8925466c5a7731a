//! A line of the table of backends.

use serde::Serialize;

/// One work on one backend.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) size: String,
    pub(crate) work: &'static str,
    pub(crate) backend: String,
    /// Why there are no numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refused: Option<String>,
    /// Seconds of the first time, which compiles kernels on a GPU.
    pub(crate) first: f64,
    /// Medians of the others, in seconds.
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
    pub(crate) tokens_per_second: f64,
    /// Share of the bytes per second that a pass over memory reaches on this device: weights read once per
    /// decoding step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) share_of_bandwidth: Option<f64>,
    /// Share of the operations per second that a large product of matrices reaches: 2 per weight and token, 6
    /// with gradient.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) share_of_matrix_rate: Option<f64>,
}
