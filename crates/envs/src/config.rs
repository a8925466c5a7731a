//! Choosing an environment in a run file: `[env.arithmetic]`.

use serde::{Deserialize, Serialize};

use crate::arithmetic::{Arithmetic, ArithmeticConfig};
use crate::command::{CheckedByCommand, CommandConfig};
use crate::env::{Env, EnvError};
use crate::flaky::{Flaky, FlakyConfig};
use crate::human_eval::{HumanEval, HumanEvalConfig};
use crate::lookup::{Lookup, LookupConfig};
use crate::programs::{Programs, ProgramsConfig};
use crate::qa::{Qa, QaConfig};
use crate::strategy_qa::{StrategyQa, StrategyQaConfig};

/// The environments. A new one is a file and a line here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum EnvConfig {
    /// Nested integer expressions, one operation per call.
    Arithmetic(ArithmeticConfig),
    /// Questions and numeric answers from JSONL files, with a free Python tool.
    Qa(QaConfig),
    /// Procedural questions over several facts, one lookup per call.
    Lookup(LookupConfig),
    /// StrategyQA's yes/no questions, with a search over its facts.
    StrategyQa(StrategyQaConfig),
    /// Procedural functions to write, with examples to try them on and hidden tests.
    Programs(ProgramsConfig),
    /// HumanEval's functions to write.
    HumanEval(HumanEvalConfig),
    /// Tasks from a file, checked by a command of the user's.
    Command(CommandConfig),
    /// Any of the others, with tools that fail on purpose.
    Flaky(FlakyConfig),
}

impl EnvConfig {
    /// Opens the environment.
    pub fn open(&self) -> Result<Box<dyn Env>, EnvError> {
        Ok(match self {
            Self::Arithmetic(config) => Box::new(Arithmetic::new(config.clone())?),
            Self::Qa(config) => Box::new(Qa::new(config)?),
            Self::Lookup(config) => Box::new(Lookup::new(config.clone())?),
            Self::StrategyQa(config) => Box::new(StrategyQa::new(config)?),
            Self::Programs(config) => Box::new(Programs::new(config.clone())?),
            Self::HumanEval(config) => Box::new(HumanEval::new(config)?),
            Self::Command(config) => Box::new(CheckedByCommand::new(config)?),
            Self::Flaky(config) => Box::new(Flaky::new(config)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The TOML blocks of the environments' page.
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
        let mut names: Vec<String> = documented()
            .iter()
            .map(|config| {
                let value = serde_json::to_value(config).unwrap();
                value.as_object().unwrap().keys().next().unwrap().clone()
            })
            .collect();
        names.sort();
        let error = serde_json::from_str::<EnvConfig>("{\"?\": {}}").unwrap_err().to_string();
        let mut known: Vec<&str> = error.split('`').skip(3).step_by(2).collect();
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
        config.held_out = root.join(config.held_out);
        config.check[1] = root.join(&config.check[1]).display().to_string();
        let env = EnvConfig::Command(config).open().unwrap();
        let task = &env.held_out()[0];
        for (said, right) in
            [("Answer: dusty", true), ("Answer: study", false), ("Answer: dust", false), ("?", false)]
        {
            assert_eq!(env.is_correct(task, &env.answer(said).unwrap()).unwrap(), right, "{said}");
        }
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
}
