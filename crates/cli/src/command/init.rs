//! `turnwise init`: a commented run file to start from.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;
use turnwise_model::load_config;
use turnwise_trainer::tokenizer;

use crate::failure::Usage;
use crate::output;

/// The page of environments: each has a block of settings there, and a test loads them all.
const ENVIRONMENTS: &str = include_str!("../../../../docs/environments.md");

#[derive(Args)]
pub(crate) struct Init {
    /// The run file to write; must not exist yet [default: stdout]
    file: Option<PathBuf>,
    /// A Hugging Face folder
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// The environment
    #[arg(long, value_name = "NAME")]
    env: String,
}

impl Init {
    pub(crate) fn run(self) -> Result<()> {
        let Some(env) = environment(&self.env) else {
            let known: Vec<&str> = blocks().map(name).collect();
            bail!(Usage(format!(
                "--env {}: unknown environment\n  hint: one of {}",
                self.env,
                known.join(", ")
            )));
        };
        let context = load_config(&self.model)?.context();
        // A folder without a tokenizer can't be trained.
        tokenizer(&self.model)?;
        let text = run_file(&self.model.display().to_string(), env, context);
        let Some(path) = self.file else {
            output::text(text.as_bytes())?;
            return Ok(());
        };
        let made = OpenOptions::new().write(true).create_new(true).open(&path);
        match made.and_then(|mut file| file.write_all(text.as_bytes())) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                bail!(
                    "{}: exists already, nothing is written over\n  hint: name another file",
                    path.display()
                )
            }
            done => done.with_context(|| format!("{}: cannot write", path.display())),
        }
    }
}

fn blocks() -> impl Iterator<Item = &'static str> {
    ENVIRONMENTS.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next())
}

/// Returns NAME of `[env.NAME]`.
fn name(block: &str) -> &str {
    block.trim_start_matches("[env.").split([']', '.']).next().unwrap_or_default()
}

fn environment(wanted: &str) -> Option<&'static str> {
    blocks().find(|block| name(block) == wanted)
}

fn run_file(model: &str, env: &str, context: usize) -> String {
    // JSON's strings are valid TOML.
    let model = Value::from(model);
    let tokens = context.min(2048);
    format!(
        "\
# A run file: `turnwise train THIS_FILE`. What isn't set here has its default; `turnwise config THIS_FILE` prints all of
# it, and docs/config.md says what every key means.

# Hugging Face folder of the model to start from.
model = {model}

# Tasks and tools. docs/environments.md has the other environments.
{env}
[rollout]
groups = 16                # tasks per step
samples = 8                # trajectories per task: they are compared with each other
max_turns = 8
max_turn_tokens = 256
max_tokens = {tokens}          # the model's context is {context}
format = \"hermes\"          # how calls are written: what the model was trained on
describe_tools = true      # false if the model knows its tools from a cold start

# GTPO, arXiv:2511.14846. Another estimator is one key away: `--set advantage=grpo_min`.
[advantage.gtpo]
gamma = 0.9                # per turn

[shaping]
alpha = 0.5                # partial credit for failed trajectories that resemble right ones; 0 switches it off

[optimizer]
lr = 1e-6                  # the most important number here: too high collapses, too low learns nothing
minibatches = 1            # 1 is on-policy

[train]
seed = 0
steps = 100
checkpoint_every = 50
eval_every = 25            # steps between held-out evaluations

[eval]
tasks = 256
samples = 1                # several give pass@k and majority@k
"
    )
}

#[cfg(test)]
mod tests {
    use turnwise_trainer::config::{RunConfig, load};

    use super::*;

    #[test]
    fn every_environment_has_a_run_file_that_loads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        let mut names = std::collections::BTreeSet::new();
        for block in blocks() {
            std::fs::write(&path, run_file("models/some \"model\"", block, 512)).unwrap();
            let config: RunConfig =
                load(Some(&path), &[], &[]).unwrap_or_else(|error| panic!("{block}: {error}"));
            assert_eq!(config.model.display().to_string(), "models/some \"model\"");
            names.insert(name(block));
        }
        assert!(names.contains("arithmetic") && names.contains("flaky") && names.len() >= 8, "{names:?}");
    }
}
