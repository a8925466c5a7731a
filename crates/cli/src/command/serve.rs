//! `turnwise serve`: an endpoint for agents that keeps the exact tokens.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Result, anyhow};
use clap::Args;
use serde_json::json;
use turnwise_model::load;
use turnwise_rollout::chat::{ChatName, Moment};
use turnwise_runfile::{Seed, Within};
use turnwise_serve::{Engine, Limits, Model, Server, Settings, Style};
use turnwise_tools::format::FormatName;
use turnwise_trainer::{ServedModel, backend};

use crate::failure::Usage;
use crate::{model_folder, output, stop, terminal};

#[derive(Args)]
pub(crate) struct Serve {
    /// A Hugging Face folder
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// The port [default: a free one]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// The name or address to listen on, which requests have to name
    #[arg(long, value_name = "H", default_value = "127.0.0.1")]
    host: String,
    /// Write every session to DIR/sessions.jsonl
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// Seed of requests without one
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    #[arg(value_parser = Seed::parse::<u64>)]
    seed: u64,
    /// The format of tool calls [default: what the folder's template writes, or hermes]
    #[arg(long, value_name = "NAME")]
    format: Option<String>,
    /// Do not describe the tools in the prompt: for a model that was trained without a description
    #[arg(long)]
    no_description: bool,
    /// Most tokens of a sequence [default: the model's context]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[arg(value_parser = Within::<2, 16_777_216>::parse::<usize>)]
    context: Option<usize>,
    /// The device; see `turnwise doctor`
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
}

/// How often a signal is looked for.
const LOOK: Duration = Duration::from_millis(20);

impl Serve {
    pub(crate) fn run(self) -> Result<()> {
        let format = self.format.as_deref().map(str::parse::<FormatName>).transpose();
        let format = format.map_err(|error| Usage(error.to_string()))?;
        let device = backend::device(self.device.as_deref())?;
        let tokenizer = model_folder::tokenizer(&self.model)?;
        let ends = model_folder::end_tokens(&self.model)?;
        let style = Style { chat: ChatName::Auto, format, describe: !self.no_description };
        let text = Model::open(&self.model, tokenizer, ends, style, Moment::now())?;
        let engine =
            ServedModel::start(&load(&self.model, &device)?, self.context).map_err(|error| anyhow!(error))?;
        let settings = Settings {
            host: self.host,
            port: self.port,
            seed: self.seed,
            record: self.record,
            limits: Limits::default(),
            rules: None,
        };
        if let Some(asked) = self.context.filter(|asked| *asked > engine.context()) {
            let context = engine.context();
            terminal::log(&format!("--context {asked} is lowered to {context}, the model's context"));
        }
        let stopped = stop::on_signals(None)?;
        let written = text.format();
        let server = Server::bind(text, Arc::new(engine), settings)?;
        output::line(&json!({"url": server.url()}))?;
        terminal::log(&format!("calls are written as {written}"));
        let ended = server.serve(async {
            while !stopped.load(Ordering::Relaxed) {
                turnwise_serve::sleep(LOOK).await;
            }
        })?;
        terminal::log(&format!(
            "{} sessions, {} calls, {} of them with a changed answer in their history",
            ended.sessions, ended.calls, ended.diverged
        ));
        Ok(())
    }
}
