//! `turnwise generate`: continues a prompt.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokenizers::Tokenizer;
use turnwise_model::{load, load_config};
use turnwise_rollout::chat::{ChatFolder, ChatFormat, ChatMl, Moment, prompt};
use turnwise_runfile::{Seed, Within};
use turnwise_sampler::{GenerationRequest, Sampling, SequenceId, StopRule};
use turnwise_trainer::{backend, generator};
use turnwise_trajectory::{Finish, Message};

use crate::{input, model_folder, output, terminal};

#[derive(Args)]
pub(crate) struct Generate {
    /// A Hugging Face folder
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    #[command(flatten)]
    prompt: Prompt,
    /// The tools on offer, for the chat template: a JSON array of OpenAI-style schemas
    #[arg(long, value_name = "FILE", requires = "messages")]
    tools: Option<PathBuf>,
    /// Most tokens to sample; fewer if the context is full before
    #[arg(long, value_name = "N", default_value_t = 256, allow_negative_numbers = true)]
    #[arg(value_parser = Within::<1, 16_777_216>::parse::<usize>)]
    max_tokens: usize,
    /// Divides the logits; 0 takes the likeliest token
    #[arg(long, value_name = "T", default_value_t = 1.0, allow_negative_numbers = true)]
    #[arg(value_parser = Within::<0, 100>::parse::<f64>)]
    temperature: f64,
    /// Seed of the sampling
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    #[arg(value_parser = Seed::parse::<u64>)]
    seed: u64,
    /// Stop when this text is complete; may be given more than once
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// Continue after tokens that end a text
    #[arg(long)]
    ignore_eos: bool,
    /// The device; see `turnwise doctor`
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// Print JSON instead of the text
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Prompt {
    /// The text to continue
    #[arg(long = "prompt", value_name = "TEXT")]
    text: Option<String>,
    /// The token ids to continue, as a JSON array; - reads it from stdin
    #[arg(long, value_name = "JSON")]
    tokens: Option<String>,
    /// The conversation to continue: a JSON array of {"role", "content"}, for the folder's chat template
    #[arg(long, value_name = "FILE")]
    messages: Option<PathBuf>,
}

#[derive(Serialize)]
struct Answer<'a> {
    prompt_tokens: &'a [u32],
    tokens: &'a [u32],
    logprobs: &'a [f32],
    /// Decoded text; none without a tokenizer.
    text: Option<String>,
    stop: Finish,
}

impl Generate {
    pub(crate) fn run(self) -> Result<()> {
        let device = backend::device(self.device.as_deref())?;
        let config = load_config(&self.model)?;
        let needs_text = self.prompt.tokens.is_none() || !self.stop.is_empty() || !self.json;
        let has_tokenizer = self.model.join("tokenizer.json").is_file();
        let tokenizer =
            (needs_text || has_tokenizer).then(|| model_folder::tokenizer(&self.model)).transpose()?;
        let tokenizer = tokenizer.as_ref();
        let mut stop = if self.ignore_eos { Vec::new() } else { model_folder::end_tokens(&self.model)? };
        let (prompt, ends) = self.read_prompt(tokenizer)?;
        if !self.ignore_eos {
            stop.extend(ends);
        }
        model_folder::check_tokens(&prompt, config.vocab_size)?;
        let Some(room) = config.context().checked_sub(prompt.len()).filter(|&room| room > 0) else {
            bail!(
                "{} prompt tokens leave no room in the model's context of {}",
                prompt.len(),
                config.context()
            );
        };
        let decode = |tokens: &[u32]| tokenizer.map_or(String::new(), |t| text(t, tokens));
        let rule = StopRule { tokens: &stop, strings: &self.stop, decode: Some(&decode) };
        let sampling = Sampling { temperature: self.temperature, ..Sampling::default() };
        let id = SequenceId { seed: self.seed, step: 0, task: 0, occurrence: 0, sample: 0, turn: 0 };
        let request =
            GenerationRequest { key: 0, tokens: &prompt, max_new: self.max_tokens.min(room), rng: id.rng() };
        let model = load(&self.model, &device)?;
        let turn = generator(&model, sampling).complete(&[request], &rule)?.remove(0);
        let ended = turn.finish == Finish::EndOfTurn;
        let said = &turn.tokens[..turn.tokens.len() - usize::from(ended)];
        if self.json {
            output::line(&Answer {
                prompt_tokens: &prompt,
                tokens: &turn.tokens,
                logprobs: &turn.logprobs,
                text: tokenizer.map(|tokenizer| text(tokenizer, said)),
                stop: turn.finish,
            })?;
        } else {
            terminal::foreign(&format!("{}\n", decode(said)))?;
        }
        Ok(())
    }

    /// Returns the tokens to continue, and the tokens that end a turn in the chat format.
    fn read_prompt(&self, tokenizer: Option<&Tokenizer>) -> Result<(Vec<u32>, Vec<u32>)> {
        let tokenizer = || tokenizer.ok_or_else(|| anyhow!("text needs a tokenizer"));
        match &self.prompt {
            Prompt { tokens: Some(tokens), .. } => Ok((input::tokens(tokens)?, Vec::new())),
            Prompt { messages: Some(path), .. } => self.chat_prompt(path, tokenizer()?.clone()),
            Prompt { text, .. } => {
                let text = text.as_deref().unwrap_or_default();
                let encoding = tokenizer()?.encode(text, true).map_err(|e| anyhow!("--prompt: {e}"))?;
                Ok((encoding.get_ids().to_vec(), Vec::new()))
            }
        }
    }

    /// Encodes a conversation by the folder's template, or by ChatML if it has none.
    fn chat_prompt(&self, path: &Path, tokenizer: Tokenizer) -> Result<(Vec<u32>, Vec<u32>)> {
        let tools: Option<Vec<Value>> = self.tools.as_deref().map(read_json).transpose()?;
        if let Some(folder) = ChatFolder::read(&self.model)? {
            let messages: Vec<Value> = read_json(path)?;
            return Ok(prompt(&folder, tokenizer, &messages, tools.as_deref(), Moment::now())?);
        }
        if tools.is_some() {
            bail!(
                "{}: the folder has no chat template to offer tools with\n  hint: without one, describe them in the system message",
                self.model.display()
            );
        }
        let chat = ChatMl::new(tokenizer)?;
        let messages: Vec<Message> = read_json(path)?;
        Ok((chat.open(&messages)?, chat.stop_tokens().to_vec()))
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    input::json(&path.display().to_string(), &input::file(path)?)
}

/// Decodes tokens. Invalid UTF-8 becomes replacement characters, because model output is data.
fn text(tokenizer: &Tokenizer, tokens: &[u32]) -> String {
    tokenizer.decode(tokens, false).unwrap_or_default()
}
