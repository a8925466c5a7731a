//! `env.json`: versions, device, executor and commit.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Holds the environment of a run. Records of older versions lack some fields.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunEnvironment {
    /// Version of turnwise.
    pub version: String,
    /// Name of the device.
    pub device: String,
    /// The executor of tool calls and its isolation, as it describes itself.
    pub executor: Value,
    /// SHA-256 of the program's file, if the system names it.
    pub program_sha256: Option<String>,
    /// The git commit of the current directory, if it lies in a repository.
    pub git_commit: Option<String>,
    /// Start of the run in seconds since 1970: the date that its prompts show, even after a resume.
    pub began: i64,
}

impl RunEnvironment {
    /// Returns the text of the file.
    pub(crate) fn text(&self) -> String {
        serde_json::to_string_pretty(self).expect("a record of plain values") + "\n"
    }
}
