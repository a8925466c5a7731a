//! The site of a run: device, commit and date.

use burn::tensor::Device;
use turnwise_rollout::chat::Moment;

/// Holds the device, commit and date of a run.
#[derive(Debug, Clone)]
pub struct RunSite {
    /// The device, without autodiff.
    pub device: Device,
    /// Its name, for the record.
    pub device_name: String,
    /// The git commit of the current directory, for the record.
    pub git_commit: Option<String>,
    /// The date that prompts show in runs that begin here.
    pub now: Moment,
    /// Bearer token of servers that sample turns.
    pub server_key: Option<String>,
}
