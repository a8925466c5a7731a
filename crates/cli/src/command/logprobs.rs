//! `turnwise logprobs`: log-probabilities of given tokens.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;
use turnwise_model::{TokenBatch, load, load_config, token_logprobs};
use turnwise_trainer::backend;

use crate::model_folder::check_tokens;
use crate::{input, output};

#[derive(Args)]
pub(crate) struct Logprobs {
    /// A Hugging Face folder
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Token ids as a JSON array; - reads it from stdin
    #[arg(long, value_name = "JSON")]
    tokens: String,
    /// The device; see `turnwise doctor`
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
}

#[derive(Serialize)]
struct Answer {
    tokens: Vec<u32>,
    /// Entry `t` belongs to token `t`, given those before it; the first has none.
    logprobs: Vec<Option<f32>>,
}

impl Logprobs {
    pub(crate) fn run(self) -> Result<()> {
        let device = backend::device(self.device.as_deref())?;
        let tokens = input::tokens(&self.tokens)?;
        let config = load_config(&self.model)?;
        check_tokens(&tokens, config.vocab_size)?;
        let most = config.longest_text();
        if tokens.len() > most {
            bail!("{} tokens do not fit into the model's context of {most}", tokens.len());
        }
        let model = load(&self.model, &device)?;
        let wanted = vec![true; tokens.len()];
        let logprobs = token_logprobs(&model, &TokenBatch::new(&[&tokens]), &wanted, 1.0, false).logprobs;
        let values: Vec<f32> = logprobs.into_data().try_into_vec().expect("log-probabilities are f32");
        if let Some(at) = values.iter().skip(1).position(|value| !value.is_finite()) {
            let hint = "the weights are broken, or activations overflow";
            bail!("the log-probability of token {} is {}\n  hint: {hint}", at + 1, values[at + 1]);
        }
        let logprobs = values.into_iter().enumerate().map(|(t, logp)| (t > 0).then_some(logp)).collect();
        output::line(&Answer { tokens, logprobs })?;
        Ok(())
    }
}
