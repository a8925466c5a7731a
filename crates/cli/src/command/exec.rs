//! `turnwise exec`: runs code as a tool call would run.

use std::io::BufRead;

use anyhow::{Context, Result};
use clap::Args;
use serde::{Deserialize, Serialize};
use turnwise_runfile::{Seconds, Within};
use turnwise_tools::Executor;
use turnwise_tools::executor::{ExecutorConfig, MontyConfig, PythonConfig};
use turnwise_trajectory::ToolOutput;

use crate::failure::Usage;
use crate::{input, output};

#[derive(Args)]
pub(crate) struct Exec {
    /// Executor of the code
    #[arg(long, value_name = "NAME", default_value = "python")]
    executor: String,
    /// Read JSON lines {"code": "…"} and keep the state between them; one line of output for each
    #[arg(long)]
    session: bool,
    /// Seconds of CPU time, and of wall time, before the code is stopped
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    #[arg(value_parser = Seconds::parse::<f64>)]
    timeout: Option<f64>,
    /// Memory that the code may use
    #[arg(long, value_name = "MIB", allow_negative_numbers = true)]
    #[arg(value_parser = Within::<1, 16_777_216>::parse::<u64>)]
    memory: Option<u64>,
}

/// Holds the result of a run of code, with its times.
#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    output: ToolOutput,
    wall_ms: f64,
    cpu_ms: f64,
}

impl Answer {
    fn new(output: ToolOutput) -> Self {
        Self { wall_ms: output.wall_ms, cpu_ms: output.cpu_ms, output }
    }
}

/// Holds a line of a session.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cell {
    code: String,
}

impl Exec {
    pub(crate) fn run(self) -> Result<()> {
        let executor = self.config()?.build()?;
        if self.session {
            return session(&*executor);
        }
        output::line(&Answer::new(executor.run(&input::stdin()?)?))?;
        Ok(())
    }

    fn config(&self) -> Result<ExecutorConfig> {
        match self.executor.as_str() {
            "python" => {
                let default = PythonConfig::default();
                Ok(ExecutorConfig::Python(PythonConfig {
                    cpu_seconds: self.timeout.unwrap_or(default.cpu_seconds),
                    wall_seconds: self.timeout.unwrap_or(default.wall_seconds),
                    memory_mib: self.memory.unwrap_or(default.memory_mib),
                    // One execution at a time needs one interpreter.
                    workers: Some(1),
                    ..default
                }))
            }
            "monty" => {
                let default = MontyConfig::default();
                Ok(ExecutorConfig::Monty(MontyConfig {
                    cpu_seconds: self.timeout.unwrap_or(default.cpu_seconds),
                    wall_seconds: self.timeout.unwrap_or(default.wall_seconds),
                    memory_mib: self.memory.unwrap_or(default.memory_mib),
                    workers: Some(1),
                    ..default
                }))
            }
            other => Err(Usage(format!("--executor {other}: unknown\n  hint: one of python, monty")).into()),
        }
    }
}

/// Answers each line before it reads the next, so that another program can use it interactively.
fn session(executor: &dyn Executor) -> Result<()> {
    let mut session = executor.session()?;
    for (number, line) in std::io::stdin().lock().lines().enumerate() {
        let place = format!("stdin:{}", number + 1);
        let line = line.with_context(|| place.clone())?;
        if !line.trim().is_empty() {
            let cell: Cell = input::json(&place, &line)?;
            output::line(&Answer::new(session.run(&cell.code)?))?;
        }
    }
    Ok(())
}
