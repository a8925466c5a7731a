//! What an environment is: one file per environment implements [`Env`].

use std::path::PathBuf;

use turnwise_tools::ToolSpec;
use turnwise_trajectory::{Message, ToolCall};

/// One problem.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Unique in its environment and the same in every run: it names the group and seeds its sampling.
    pub id: String,
    /// Difficulty, as the environment counts it.
    pub level: u32,
    /// What the policy is told, without the description of the tools.
    pub messages: Vec<Message>,
    /// The right answer, in the environment's own form.
    pub answer: String,
}

/// A solution in the environment's own words, for a cold start.
#[derive(Debug, Clone, PartialEq)]
pub struct Demonstration {
    /// The problem.
    pub task: Task,
    /// The turns that solve it; the last one has no call.
    pub turns: Vec<DemoTurn>,
}

/// One turn of a demonstration.
#[derive(Debug, Clone, PartialEq)]
pub struct DemoTurn {
    /// Text before the call, or the final answer.
    pub text: String,
    /// The call and the text that the tool gives back.
    pub call: Option<(ToolCall, String)>,
}

/// Tasks and everything that is particular to them.
pub trait Env: Send + Sync {
    /// The name in configs.
    fn name(&self) -> &'static str;

    /// Tasks to train on, in a fixed order.
    fn train(&self) -> &[Task];

    /// Tasks that training never sees.
    fn held_out(&self) -> &[Task];

    /// The tools on offer.
    fn tools(&self) -> &[ToolSpec];

    /// The Python program that a checked call runs, or text for the model if it may not run.
    fn program(&self, task: &Task, call: &ToolCall) -> Result<String, String>;

    /// The final answer in the text of a turn without a call, if it holds one.
    fn answer(&self, text: &str) -> Option<String>;

    /// Whether an answer is right. Anything doubtful is wrong.
    fn is_correct(&self, task: &Task, answer: &str) -> bool;

    /// The `index`-th demonstration of an endless, seeded stream that avoids held-out tasks; none if the environment
    /// can't solve its own tasks.
    fn demonstration(&self, index: u64) -> Option<Demonstration> {
        let _ = index;
        None
    }
}

/// An environment that can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum EnvError {
    /// The data can't be read.
    #[error("{path}: {source}\n  hint: {hint}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
        /// What to do.
        hint: &'static str,
    },
    /// A line of the data is broken.
    #[error("{path}:{line}: {message}")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong, with the value and a hint.
        message: String,
    },
    /// The configuration makes no sense.
    #[error("env.{env}: {message}")]
    Config {
        /// The environment's name.
        env: &'static str,
        /// What is wrong, with the value.
        message: String,
    },
}
