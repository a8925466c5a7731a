//! Choosing an environment in a run file: `[env.arithmetic]`.

use serde::{Deserialize, Serialize};

use crate::arithmetic::{Arithmetic, ArithmeticConfig};
use crate::env::{Env, EnvError};
use crate::qa::{Qa, QaConfig};

/// The environments. A new one is a file and a line here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum EnvConfig {
    /// Nested integer expressions, one operation per call.
    Arithmetic(ArithmeticConfig),
    /// Questions and numeric answers from JSONL files, with a free Python tool.
    Qa(QaConfig),
}

impl EnvConfig {
    /// Opens the environment.
    pub fn open(&self) -> Result<Box<dyn Env>, EnvError> {
        Ok(match self {
            Self::Arithmetic(config) => Box::new(Arithmetic::new(config.clone())?),
            Self::Qa(config) => Box::new(Qa::new(config)?),
        })
    }
}
