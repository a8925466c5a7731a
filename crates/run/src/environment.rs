//! Holds `env.json`: versions, device, executor and commit.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Says what a run ran with. Records of older versions lack some of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunEnvironment {
    /// Version of turnwise.
    pub version: String,
    /// Name of the device.
    pub device: String,
    /// What ran the tool calls and how well it was isolated, as the executor describes itself.
    pub executor: Value,
    /// SHA-256 of the program's file, where the system tells which one it is.
    pub program_sha256: Option<String>,
    /// The git commit of the current directory, if it lies in a repository.
    pub git_commit: Option<String>,
    /// When the run began, in seconds since 1970: the date that its prompts show, also when it goes on later.
    pub began: i64,
}

impl RunEnvironment {
    /// Returns the text of the file.
    pub(crate) fn text(&self) -> String {
        serde_json::to_string_pretty(self).expect("a record of plain values") + "\n"
    }
}
