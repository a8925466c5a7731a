//! `turnwise sft`: supervised fine-tuning on conversations or on an environment's demonstrations.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use turnwise_rollout::chat::Moment;
use turnwise_runfile::Within;
use turnwise_trainer::config::{SftConfig, load};
use turnwise_trainer::{Preview, cold_start, preview};

use crate::failure::Usage;
use crate::run_file::Changes;
use crate::run_site::run_site;
use crate::{evaluation_table, output, progress, terminal};

#[derive(Args)]
pub(crate) struct Sft {
    /// The file that describes the cold start
    config: PathBuf,
    /// Folder of the new model; must not exist yet
    #[arg(long, value_name = "DIR", required_unless_present = "dry_run")]
    out: Option<PathBuf>,
    #[command(flatten)]
    changes: Changes,
    /// The device; see `turnwise doctor`
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// Print the config, counts of conversations, and one of them with its trained tokens marked; then stop
    #[arg(long)]
    dry_run: bool,
    /// Line of the conversation that is shown [default: the first that is trained on]
    #[arg(long, value_name = "LINE", requires = "dry_run", allow_negative_numbers = true)]
    #[arg(value_parser = Within::<1, 1_000_000_000>::parse::<usize>)]
    show: Option<usize>,
    /// Print the evaluation as JSON; with --dry-run, the config and then the conversation token by token
    #[arg(long)]
    json: bool,
}

/// A sequence token by token.
#[derive(Serialize)]
struct Shown<T> {
    line: usize,
    tokens: T,
}

impl Sft {
    pub(crate) fn run(self) -> Result<()> {
        let config: SftConfig = load(Some(&self.config), &self.changes.overlay, &self.changes.set)?;
        let Some(out) = self.out.as_deref().filter(|_| !self.dry_run) else {
            super::config::print(&config, self.json)?;
            return match preview(&config, Moment::now())? {
                Some(preview) => self.show(&preview),
                None if self.show.is_some() => Err(Usage("--show: the config has no data".into()).into()),
                None => Ok(()),
            };
        };
        let mut progress = progress::on_stderr();
        let learnt = cold_start(&config, &run_site(self.device.as_deref())?, out, &mut *progress)?;
        drop(progress);
        if let Some(evaluation) = &learnt.evaluation {
            evaluation_table::write(&[("after", evaluation)]);
        }
        progress::on_stderr().line(&format!("{}", out.display()));
        if self.json {
            output::line(&learnt)?;
        }
        Ok(())
    }

    /// Writes what would be trained on to stderr, and its tokens to stdout if they are wanted.
    fn show(&self, preview: &Preview) -> Result<()> {
        let sequences = preview.of_line(self.show);
        terminal::conclude(&format!("{}\n", preview.report));
        if sequences.is_empty() {
            let line = self.show.unwrap_or_default();
            let hint = "the counts say which lines are left out; a line is counted from 1";
            return Err(Usage(format!(
                "--show {line}: no conversation of that line is trained on\n  hint: {hint}"
            ))
            .into());
        }
        for sequence in sequences {
            let text = preview.marked(sequence);
            terminal::conclude(&format!("line {}, trained between ⟦ and ⟧:\n{text}\n", sequence.line));
            if self.json {
                output::line(&Shown { line: sequence.line, tokens: preview.tokens(sequence) })?;
            }
        }
        Ok(())
    }
}
