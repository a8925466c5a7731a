//! `turnwise convert`: a GGUF file to a Hugging Face folder, or a folder with a separate output matrix.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};
use turnwise_gguf::{Converted, Stored, convert};
use turnwise_model::{family_of, load, save};
use turnwise_run::whole_folder;
use turnwise_trainer::backend;

use crate::progress;

#[derive(Args)]
pub(crate) struct Convert {
    /// The GGUF file; with --untied-head a model folder
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The folder to make
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Element type of the stored weights
    #[arg(long, value_name = "NAME", default_value = "f32")]
    dtype: Dtype,
    /// Write the tied output matrix of a model folder as a separate tensor: servers that get new weights
    /// from a run start from such a folder (`rollout.server.untied_head`)
    #[arg(long, conflicts_with = "dtype")]
    untied_head: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Dtype {
    F32,
    F16,
    Bf16,
}

impl Convert {
    pub(crate) fn run(self) -> Result<()> {
        if self.untied_head {
            return self.untie();
        }
        let stored = match self.dtype {
            Dtype::F32 => Stored::F32,
            Dtype::F16 => Stored::F16,
            Dtype::Bf16 => Stored::Bf16,
        };
        let mut found = None;
        whole_folder::write(&self.out, |folder| -> Result<()> {
            found = Some(convert(&self.file, folder, stored)?);
            Ok(())
        })?;
        if let Some(Converted { family, weights, tokens, template }) = found {
            let template = if template { "with" } else { "without" };
            progress::on_stderr().line(&format!(
                "{}: {family}, {:.1} million weights, {tokens} tokens, {template} a chat template",
                self.out.display(),
                weights as f64 / 1e6
            ));
        }
        Ok(())
    }

    /// Writes a model folder again, in f32.
    fn untie(&self) -> Result<()> {
        let (like, cpu) = (&self.file, backend::device(None)?);
        let model = load(like, &cpu)?.untied();
        let family = family_of(like)?;
        whole_folder::write(&self.out, |folder| {
            Ok::<_, anyhow::Error>(save(&model, family, Some(like), folder)?)
        })
    }
}
