//! `turnwise parse`: the tool calls of a completion.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use clap::Args;
use turnwise_tools::report::ParseReport;
use turnwise_tools::{FormatName, ToolSpec, spec_file};

use crate::{input, output};

#[derive(Args)]
pub(crate) struct Parse {
    /// The format of the calls
    #[arg(long, value_name = "NAME")]
    format: FormatName,
    /// OpenAI-style tool schemas (a JSON array, or one object): turns on the checks that need them
    #[arg(long, value_name = "FILE")]
    tools: Option<PathBuf>,
}

impl Parse {
    pub(crate) fn run(self) -> Result<()> {
        let tools = self.tools.as_deref().map(read_tools).transpose()?;
        let completion = input::stdin()?;
        output::line(&ParseReport::new(&*self.format.build(), &completion, tools.as_deref()))?;
        Ok(())
    }
}

fn read_tools(path: &Path) -> Result<Vec<ToolSpec>> {
    let place = path.display().to_string();
    let file: serde_json::Value = input::json(&place, &input::file(path)?)?;
    spec_file::tools(&file).map_err(|error| anyhow!("{place}: {error}"))
}
