//! `turnwise config`: a config with every default, overlay and `--set` in its place.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde::de::DeserializeOwned;
use turnwise_trainer::config::{Consistent, RunConfig, SftConfig, load, load_score, to_toml};

use crate::failure::Usage;
use crate::output;
use crate::run_file::Changes;

const TRAIN_SCHEMA: &str = include_str!("../../../../docs/config.schema.json");
const SFT_SCHEMA: &str = include_str!("../../../../docs/sft.schema.json");

#[derive(Args)]
pub(crate) struct Config {
    /// The TOML file
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The command that the file is for
    #[arg(long = "for", value_name = "COMMAND", default_value = "train")]
    kind: Kind,
    #[command(flatten)]
    changes: Changes,
    /// Print JSON instead of TOML
    #[arg(long)]
    json: bool,
    /// Print the JSON schema of such files, for editors, and nothing else
    #[arg(long, conflicts_with_all = ["file", "json"])]
    schema: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Train,
    Sft,
    Score,
}

impl Config {
    pub(crate) fn run(self) -> Result<()> {
        match self.kind {
            Kind::Train if self.schema => Ok(output::text(TRAIN_SCHEMA.as_bytes())?),
            Kind::Sft if self.schema => Ok(output::text(SFT_SCHEMA.as_bytes())?),
            Kind::Score if self.schema => {
                bail!(Usage("--schema: there is one for train and one for sft\n  hint: a file for score is part of one for train".into()))
            }
            Kind::Train => print(&self.load::<RunConfig>()?, self.json),
            Kind::Sft => print(&self.load::<SftConfig>()?, self.json),
            Kind::Score => {
                print(&load_score(self.file.as_deref(), &self.changes.overlay, &self.changes.set)?, self.json)
            }
        }
    }

    fn load<C: DeserializeOwned + Consistent>(&self) -> Result<C> {
        Ok(load(self.file.as_deref(), &self.changes.overlay, &self.changes.set)?)
    }
}

/// Prints a resolved config to stdout.
pub(super) fn print(config: &impl Serialize, json: bool) -> Result<()> {
    if json {
        output::line(config)?;
    } else {
        output::text(to_toml(config).as_bytes())?;
    }
    Ok(())
}
