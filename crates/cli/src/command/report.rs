//! `turnwise report`: results of one or many runs as HTML and as Markdown.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use turnwise_inspect::Run;
use turnwise_inspect::report::report;

use crate::output;

#[derive(Args)]
pub(crate) struct Report {
    /// Run directories; those that differ in nothing but the seed are shown as one setting
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// The folder for report.html, report.md and its pictures
    #[arg(long, value_name = "DIR", default_value = "report")]
    out: PathBuf,
}

impl Report {
    pub(crate) fn run(self) -> Result<()> {
        let runs: Vec<Run> = self.runs.iter().map(|run| Run::open(run)).collect::<Result<_, _>>()?;
        let report = report(&runs)?;
        std::fs::create_dir_all(&self.out).with_context(|| format!("{}: cannot make", self.out.display()))?;
        for (name, picture) in report.pictures() {
            write(&self.out.join(name), picture)?;
        }
        write(&self.out.join("report.md"), &report.markdown())?;
        let page = self.out.join("report.html");
        write(&page, &report.html())?;
        output::text(format!("{}\n", page.display()).as_bytes())?;
        Ok(())
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("{}: cannot write", path.display()))
}
