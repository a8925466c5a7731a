//! Environments: tasks, the tools they offer, how an answer is checked, and the reward of each turn.

mod env;
mod reward;

pub use env::{DemoTurn, Demonstration, Env, EnvError, Task};
pub use reward::{RewardConfig, answer, score};
