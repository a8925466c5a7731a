//! `turnwise sft`: the cold start, from demonstrations.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use turnwise_trainer::cold_start;
use turnwise_trainer::config::{SftConfig, load};

use crate::place::place;
use crate::run_file::Changes;
use crate::{evaluation_table, output, progress};

#[derive(Args)]
pub(crate) struct Sft {
    /// The file that describes the cold start
    config: PathBuf,
    /// Folder of the new model; must not exist yet
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    changes: Changes,
    /// The device; see `turnwise doctor`
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// Print the resolved config and stop
    #[arg(long)]
    dry_run: bool,
    /// Print the evaluation as JSON
    #[arg(long)]
    json: bool,
}

impl Sft {
    pub(crate) fn run(self) -> Result<()> {
        let config: SftConfig = load(Some(&self.config), &self.changes.overlay, &self.changes.set)?;
        if self.dry_run {
            return super::config::print(&config, self.json);
        }
        let mut progress = progress::on_stderr();
        let evaluation = cold_start(&config, &place(self.device.as_deref())?, &self.out, &mut *progress)?;
        drop(progress);
        evaluation_table::write(&[("after", &evaluation)]);
        progress::on_stderr().line(&format!("{}", self.out.display()));
        if self.json {
            output::line(&evaluation)?;
        }
        Ok(())
    }
}
