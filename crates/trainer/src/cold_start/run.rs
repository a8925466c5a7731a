//! The cold start, from a configuration to files on disk.

use std::path::Path;

use burn::module::Module;
use tokenizers::Tokenizer;
use turnwise_envs::RewardConfig;
use turnwise_model::{Transformer, family::Family, family_of, load, load_config, save};
use turnwise_rollout::opening;
use turnwise_run::{Evaluation, RunDirError, whole_folder};

use crate::cold_start::scratch;
use crate::cold_start::sft::{fine_tune, transcript};
use crate::config::{SftConfig, StartConfig};
use crate::error::TrainError;
use crate::learn::trained_part::trained_part;
use crate::memory_estimate;
use crate::play::cache_budget::CacheBudget;
use crate::play::evaluate::evaluate;
use crate::play::setup::{Setup, tokenizer};
use crate::run_site::RunSite;
use crate::watch::phase::Phase;
use crate::watch::progress::Progress;

/// Fine-tunes a model on demonstrations, writes it as a Hugging Face folder, and evaluates it.
pub fn cold_start(
    config: &SftConfig,
    site: &RunSite,
    out: &Path,
    progress: &mut dyn Progress,
) -> Result<Evaluation, TrainError> {
    if out.exists() {
        return Err(RunDirError::Exists { path: out.into() }.into());
    }
    let device = site.device.clone().autodiff();
    // The tokenizer of a new model, to be written beside it.
    let mut made = None;
    let open = |folder: Option<&Path>, tokenizer, context| {
        Setup::open(config.offer(), &config.rollout, folder, tokenizer, context, site.now)
    };
    let (model, setup, start) = match &config.model {
        StartConfig::Folder(folder) => {
            let context = load_config(folder)?.context();
            let setup = open(Some(folder), tokenizer(folder)?, context)?;
            (load(folder, &device)?, setup, Some(folder.as_path()))
        }
        StartConfig::Scratch(shape) => {
            let new = scratch_tokenizer(config, shape.vocab_size)?;
            let model_config = scratch::model_config(shape, &new).map_err(TrainError::Input)?;
            memory_estimate::check_new(&model_config, &site.device)?;
            let setup = open(None, new.clone(), model_config.max_position)?;
            made = Some(new);
            (Transformer::random(&model_config, config.seed, &device), setup, None)
        }
    };
    memory_estimate::check_cache(model.config(), &config.rollout, config.optimizer.precision, &site.device)?;
    let model = trained_part(model, &config.optimizer, config.seed, site, None)?;
    progress.phase("steps", config.steps as u64);
    let game = setup.game();
    let phase = Phase::begin();
    let model = fine_tune(model, &game, config, &mut |step, loss| {
        progress.advance(step as u64 + 1);
        if (step + 1) % 20 == 0 || step + 1 == config.steps {
            progress.line(&format!("step {}/{}: loss {loss:.4}", step + 1, config.steps));
        }
    })?;
    progress.line(&format!("trained: {}", phase.spent()));
    let (model, sampled) = (model.valid(), model.for_sampling());
    whole_folder::write(out, |folder| -> Result<(), TrainError> {
        if let Some(tokenizer) = &made {
            scratch::write_tokenizer(tokenizer, folder).map_err(TrainError::Input)?;
        }
        let family = match start {
            Some(folder) => family_of(folder)?,
            None => Family::named("llama").map_err(TrainError::Input)?,
        };
        save(&model, family, start, folder)?;
        Ok(())
    })?;
    let phase = Phase::begin();
    progress.phase("evaluating", (config.eval.tasks * config.eval.samples) as u64);
    let rewards = RewardConfig::default();
    let cache = CacheBudget::new(config.rollout.cache_mib, &site.device);
    let evaluation =
        evaluate(&sampled, &game, &config.eval, &rewards, config.seed, cache, &mut |done, _| {
            progress.advance(done as u64);
        })?;
    progress.line(&format!("evaluated: {}", phase.spent()));
    Ok(evaluation)
}

/// Demonstrations that a new model's tokenizer is made from.
const TOKENIZER_TEXTS: u64 = 2000;

fn scratch_tokenizer(config: &SftConfig, vocab_size: usize) -> Result<Tokenizer, TrainError> {
    let (env, format) = (config.offer().open(&config.rollout.executor)?, config.rollout.format.build());
    let texts: Vec<String> = (0..TOKENIZER_TEXTS)
        .filter_map(|index| env.demonstration(index))
        .flat_map(|demonstration| {
            let opening = opening(&*env, &*format, config.rollout.describe_tools, &demonstration.task);
            transcript(&*format, &opening, &demonstration)
        })
        .collect();
    scratch::tokenizer(&texts, vocab_size).map_err(TrainError::Input)
}
