//! Choosing an environment in a run file: `[env.arithmetic]`.

use serde::{Deserialize, Serialize};

use crate::arithmetic::{Arithmetic, ArithmeticConfig};
use crate::env::{Env, EnvError};

/// The environments. A new one is a file and a line here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum EnvConfig {
    /// Nested integer expressions, one operation per call.
    Arithmetic(ArithmeticConfig),
}

impl EnvConfig {
    /// Opens the environment.
    pub fn open(&self) -> Result<Box<dyn Env>, EnvError> {
        Ok(match self {
            Self::Arithmetic(config) => Box::new(Arithmetic::new(config.clone())?),
        })
    }
}
