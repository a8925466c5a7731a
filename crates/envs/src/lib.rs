//! Defines environments: tasks, the tools on offer, the check of an answer, and the rewards of each turn.
//!
//! | question | type | file |
//! |---|---|---|
//! | what an environment is | [`Env`], [`Session`] | `env.rs`, `session.rs` |
//! | which ones there are | [`EnvConfig`] | `config.rs`: a line each; `tasks/`: a file each |
//! | what a turn earns | [`RewardConfig`], [`score`] | `reward.rs` |
//! | which answer is right | [`Env::is_correct`] | `answer.rs` for numbers, `judge.rs` for programs |
//! | what plays outside of this process | [`Process`], [`OpenEnv`], [`Agent`] | `process/`, `openenv/`, `agent/`; `outside/` for all |
//! | what follows a fault | [`Retries`] | `retries.rs` |
//!
//! `examples/own_env.rs` is a complete environment with its tests.

mod agent;
mod answer;
mod config;
mod determinism;
mod env;
mod flaky;
mod judge;
mod openenv;
mod opening;
pub mod outside;
mod process;
mod prompt;
mod reading;
mod recorded;
mod retries;
mod reward;
mod seed;
mod session;
mod settings;
mod tasks;
#[cfg(test)]
mod testing;

pub use agent::{Agent, AgentConfig, AgentEndpoint, Agents, Ran, Verdict};
pub use config::{EnvConfig, FlakyConfig};
pub use determinism::difference;
pub use env::{DemoAnswer, DemoTurn, Demonstration, Env, EnvError};
pub use flaky::Flaky;
pub use openenv::{OpenEnv, OpenEnvConfig};
pub use process::{Process, ProcessConfig};
pub use reading::read_tasks;
pub use retries::{Again, Retries};
pub use reward::{RewardConfig, answer, score};
pub use session::{Closing, Opened, Session, Start, Step};
pub use settings::EnvSettings;
pub use tasks::arithmetic::{Arithmetic, ArithmeticConfig};
pub use tasks::command::{CheckedByCommand, CommandConfig};
pub use tasks::expression::Operator;
pub use tasks::human_eval::{HumanEval, HumanEvalConfig};
pub use tasks::lookup::{Lookup, LookupConfig, Question};
pub use tasks::programs::{Programs, ProgramsConfig};
pub use tasks::qa::{Qa, QaConfig};
pub use tasks::strategy_qa::{StrategyQa, StrategyQaConfig};
pub use tasks::{Task, TaskSplit, Tasks};
