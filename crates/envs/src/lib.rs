//! Defines environments: tasks, the tools on offer, the check of an answer, and the rewards of each turn.

mod answer;
mod arithmetic;
mod command;
mod config;
mod determinism;
mod env;
mod expression;
mod flaky;
mod human_eval;
mod judge;
mod lookup;
mod one_word;
mod process;
mod programs;
mod qa;
mod records;
mod reward;
mod same_question;
mod seed;
mod session;
mod settings;
mod stated;
mod story;
mod strategy_qa;
mod tasks;
#[cfg(test)]
mod testing;

pub use arithmetic::{Arithmetic, ArithmeticConfig};
pub use command::{CheckedByCommand, CommandConfig};
pub use config::{EnvConfig, FlakyConfig};
pub use determinism::difference;
pub use env::{DemoTurn, Demonstration, Env, EnvError};
pub use expression::Operator;
pub use flaky::Flaky;
pub use human_eval::{HumanEval, HumanEvalConfig};
pub use lookup::{Lookup, LookupConfig, Question};
pub use process::{Process, ProcessConfig};
pub use programs::{Programs, ProgramsConfig};
pub use qa::{Qa, QaConfig};
pub use records::read as read_records;
pub use reward::{RewardConfig, answer, score};
pub use session::{Closing, Opened, Session, Start, Step};
pub use settings::EnvSettings;
pub use strategy_qa::{StrategyQa, StrategyQaConfig};
pub use tasks::{Task, TaskSplit, Tasks};
