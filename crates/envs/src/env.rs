//! What an environment is: one file per environment implements [`Env`].

use std::path::PathBuf;

use turnwise_tools::ToolSpec;
use turnwise_trajectory::{Message, OutputStatus, Role, ToolCall, ToolOutput, Trajectory};

use crate::answer::vote;

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

/// A question, with what is told before every question in front of it, if there is something.
pub(crate) fn asked(instruction: &str, question: impl Into<String>) -> Vec<Message> {
    let told = (!instruction.is_empty()).then(|| Message::new(Role::System, instruction));
    told.into_iter().chain([Message::new(Role::User, question)]).collect()
}

/// The question of a task.
pub(crate) fn question(task: &Task) -> &str {
    &task.messages.last().expect("a task has a question").content
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

/// A checked call, and where it stands in the play.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The problem.
    pub task: &'a Task,
    /// Index of the trajectory in its group.
    pub sample: u32,
    /// Index of the turn, from 0.
    pub turn: usize,
    /// Index of the call in its turn, from 0.
    pub position: usize,
    /// The call. It names a tool on offer and has its arguments.
    pub call: &'a ToolCall,
}

impl<'a> Request<'a> {
    /// The first call of a task's first trajectory.
    pub fn first(task: &'a Task, call: &'a ToolCall) -> Self {
        Self { task, sample: 0, turn: 0, position: 0, call }
    }

    /// A text argument; empty if it is absent, which a checked call rules out for required ones.
    pub fn text(&self, argument: &str) -> &'a str {
        self.call.arguments.get(argument).and_then(serde_json::Value::as_str).unwrap_or_default()
    }
}

/// What a call leads to.
#[derive(Debug, Clone, PartialEq)]
pub enum Response {
    /// This Python program runs, and its output is the call's.
    Run(String),
    /// Nothing runs; this is the output.
    Output(ToolOutput),
}

impl Response {
    /// A tool that answers by itself.
    pub fn says(text: impl Into<String>) -> Self {
        let stdout = text.into();
        Self::Output(ToolOutput {
            status: OutputStatus::Ok,
            stdout,
            value: None,
            error: None,
            truncated: false,
            wall_ms: 0.0,
            cpu_ms: 0.0,
        })
    }

    /// A call that fails with this line.
    pub fn fails(status: OutputStatus, line: impl Into<String>) -> Self {
        let Self::Output(output) = Self::says("") else { unreachable!("an output") };
        Self::Output(ToolOutput { status, error: Some(line.into()), ..output })
    }
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

    /// What a checked call leads to. The same request always gets the same response.
    fn respond(&self, request: &Request<'_>) -> Response;

    /// The final answer in the text of a turn without a call, if it holds one.
    fn answer(&self, text: &str) -> Option<String>;

    /// The final answer of a trajectory whose last turn has no call and wasn't cut off: by default the one in that
    /// turn's text. An environment whose answers are programs takes the last one that was tried.
    fn final_answer(&self, played: &Trajectory) -> Option<String> {
        self.answer(&played.turns.last()?.text)
    }

    /// Whether an answer is right. Anything doubtful is wrong.
    ///
    /// # Errors
    /// If what judges the answer (a sandbox, a command) is out of order. A wrong answer is no error.
    fn is_correct(&self, task: &Task, answer: &str) -> Result<bool, EnvError>;

    /// Returns the text by which a majority vote counts an answer: equal for answers of one value.
    ///
    /// It is empty where there is no answer. None if answers can't be compared, as programs can't; then there
    /// is no majority.
    fn vote(&self, task: &Task, answer: &str) -> Option<String> {
        Some(vote(&task.answer, answer))
    }

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
    /// An executor that judges answers can't be started.
    #[error(transparent)]
    Executor(#[from] turnwise_tools::ExecutorError),
    /// What judges answers is out of order.
    #[error("env.{env}: judging task {task}: {message}\n  hint: {hint}")]
    Judge {
        /// The environment's name.
        env: &'static str,
        /// The task's id.
        task: String,
        /// What went wrong.
        message: String,
        /// What to do.
        hint: &'static str,
    },
}
