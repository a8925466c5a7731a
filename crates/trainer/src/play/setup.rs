//! Opens the setup of a run from its configuration: environment, tokenizer, call format, executor.

use std::path::Path;
use std::sync::Arc;

use tokenizers::Tokenizer;
use turnwise_envs::{Env, EnvError, Task, TaskSplit, read_tasks};
use turnwise_rollout::chat::{self, Calls, ChatError, ChatFormat, Moment};
use turnwise_rollout::{Game, Limits};
use turnwise_runfile::OrAuto;
use turnwise_sampler::Sampling;
use turnwise_serve::{Model, Style};
use turnwise_tools::executor::{ExecutorError, Remembering};
use turnwise_tools::{CallFormat, Executor};

use crate::config::{RolloutConfig, SamplingConfig};
use crate::error::TrainError;
use crate::play::offer::Offer;

/// Holds everything that rollouts need but the model.
pub struct Setup {
    /// The environment, with tasks and answers.
    pub env: Box<dyn Env>,
    /// The chat format, from messages to tokens.
    pub chat: Box<dyn ChatFormat>,
    /// The call format, from text to calls.
    pub format: Box<dyn CallFormat>,
    /// The executor, from calls to outputs.
    pub executor: Box<dyn Executor>,
    /// Limits of a trajectory.
    pub limits: Limits,
    /// The texts of the endpoint, where agents play.
    pub(crate) text: Option<Arc<Model>>,
    describe_tools: bool,
    stop_at_call: bool,
    keep_state: bool,
}

impl Setup {
    /// Opens environment, chat and executor. `folder` is the model's, whose chat template is used; a model
    /// that is made from nothing has none yet. `context` is the model's and limits the trajectories. `now` is
    /// the date that a template shows.
    pub fn open<'a>(
        offer: impl Into<Offer<'a>>,
        rollout: &RolloutConfig,
        folder: Option<&Path>,
        tokenizer: Tokenizer,
        context: usize,
        now: Moment,
    ) -> Result<Self, TrainError> {
        Self::open_with(None, offer, rollout, folder, tokenizer, context, now)
    }

    /// Opens a setup as [`Setup::open`], with an executor that has been started already, if there is one.
    pub(crate) fn open_with<'a>(
        started: Option<Box<dyn Executor>>,
        offer: impl Into<Offer<'a>>,
        rollout: &RolloutConfig,
        folder: Option<&Path>,
        tokenizer: Tokenizer,
        context: usize,
        now: Moment,
    ) -> Result<Self, TrainError> {
        let opened = offer.into().open(&rollout.executor)?;
        let format = rollout.call_format(folder, &tokenizer)?;
        let calls = Calls { format: &*format, tools: opened.tools(), describe: rollout.describe_tools };
        let chat = chat::open(rollout.chat, folder, tokenizer.clone(), calls, now)?;
        let executor = started.map_or_else(|| executor(rollout), Ok)?;
        let mut setup = Self::assemble(opened, rollout, chat, format, context, executor);
        if let (Some(_), Some(folder)) = (setup.env.agent(), folder) {
            setup.text = Some(Arc::new(text(folder, tokenizer, &*setup.chat, rollout, now)?));
        }
        Ok(setup)
    }

    /// Opens a setup with any chat format, for policies other than a local model.
    pub fn with_chat<'a>(
        offer: impl Into<Offer<'a>>,
        rollout: &RolloutConfig,
        chat: Box<dyn ChatFormat>,
        context: usize,
    ) -> Result<Self, TrainError> {
        let (opened, format) = (offer.into().open(&rollout.executor)?, rollout.call_format_without_folder());
        Ok(Self::assemble(opened, rollout, chat, format, context, executor(rollout)?))
    }

    /// Opening an environment may draw thousands of tasks and start a sandbox, so it's done once.
    fn assemble(
        env: Box<dyn Env>,
        rollout: &RolloutConfig,
        chat: Box<dyn ChatFormat>,
        format: Box<dyn CallFormat>,
        context: usize,
        executor: Box<dyn Executor>,
    ) -> Self {
        Self {
            env,
            chat,
            format,
            executor,
            limits: Limits {
                turns: rollout.max_turns,
                turn_tokens: rollout.max_turn_tokens,
                tokens: rollout.max_tokens.min(context),
                observation_tokens: rollout.max_observation_tokens,
                turn_calls: rollout.max_turn_calls,
            },
            text: None,
            describe_tools: rollout.describe_tools,
            stop_at_call: rollout.stop_at_call,
            keep_state: rollout.keep_state,
        }
    }

    /// Returns the first `at_most` tasks of a split.
    ///
    /// # Errors
    /// If the environment fails to produce one of them.
    pub fn tasks(&self, split: TaskSplit, at_most: usize) -> Result<Vec<Task>, EnvError> {
        let numbers: Vec<usize> = (0..self.env.count(split).min(at_most)).collect();
        read_tasks(&*self.env, split, &numbers)
    }

    /// Returns whether the first complete call ends its turn.
    pub(crate) fn stops_at_call(&self) -> bool {
        self.stop_at_call
    }

    /// Returns the rules of play.
    pub fn game(&self) -> Game<'_> {
        Game {
            env: &*self.env,
            chat: &*self.chat,
            format: &*self.format,
            executor: &*self.executor,
            limits: self.limits,
            describe_tools: self.describe_tools,
            stop_at_call: self.stop_at_call,
            keep_state: self.keep_state,
        }
    }
}

/// Opens the texts of the endpoint for a run's agents.
fn text(
    folder: &Path,
    tokenizer: Tokenizer,
    of_run: &dyn ChatFormat,
    rollout: &RolloutConfig,
    now: Moment,
) -> Result<Model, ChatError> {
    let format = match rollout.format {
        OrAuto::Named(format) => format,
        OrAuto::Auto => chat::call_format(Some(folder), &tokenizer)?,
    };
    let style = Style { chat: rollout.chat, format: Some(format), describe: rollout.describe_tools };
    Model::open(folder, tokenizer, of_run.stop_tokens().to_vec(), style, now)
}

/// Starts the executor, with a memory of equal code if `remember_mib` isn't 0.
pub fn executor(rollout: &RolloutConfig) -> Result<Box<dyn Executor>, ExecutorError> {
    let executor = rollout.executor.build()?;
    Ok(match rollout.remember_mib {
        0 => executor,
        mib => Box::new(Remembering::new(executor, mib.saturating_mul(1 << 20))),
    })
}

/// Loads the tokenizer of a model folder.
pub fn tokenizer(folder: &Path) -> Result<Tokenizer, TrainError> {
    Ok(chat::load_tokenizer(&folder.join("tokenizer.json"))?)
}

/// Returns the sampler's form of a sampling configuration.
pub fn sampling(config: &SamplingConfig) -> Sampling {
    let SamplingConfig { temperature, top_k, top_p, min_p } = *config;
    Sampling { temperature, top_k, top_p, min_p }
}
