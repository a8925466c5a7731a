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
