//! The cold start, from a configuration to files on disk.

use std::path::Path;

use burn::module::Module;
use serde::Serialize;
use turnwise_demonstrations::{Demonstrations, Report};
use turnwise_envs::RewardConfig;
use turnwise_model::{Transformer, family::Family, family_of, load, save};
use turnwise_run::{Evaluation, RunDirError, whole_folder};

use crate::cold_start::beginning::Beginning;
use crate::cold_start::conversations::{self, Conversations};
use crate::cold_start::scratch;
use crate::cold_start::sft::{self, fine_tune};
use crate::config::SftConfig;
use crate::error::TrainError;
use crate::learn::trained_part::trained_part;
use crate::memory_estimate;
use crate::play::cache_budget::CacheBudget;
use crate::play::evaluate::evaluate;
use crate::play::setup::Setup;
use crate::run_site::RunSite;
use crate::watch::phase::Phase;
use crate::watch::progress::Progress;

/// Holds the results of a cold start.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Learnt {
    /// Held-out tasks after the last step; none without an environment.
    #[serde(flatten)]
    pub evaluation: Option<Evaluation>,
    /// Counts of the conversations; none where the environment wrote the demonstrations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Report>,
}

/// The record of a cold start on conversations, beside the model's files.
const RECORD: &str = "sft_data.json";

/// Fine-tunes a model on demonstrations, writes it as a Hugging Face folder, and evaluates it if there is an
/// environment.
pub fn cold_start(
    config: &SftConfig,
    site: &RunSite,
    out: &Path,
    progress: &mut dyn Progress,
) -> Result<Learnt, TrainError> {
    if out.exists() {
        return Err(RunDirError::Exists { path: out.into() }.into());
    }
    let conversations =
        config.data.as_ref().map(|data| Conversations::read(data, config.env.as_ref())).transpose()?;
    let texts = conversations.as_ref().and_then(|conversations| conversations.texts(config));
    let beginning = Beginning::of(config, texts)?;
    if beginning.folder.is_none() {
        memory_estimate::check_new(&beginning.model, &site.device)?;
    }
    let setup = open(config, &beginning, site)?;
    let data = match (conversations, &config.data) {
        (Some(conversations), Some(data)) => Some(conversations.write(config, data, &beginning, site.now)?.1),
        _ => None,
    };
    if let Some(data) = &data {
        progress.line(&data.report.to_string());
    }
    let model = weights(config, &beginning, site)?;
    if setup.is_some() {
        let (rollout, precision) = (&config.rollout, config.optimizer.precision);
        memory_estimate::check_cache(model.config(), rollout, precision, &site.device)?;
    }
    let model = trained_part(model, &config.optimizer, config.seed, site, None)?;
    let model = train(model, config, setup.as_ref(), data.as_ref(), progress)?;
    let (model, sampled) = (model.valid(), model.for_sampling());
    let data = data.map(|data| data.report);
    whole_folder::write(out, |folder| write(folder, &beginning, &model, data.as_ref()))?;
    let evaluation = match &setup {
        Some(setup) => Some(evaluated(&sampled, setup, config, site, progress)?),
        None => None,
    };
    Ok(Learnt { evaluation, data })
}

/// Opens the environment, if there is one.
fn open(config: &SftConfig, beginning: &Beginning<'_>, site: &RunSite) -> Result<Option<Setup>, TrainError> {
    let Some(offer) = config.offer() else { return Ok(None) };
    let (tokenizer, context) = (beginning.tokenizer.clone(), beginning.context());
    Ok(Some(Setup::open(offer, &config.rollout, beginning.folder, tokenizer, context, site.now)?))
}

fn weights(config: &SftConfig, beginning: &Beginning<'_>, site: &RunSite) -> Result<Transformer, TrainError> {
    let device = site.device.clone().autodiff();
    Ok(match beginning.folder {
        Some(folder) => load(folder, &device)?,
        None => Transformer::random(&beginning.model, config.seed, &device),
    })
}

fn train(
    model: Transformer,
    config: &SftConfig,
    setup: Option<&Setup>,
    data: Option<&Demonstrations>,
    progress: &mut dyn Progress,
) -> Result<Transformer, TrainError> {
    progress.phase("steps", config.steps as u64);
    let game = setup.map(Setup::game);
    let examples = |step: usize| match (data, &game) {
        (Some(data), _) => Ok(conversations::examples(&data.sequences, config, step)),
        (None, Some(game)) => sft::examples(game, config, step),
        (None, None) => {
            Err(TrainError::Input("there is neither data nor an environment to learn from".into()))
        }
    };
    let phase = Phase::begin();
    let model = fine_tune(model, config, &examples, &mut |step, loss| {
        progress.advance(step as u64 + 1);
        if (step + 1) % 20 == 0 || step + 1 == config.steps {
            progress.line(&format!("step {}/{}: loss {loss:.4}", step + 1, config.steps));
        }
    })?;
    progress.line(&format!("trained: {}", phase.spent()));
    Ok(model)
}

/// Writes everything that a Hugging Face folder holds, and the record of the data.
fn write(
    folder: &Path,
    beginning: &Beginning<'_>,
    model: &Transformer,
    data: Option<&Report>,
) -> Result<(), TrainError> {
    let family = if let Some(start) = beginning.folder {
        family_of(start)?
    } else {
        scratch::write_tokenizer(&beginning.tokenizer, folder).map_err(TrainError::Input)?;
        Family::named("llama").map_err(TrainError::Input)?
    };
    save(model, family, beginning.folder, folder)?;
    if let Some(report) = data {
        let path = folder.join(RECORD);
        let text = serde_json::to_string_pretty(report).expect("JSON of plain values") + "\n";
        std::fs::write(&path, text)
            .map_err(|error| TrainError::Input(format!("{}: cannot write: {error}", path.display())))?;
    }
    Ok(())
}

fn evaluated(
    sampled: &Transformer,
    setup: &Setup,
    config: &SftConfig,
    site: &RunSite,
    progress: &mut dyn Progress,
) -> Result<Evaluation, TrainError> {
    let phase = Phase::begin();
    progress.phase("evaluating", (config.eval.tasks * config.eval.samples) as u64);
    let rewards = RewardConfig::default();
    let cache = CacheBudget::new(config.rollout.cache_mib, &site.device);
    let game = setup.game();
    let evaluation = evaluate(sampled, &game, &config.eval, &rewards, config.seed, cache, &mut |done, _| {
        progress.advance(done as u64);
    })?;
    progress.line(&format!("evaluated: {}", phase.spent()));
    evaluation.lost_lines().iter().for_each(|line| progress.line(line));
    Ok(evaluation)
}
