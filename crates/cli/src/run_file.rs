//! The arguments that name a config.

use std::path::PathBuf;

use clap::Args;

/// Holds layers over a config file.
#[derive(Args)]
pub(crate) struct Changes {
    /// Another TOML file whose keys replace those of the config; may be given more than once
    #[arg(long, value_name = "FILE")]
    pub(crate) overlay: Vec<PathBuf>,
    /// A key and its value, for example advantage.gtpo.gamma=1.0 or advantage=grpo_min; may be given more
    /// than once
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}
