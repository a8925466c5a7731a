//! `turnwise rollout`: plays an environment with a local model or a server that speaks the OpenAI chat
//! protocol.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use turnwise_credit::{RewardWeights, ScoredTrajectory};
use turnwise_model::load as load_model;
use turnwise_rollout::Policy;
use turnwise_rollout::chat::Moment;
use turnwise_rollout::remote::{Endpoint, RemotePolicy, Transcript, without_tokens};
use turnwise_run::{Evaluation, GroupRecord, TrajectoryRecord};
use turnwise_runfile::{Conflict, Within};
use turnwise_sampler::Sampling;
use turnwise_stats::{Summary, summarize};
use turnwise_tools::ToolSpec;
use turnwise_trainer::config::{Consistent, RunConfig, load};
use turnwise_trainer::{
    CacheBudget, ModelPolicy, Setup, TaskSplit, Trial, backend, check_precision, tokenizer,
};
use turnwise_trajectory::Trajectory;

use crate::line_file::LineFile;
use crate::run_file::Changes;
use crate::run_site::server_key;
use crate::{evaluation_table, output, progress};

#[derive(Args)]
pub(crate) struct Rollout {
    /// A run file: its env, rollout, reward and eval, and the seed of its train
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// A Hugging Face folder
    #[arg(long, value_name = "DIR", conflicts_with = "endpoint", required_unless_present = "endpoint")]
    model: Option<PathBuf>,
    /// A server that speaks the OpenAI chat protocol, for example http://127.0.0.1:8000/v1; the environment
    /// variable TURNWISE_API_KEY is its key, if it needs one
    #[arg(long, value_name = "URL", requires = "name", value_parser = base)]
    endpoint: Option<String>,
    /// The model's name on that server
    #[arg(long, value_name = "NAME", requires = "endpoint")]
    name: Option<String>,
    /// Requests to the server at once
    #[arg(long, value_name = "NUMBER", default_value_t = 16, allow_negative_numbers = true)]
    #[arg(value_parser = Within::<1, 1_024>::parse::<u16>)]
    parallel: u16,
    /// Longest wait for one answer of the server, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600, allow_negative_numbers = true)]
    #[arg(value_parser = Within::<1, 3_600_000>::parse::<u32>)]
    timeout: u32,
    /// Longest time for retries of one turn, in seconds from its first fault (the server is busy, still
    /// loading, gone, or answers nonsense), with waits and answers; then the conversation is lost and counted
    #[arg(long, value_name = "SECONDS", default_value_t = 300, allow_negative_numbers = true)]
    #[arg(value_parser = Within::<0, 3_600_000>::parse::<u32>)]
    retry: u32,
    /// Play training tasks instead of held-out ones
    #[arg(long)]
    train: bool,
    /// File for the conversations, in the lines of a run's rollouts, each written as soon as it has ended
    /// [default: none]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write conversations with a right answer only: demonstrations
    #[arg(long, requires = "out")]
    right: bool,
    #[command(flatten)]
    changes: Changes,
    /// The device; see `turnwise doctor`
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// Print the evaluation as JSON, as `turnwise eval` does
    #[arg(long)]
    json: bool,
}

/// A run file whose environment a policy plays.
#[derive(Deserialize)]
#[serde(transparent)]
struct PolicyRun(RunConfig);

impl Consistent for PolicyRun {
    fn conflict(&self) -> Option<Conflict> {
        self.0.conflict().or_else(|| self.0.play_of_others())
    }
}

/// Returns a group of one trajectory without credit.
fn group_of_one(played: Trajectory, scored: &ScoredTrajectory, weights: &RewardWeights) -> GroupRecord {
    GroupRecord {
        rewards: vec![scored.turns.iter().map(|rewards| weights.sum(rewards)).collect()],
        dropped: vec![None],
        trajectories: vec![TrajectoryRecord { scored: scored.clone(), played, log_ratios: None }],
        ..GroupRecord::default()
    }
}

/// A tool in OpenAI's form.
fn written(tool: &ToolSpec) -> Value {
    serde_json::to_value(tool).expect("a tool's description is JSON")
}

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    evaluation: &'a Evaluation,
    summary: &'a Summary,
}

/// Parses the base of a server's addresses.
fn base(text: &str) -> Result<String, String> {
    let rest = ["http://", "https://"].into_iter().find_map(|scheme| text.strip_prefix(scheme));
    match rest.filter(|rest| !rest.starts_with('/') && !rest.is_empty()) {
        Some(rest) if !rest.contains(|c: char| c.is_whitespace() || c.is_control()) => Ok(text.into()),
        _ => Err("a base begins with http:// or https:// and a host, as in http://127.0.0.1:8000/v1".into()),
    }
}

type Policies = Box<dyn FnMut() -> Box<dyn Policy>>;

impl Rollout {
    pub(crate) fn run(mut self) -> Result<()> {
        if let Some(folder) = &self.model {
            // JSON's strings are valid TOML.
            self.changes.set.push(format!("model={}", Value::from(folder.display().to_string())));
        }
        let PolicyRun(mut config) = load(Some(&self.config), &self.changes.overlay, &self.changes.set)?;
        if let Some(folder) = &self.model {
            // The text of a path that isn't UTF-8 has lost bytes, so the path itself is set.
            config.model.clone_from(folder);
        }
        let (setup, mut policies) = self.open(&config)?;
        let game = setup.game();
        let split = if self.train { TaskSplit::Train } else { TaskSplit::HeldOut };
        let tasks = setup.tasks(split, config.eval.tasks)?;
        let tasks: Vec<_> = tasks.iter().collect();
        let mut out = self.out.as_deref().map(LineFile::open).transpose()?;
        let mut bar = progress::on_stderr();
        if self.model.is_some() && config.rollout.server.is_some() {
            bar.line("the model plays on this machine: [rollout.server] is for `turnwise train` and `eval`");
        }
        bar.phase("rollouts", (tasks.len() * config.eval.samples) as u64);
        let trial =
            Trial { game: &game, tasks: &tasks, samples: config.eval.samples, rewards: &config.reward };
        let remote = self.endpoint.is_some();
        let tools: Vec<Value> = setup.env.tools().iter().map(written).collect();
        let found = trial.run(
            &mut policies,
            &mut |done, _| bar.advance(done as u64),
            &mut |place, task, played, scored| {
                let Some(out) = out.as_mut() else { return };
                let line = || {
                    let known = if remote { without_tokens(played.clone()) } else { played.clone() };
                    let line = GroupRecord {
                        group: task.id.clone(),
                        level: task.level,
                        expected: Some(task.answer.clone()),
                        messages: game.conversation(task, played),
                        tools: tools.clone(),
                        ..group_of_one(known, scored, &config.reward.weights)
                    };
                    serde_json::to_string(&line).expect("a conversation holds no map with odd keys")
                };
                out.add(place, (!self.right || scored.correct).then(line));
            },
        );
        // Ended conversations are on disk, even if the rest failed.
        let written = out.map_or(Ok(()), |out| out.finish(found.is_ok()));
        game.env.take_log().iter().for_each(|line| bar.line(line));
        let found = found?;
        written?;
        found.lost_lines().iter().for_each(|line| bar.line(line));
        drop(bar);
        let summary = summarize(&found.outcomes);
        evaluation_table::write_in_full(&[("rollouts", &found, &summary)], None);
        if self.json {
            output::line(&Answer { evaluation: &found, summary: &summary })?;
        }
        Ok(())
    }

    /// Opens the setup, and a function that makes a policy for each part of the play.
    fn open(&self, config: &RunConfig) -> Result<(Setup, Policies)> {
        let (temperature, seed) = (config.eval.temperature, config.train.seed);
        let (Some(url), Some(name)) = (&self.endpoint, &self.name) else {
            let precision = config.rollout.precision;
            let device = backend::checked(self.device.as_deref())?;
            check_precision(precision, &device).map_err(anyhow::Error::msg)?;
            let model = load_model(&config.model, &device)?;
            let context = model.config().context();
            let setup = Setup::open(
                config.offer(),
                &config.rollout,
                Some(&config.model),
                tokenizer(&config.model)?,
                context,
                Moment::now(),
            )?;
            let sampling = Sampling { temperature, ..Sampling::default() };
            let cache = CacheBudget::new(config.rollout.cache_mib, &model.device());
            let policy = move || -> Box<dyn Policy> {
                let policy = ModelPolicy::rounded_on_all_cores(&model, precision, sampling, seed);
                Box::new(policy.within(cache))
            };
            return Ok((setup, Box::new(policy)));
        };
        let endpoint = Endpoint {
            url: url.clone(),
            model: name.clone(),
            key: server_key()?,
            temperature,
            top_p: 1.0,
            seed,
            parallel: self.parallel.into(),
            timeout: Duration::from_secs(self.timeout.into()),
            retry: Duration::from_secs(self.retry.into()),
        };
        let transcript = Transcript::default();
        // The server knows its model's context and reports when it is full.
        let setup =
            Setup::with_chat(config.offer(), &config.rollout, Box::new(transcript.clone()), usize::MAX)?;
        let policy = RemotePolicy::new(endpoint, transcript);
        Ok((setup, Box::new(move || Box::new(policy.clone()))))
    }
}
