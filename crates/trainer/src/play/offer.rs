//! Opens an environment with the servers whose tools it offers.

use std::collections::BTreeMap;

use turnwise_envs::{Env, EnvConfig};
use turnwise_mcp::{McpConfig, WithTools};
use turnwise_tools::executor::ExecutorConfig;

use crate::config::{AGENT_HAS_TOOLS, RunConfig, SftConfig};
use crate::error::TrainError;

static NO_SERVERS: BTreeMap<String, McpConfig> = BTreeMap::new();

/// Holds the parts of a run file that decide on tasks and tools.
#[derive(Clone, Copy)]
pub struct Offer<'a> {
    env: &'a EnvConfig,
    tools: &'a BTreeMap<String, McpConfig>,
    /// Whether all trajectories are in records, so that nothing has to be started.
    recorded: bool,
}

impl<'a> From<&'a EnvConfig> for Offer<'a> {
    fn from(env: &'a EnvConfig) -> Self {
        Self { env, tools: &NO_SERVERS, recorded: false }
    }
}

impl RunConfig {
    /// Returns the tasks and tools of the run.
    pub fn offer(&self) -> Offer<'_> {
        Offer { env: &self.env, tools: &self.tools, recorded: false }
    }

    /// Returns what a run needs whose trajectories are all in records, with the outputs of their tools.
    pub(crate) fn offer_of_records(&self) -> Offer<'_> {
        Offer { recorded: true, ..Offer::from(&self.env) }
    }
}

impl SftConfig {
    /// Returns the tasks and tools of the demonstrations and of the evaluation, if there are any.
    pub fn offer(&self) -> Option<Offer<'_>> {
        self.env.as_ref().map(|env| Offer { env, tools: &self.tools, recorded: false })
    }
}

impl Offer<'_> {
    /// Opens the environment and starts the servers.
    ///
    /// # Errors
    /// If one of them can't be used, or two tools have one name.
    pub fn open(self, executor: &ExecutorConfig) -> Result<Box<dyn Env>, TrainError> {
        if self.recorded {
            return Ok(self.env.open_recorded(executor)?);
        }
        let env = self.env.open(executor)?;
        if self.tools.is_empty() {
            return Ok(env);
        }
        if env.agent().is_some() {
            return Err(TrainError::Input(format!("tools {AGENT_HAS_TOOLS}")));
        }
        Ok(Box::new(WithTools::new(env, turnwise_mcp::open(self.tools)?)?))
    }
}
