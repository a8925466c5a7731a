//! Environments: tasks, the tools they offer, how an answer is checked, and the reward of each turn.

mod answer;
mod arithmetic;
mod config;
mod env;
mod expression;
mod qa;
mod reward;
mod seed;

pub use arithmetic::{Arithmetic, ArithmeticConfig};
pub use config::EnvConfig;
pub use env::{DemoTurn, Demonstration, Env, EnvError, Request, Response, Task};
pub use expression::Operator;
pub use qa::{Qa, QaConfig};
pub use reward::{RewardConfig, answer, score};
