//! Environments: tasks, the tools they offer, how an answer is checked, and the reward of each turn.

mod arithmetic;
mod config;
mod env;
mod expression;
mod reward;

pub use arithmetic::{Arithmetic, ArithmeticConfig};
pub use config::EnvConfig;
pub use env::{DemoTurn, Demonstration, Env, EnvError, Task};
pub use expression::Operator;
pub use reward::{RewardConfig, answer, score};
