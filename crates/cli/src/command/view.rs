//! `turnwise view`: a local page to read a run's rollouts in, or those of two runs side by side.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};
use clap::Args;
use turnwise_inspect::{Run, view::Viewer};

use crate::{output, progress};

#[derive(Args)]
pub(crate) struct View {
    /// The run directory, or a file that `turnwise rollout --out` wrote
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Another one, to compare with on the same tasks
    #[arg(value_name = "RUN2")]
    second: Option<PathBuf>,
    /// The port on 127.0.0.1 [default: a free one]
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// Open the page in the default browser
    #[arg(long)]
    open: bool,
}

impl View {
    pub(crate) fn run(self) -> Result<()> {
        let mut runs = Vec::new();
        let mut progress = progress::on_stderr();
        for folder in [Some(self.run), self.second].into_iter().flatten() {
            let run = if folder.is_file() { Run::of_conversations(&folder) } else { Run::open(&folder)? };
            let index = run.refresh(&|_, _| {})?;
            progress.line(&format!(
                "{}: {} rollouts in {} groups",
                folder.display(),
                index.rows().len(),
                index.groups()
            ));
            for bad in index.bad() {
                progress.line(&format!("{}:{}: left out: {}", bad.path.display(), bad.line, bad.message));
            }
            runs.push(run);
        }
        let viewer = Viewer::bind(runs, self.port)?;
        output::text(format!("{}\n", viewer.url()).as_bytes())?;
        if self.open {
            open(&viewer.url())?;
        }
        viewer.serve()?;
        Ok(())
    }
}

/// Opens an address in the default browser.
fn open(url: &str) -> Result<()> {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let started = Command::new(opener).arg(url).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    match started {
        Ok(_) => Ok(()),
        Err(error) => bail!("{opener}: {error}\n  hint: leave --open out and open {url} yourself"),
    }
}
