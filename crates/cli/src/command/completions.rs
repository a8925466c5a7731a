//! `turnwise completions`: scripts with which a shell completes commands and options.

use anyhow::Result;
use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use crate::{Cli, output};

#[derive(Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> Result<()> {
        let mut script = Vec::new();
        generate(self.shell, &mut Cli::command(), "turnwise", &mut script);
        output::text(&script)?;
        Ok(())
    }
}
