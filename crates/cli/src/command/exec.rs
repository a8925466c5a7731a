//! `turnwise exec`: runs code as a tool call would run.

use anyhow::Result;
use clap::Args;
use turnwise_tools::executor::{ExecutorConfig, PythonConfig};

use crate::failure::Usage;
use crate::{input, output};

#[derive(Args)]
pub(crate) struct Exec {
    /// What runs the code
    #[arg(long, value_name = "NAME", default_value = "python")]
    executor: String,
    /// Seconds of CPU time, and of wall time, before the code is stopped
    #[arg(long, value_name = "S")]
    timeout: Option<f64>,
    /// Memory that the code may use
    #[arg(long, value_name = "MIB")]
    memory: Option<u64>,
}

impl Exec {
    pub(crate) fn run(self) -> Result<()> {
        let executor = self.config()?.build()?;
        output::line(&executor.run(&input::stdin()?)?)?;
        Ok(())
    }

    fn config(&self) -> Result<ExecutorConfig> {
        if let Some(seconds) = self.timeout.filter(|s| !(*s > 0.0 && s.is_finite())) {
            return Err(Usage(format!("--timeout {seconds}: not a number above 0")).into());
        }
        match self.executor.as_str() {
            "python" => {
                let default = PythonConfig::default();
                Ok(ExecutorConfig::Python(PythonConfig {
                    cpu_seconds: self.timeout.unwrap_or(default.cpu_seconds),
                    wall_seconds: self.timeout.unwrap_or(default.wall_seconds),
                    memory_mib: self.memory.unwrap_or(default.memory_mib),
                    ..default
                }))
            }
            other => Err(Usage(format!("--executor {other}: unknown\n  hint: one of python")).into()),
        }
    }
}
