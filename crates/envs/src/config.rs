//! Chooses an environment in a run file: `[env.arithmetic]`.

use serde::{Deserialize, Serialize};
use turnwise_runfile::{Conflict, Seed, Within, choice};
use turnwise_tools::executor::ExecutorConfig;

use crate::agent::AgentConfig;
use crate::env::{Env, EnvError};
use crate::flaky::{Failures, Flaky};
use crate::openenv::OpenEnvConfig;
use crate::process::ProcessConfig;
use crate::recorded::Recorded;
use crate::settings::EnvSettings;
use crate::tasks::arithmetic::ArithmeticConfig;
use crate::tasks::command::CommandConfig;
use crate::tasks::human_eval::HumanEvalConfig;
use crate::tasks::lookup::LookupConfig;
use crate::tasks::programs::ProgramsConfig;
use crate::tasks::qa::QaConfig;
use crate::tasks::strategy_qa::StrategyQaConfig;

choice! {
    /// Chooses the tasks, their tools and the check of answers.
    pub enum EnvConfig without default {
        /// Nested integer expressions, one operation per call.
        "arithmetic" => Arithmetic(ArithmeticConfig),
        /// Questions and numeric answers from files, with a free Python tool.
        "qa" => Qa(QaConfig),
        /// Procedural questions over several facts, one lookup per call.
        "lookup" => Lookup(LookupConfig),
        /// StrategyQA's yes/no questions, with a search over its facts.
        "strategy_qa" => StrategyQa(StrategyQaConfig),
        /// Procedural functions to write, with examples to try them on and hidden tests.
        "programs" => Programs(ProgramsConfig),
        /// Functions to write from files of HumanEval or MBPP, judged by hidden tests.
        "human_eval" => HumanEval(HumanEvalConfig),
        /// Tasks from a file, whose answers a command of yours checks.
        "command" => Command(CommandConfig),
        /// Tasks, tools and turn rewards from a program of yours, in any language, over its stdin and stdout.
        "process" => Process(ProcessConfig),
        /// Tools and turn rewards of an OpenEnv server. Each task is a seed.
        "openenv" => OpenEnv(OpenEnvConfig),
        /// An agent program that asks an endpoint of this run for its turns.
        "agent" => Agent(AgentConfig),
        /// Another environment, whose tools fail on purpose.
        "flaky" => Flaky(FlakyConfig),
    }
    /// Returns the settings of the chosen environment.
    pub fn settings(&self) -> &dyn EnvSettings;
}

impl EnvConfig {
    /// Returns keys whose values contradict each other. Each value is in its range.
    pub fn conflict(&self) -> Option<Conflict> {
        self.settings().conflict().map(|conflict| conflict.under(self.name()))
    }

    /// Returns whether the environment writes demonstrations: see
    /// [`Env::demonstration`](crate::Env::demonstration).
    pub fn demonstrates(&self) -> bool {
        match self {
            Self::Arithmetic(_) | Self::Lookup(_) | Self::Programs(_) => true,
            Self::Flaky(flaky) => flaky.env.demonstrates(),
            _ => false,
        }
    }

    /// Opens an environment whose trajectories are all in records. A program or a server isn't started, and
    /// an environment of one has no tasks then.
    ///
    /// # Errors
    /// As [`EnvSettings::open`].
    pub fn open_recorded(&self, executor: &ExecutorConfig) -> Result<Box<dyn Env>, EnvError> {
        match self {
            Self::Process(_) | Self::OpenEnv(_) | Self::Agent(_) => Ok(Box::new(Recorded::new(self.name()))),
            Self::Flaky(flaky) => flaky.env.open_recorded(executor),
            _ => self.open(executor),
        }
    }

    /// Opens the environment. The executor of the calls also runs the programs that judge answers.
    ///
    /// # Errors
    /// As [`EnvSettings::open`].
    pub fn open(&self, executor: &ExecutorConfig) -> Result<Box<dyn Env>, EnvError> {
        self.settings().open(executor)
    }
}

/// Makes calls of another environment fail. Its settings are in `[env.flaky.env]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlakyConfig {
    /// Share of calls that time out.
    #[serde(default, deserialize_with = "Within::<0, 1>::read")]
    pub timeouts: f64,
    /// Share of calls that end with an error.
    #[serde(default, deserialize_with = "Within::<0, 1>::read")]
    pub errors: f64,
    /// Seed of the failures. Task, sample, turn and position of a call decide whether it fails. Its content
    /// doesn't.
    #[serde(default, deserialize_with = "Seed::read")]
    pub seed: u64,
    /// The environment whose tools fail.
    pub env: Box<EnvConfig>,
}

impl EnvSettings for FlakyConfig {
    fn conflict(&self) -> Option<Conflict> {
        let Self { timeouts, errors, .. } = *self;
        if let EnvConfig::Agent(_) = *self.env {
            return Some(Conflict::new("env", "names an agent, whose tools are its own"));
        }
        let message = format!("is {errors} beside timeouts = {timeouts}: together they may be 1 at most");
        // A sum of NaN isn't a share.
        let shares = timeouts + errors <= 1.0;
        let inner = || self.env.conflict().map(|conflict| conflict.under("env"));
        if shares { inner() } else { Some(Conflict::new("errors", message)) }
    }

    /// Opens the inner environment and puts the failures around it.
    fn open(&self, executor: &ExecutorConfig) -> Result<Box<dyn Env>, EnvError> {
        if let Some(Conflict { key, message }) = self.conflict() {
            return Err(EnvError::Config { env: "flaky", message: format!("{key} {message}") });
        }
        let Self { timeouts, errors, seed, .. } = *self;
        let failures = Failures { timeouts, errors, seed };
        Ok(Box::new(Flaky::new(self.env.open(executor)?, failures)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the TOML blocks of the environments' page.
    fn documented() -> Vec<EnvConfig> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct RunFile {
            env: EnvConfig,
        }
        let page = include_str!("../../../docs/environments.md");
        let blocks = page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        blocks.map(|block| toml::from_str::<RunFile>(block).expect(block).env).collect()
    }

    #[test]
    fn every_environment_is_documented_with_settings_that_load() {
        let mut names: Vec<&str> = documented().iter().map(EnvConfig::name).collect();
        names.sort_unstable();
        let mut known = EnvConfig::NAMES.to_vec();
        known.sort_unstable();
        assert_eq!(names, known);
    }

    #[test]
    fn the_template_without_rust_works_as_documented() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let is_command = |config: &EnvConfig| matches!(config, EnvConfig::Command(_));
        let Some(EnvConfig::Command(mut config)) = documented().into_iter().find(is_command) else {
            panic!("the page shows a command")
        };
        config.train = root.join(config.train);
        config.held_out = config.held_out.map(|path| root.join(path));
        config.check[1] = root.join(&config.check[1]).display().to_string();
        let env = EnvConfig::Command(config).open(&ExecutorConfig::default()).unwrap();
        let task = &env.held_out()[0];
        for (said, right) in
            [("Answer: dusty", true), ("Answer: study", false), ("Answer: dust", false), ("?", false)]
        {
            assert_eq!(env.is_correct(task, &env.answer(said).unwrap()).unwrap(), right, "{said}");
        }
    }

    #[test]
    fn the_executor_of_the_calls_judges_programs() {
        let open = |env: &str, executor: &str| {
            let env: EnvConfig = toml::from_str(env).unwrap();
            env.open(&toml::from_str(executor).unwrap()).err().map(|error| error.to_string())
        };
        let folder = tempfile::tempdir().unwrap();
        let file = |id: u32| {
            let path = folder.path().join(id.to_string());
            let record =
                "'entry_point': 'f', 'test': 'def check(candidate): candidate()'".replace('\'', "\"");
            let id = format!("\"task_id\": \"{id}\", \"prompt\": \"# {id}\"");
            std::fs::write(&path, format!("{{{id}, {record}}}")).unwrap();
            path.display().to_string()
        };
        let (arithmetic, lookup) = ("[arithmetic]\ntrain_tasks = 1", "[lookup]\ntrain_tasks = 1");
        let programs = "[programs]\ntrain_tasks = 1\nheld_out_tasks = 1";
        let human_eval = format!("[human_eval]\ntrain = {:?}\nheld_out = {:?}", file(0), file(1));
        let flaky = format!("[flaky.env{}", &programs.replacen('[', ".", 1));
        let elsewhere = "[python]\ninterpreter = \"/no/such/python\"";
        for env in [programs, &human_eval, &flaky] {
            assert_eq!(open(env, "[python]\nisolation = \"none\""), None, "{env}");
            let error = open(env, elsewhere).expect("it judges with the interpreter");
            assert!(error.contains("/no/such/python"), "{error}");
        }
        for env in [arithmetic, programs, &human_eval, &flaky] {
            let error = open(env, "[monty]").expect("it needs CPython");
            assert!(error.contains("the embedded interpreter can't run\n  hint: "), "{error}");
        }
        assert_eq!(open(lookup, "[monty]"), None);
        assert_eq!(open(lookup, elsewhere), None);
    }

    #[test]
    fn unknown_settings_are_refused_in_every_environment() {
        for config in documented() {
            let mut value = serde_json::to_value(&config).unwrap();
            let settings = value.as_object_mut().unwrap().values_mut().next().unwrap();
            settings.as_object_mut().unwrap().insert("typo".into(), true.into());
            let error = serde_json::from_value::<EnvConfig>(value).unwrap_err().to_string();
            assert!(error.contains("unknown field `typo`"), "{error}");
        }
    }

    #[test]
    fn settings_say_whether_their_environment_writes_demonstrations() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut opened = Vec::new();
        for text in [
            "[arithmetic]\ntrain_tasks = 1",
            "[lookup]\ntrain_tasks = 1",
            "[programs]\ntrain_tasks = 1\nheld_out_tasks = 1",
            "[flaky.env.lookup]\ntrain_tasks = 1",
            "[command]\ntrain = \"FILE\"\ncheck = [\"true\"]\nheld_out = \"OTHER\"",
            "[flaky.env.command]\ntrain = \"FILE\"\ncheck = [\"true\"]\nheld_out = \"OTHER\"",
        ] {
            let file =
                |name: &str| root.join("crates/envs/examples/checker").join(name).display().to_string();
            let text = text.replace("FILE", &file("train.jsonl")).replace("OTHER", &file("held_out.jsonl"));
            let config: EnvConfig = toml::from_str(&text).unwrap();
            let env = config.open(&ExecutorConfig::default()).unwrap();
            assert_eq!(config.demonstrates(), env.demonstration(0).is_some(), "{text}");
            opened.push(config.demonstrates());
        }
        assert_eq!(opened, [true, true, true, true, false, false]);
    }

    #[test]
    fn shares_beyond_one_are_refused() {
        for (timeouts, errors) in [(0.6, 0.6), (1.0, 0.1), (0.0, f64::NAN)] {
            let env = Box::new(EnvConfig::Arithmetic(ArithmeticConfig::default()));
            let config = EnvConfig::Flaky(FlakyConfig { timeouts, errors, seed: 0, env });
            assert!(config.open(&ExecutorConfig::default()).is_err(), "{timeouts} {errors}");
        }
    }
}
