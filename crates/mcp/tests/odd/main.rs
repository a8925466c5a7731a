//! A server in plain Python that lies, breaks down and takes its time, and the trajectories that call it.

mod arrival;
mod faults;

use std::path::PathBuf;

use turnwise_mcp::{Address, McpConfig};

/// The command of the server.
fn odd(arguments: &[&str]) -> McpConfig {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/servers/odd.py");
    let command = ["python3", script.to_str().expect("a path of text")];
    let command = command.iter().chain(arguments).map(ToString::to_string).collect();
    McpConfig::new(Address::Command(command))
}
