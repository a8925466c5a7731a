//! `turnwise parse`: the tool calls of a completion.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use serde::Deserialize;
use turnwise_tools::report::ParseReport;
use turnwise_tools::{FormatName, ToolSpec};

use crate::{input, output};

#[derive(Args)]
pub(crate) struct Parse {
    /// How the calls are written
    #[arg(long, value_name = "NAME")]
    format: FormatName,
    /// OpenAI-style tool schemas (a JSON array, or one object): turns on the checks that need them
    #[arg(long, value_name = "FILE")]
    tools: Option<PathBuf>,
}

/// A file of tool schemas.
#[derive(Deserialize)]
#[serde(untagged)]
enum Tools {
    Several(Vec<ToolSpec>),
    One(ToolSpec),
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
    Ok(match input::json(&path.display().to_string(), &input::file(path)?)? {
        Tools::Several(tools) => tools,
        Tools::One(tool) => vec![tool],
    })
}
