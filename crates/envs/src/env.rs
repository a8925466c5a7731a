//! Defines environments: one file per environment implements [`Env`].

use turnwise_tools::{Fault, ToolSpec};
use turnwise_trajectory::{ToolCall, Trajectory};

use crate::agent::Agent;
use crate::answer::vote;
use crate::session::{Opened, Start};
use crate::tasks::{Task, TaskSplit, Tasks};

/// Holds a solution in the environment's words, for a cold start.
#[derive(Debug, Clone, PartialEq)]
pub struct Demonstration {
    /// The problem.
    pub task: Task,
    /// The turns that solve it. The last one has no call.
    pub turns: Vec<DemoTurn>,
}

/// Holds one turn of a demonstration.
#[derive(Debug, Clone, PartialEq)]
pub struct DemoTurn {
    /// Text before the call, or the final answer.
    pub text: String,
    /// The call and the answer to it.
    pub call: Option<(ToolCall, DemoAnswer)>,
}

/// Answers a call of a demonstration.
#[derive(Debug, Clone, PartialEq)]
pub enum DemoAnswer {
    /// The tool's output.
    Output(String),
    /// Says that the call is malformed, which it is because its text is cut before its end.
    Malformed,
}

impl DemoAnswer {
    /// Returns the tool's output, if the call reaches the tool.
    pub fn output(&self) -> Option<&str> {
        match self {
            Self::Output(output) => Some(output),
            Self::Malformed => None,
        }
    }
}

/// Provides tasks, their sessions and the judgement of answers.
pub trait Env: Send + Sync {
    /// Returns the name in configurations.
    fn name(&self) -> &'static str;

    /// Returns the tasks and the tools on offer.
    fn tasks(&self) -> &Tasks;

    /// Opens a session for one trajectory. Equal starts get sessions that answer equal turns equally.
    ///
    /// # Errors
    /// If the environment fails; see [`Session::step`](crate::Session::step).
    fn session<'a>(&'a self, start: Start<'a>) -> Result<Opened<'a>, Fault>;

    /// Returns how many sessions may wait at a time for something outside this process.
    ///
    /// With 0, sessions never wait. They are opened, stepped and closed between other work, without a thread.
    fn waiting_at_once(&self) -> usize {
        0
    }

    /// Closes sessions that were opened to read tasks and that no trajectory plays in.
    fn close_openings(&self) {}

    /// Fails if no session can be played any more.
    ///
    /// # Errors
    /// The reason.
    fn check(&self) -> Result<(), EnvError> {
        Ok(())
    }

    /// Returns the agent whose programs play the tasks, instead of sessions.
    fn agent(&self) -> Option<&Agent> {
        None
    }

    /// Returns the lines that programs of the environment have written to stderr since the last call.
    fn take_log(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns the tasks to train on, in a fixed order.
    fn train(&self) -> &[Task] {
        &self.tasks().train
    }

    /// Returns the tasks that training never sees.
    fn held_out(&self) -> &[Task] {
        &self.tasks().held_out
    }

    /// Returns the number of tasks of a split.
    fn count(&self, split: TaskSplit) -> usize {
        match split {
            TaskSplit::Train => self.train().len(),
            TaskSplit::HeldOut => self.held_out().len(),
        }
    }

    /// Returns the task at an index of a split. An external environment may create the task only now.
    ///
    /// # Errors
    /// If the environment can't give the task.
    ///
    /// # Panics
    /// If `index` isn't below [`Env::count`].
    fn task(&self, split: TaskSplit, index: usize) -> Result<Task, EnvError> {
        let tasks = match split {
            TaskSplit::Train => self.train(),
            TaskSplit::HeldOut => self.held_out(),
        };
        Ok(tasks[index].clone())
    }

    /// Returns the tools on offer.
    fn tools(&self) -> &[ToolSpec] {
        &self.tasks().tools
    }

    /// Returns how many sessions may be open at a time. Other trajectories wait until one has ended.
    fn sessions_at_once(&self) -> usize {
        usize::MAX
    }

    /// Returns how many sessions may be open at a time so that no two share a process.
    fn alone_at_once(&self) -> usize {
        1
    }

    /// Returns the final answer in the text of a turn without a call, if it holds one.
    fn answer(&self, text: &str) -> Option<String>;

    /// Returns the final answer of a trajectory whose last turn has no call and wasn't cut off.
    ///
    /// By default it is the answer in that turn's text. An environment whose answers are programs takes the
    /// last one that was tried.
    fn final_answer(&self, played: &Trajectory) -> Option<String> {
        self.answer(&played.turns.last()?.text)
    }

    /// Returns whether an answer is right. A doubtful one is wrong.
    ///
    /// # Errors
    /// If the judge of the answer (a sandbox, a command) fails. A wrong answer isn't an error.
    fn is_correct(&self, task: &Task, answer: &str) -> Result<bool, EnvError>;

    /// Returns the text by which a majority vote counts an answer: equal for answers of one value.
    ///
    /// It is empty without an answer. None means that answers can't be compared, as programs can't, and there
    /// is no majority.
    fn vote(&self, task: &Task, answer: &str) -> Option<String> {
        Some(vote(&task.answer, answer))
    }

    /// Returns the demonstration at an index of an endless, seeded stream without held-out tasks.
    ///
    /// None if the environment can't solve its tasks.
    fn demonstration(&self, index: u64) -> Option<Demonstration> {
        let _ = index;
        None
    }
}

/// Writes the methods of an [`Env`] around another one that it never changes. The other one is its field
/// `inner`.
///
/// The wrapper itself writes `tasks`, `session`, `take_log`, `waiting_at_once`, `sessions_at_once` and
/// `alone_at_once`.
#[macro_export]
macro_rules! forward_env {
    () => {
        fn name(&self) -> &'static str {
            self.inner.name()
        }

        fn agent(&self) -> Option<&$crate::Agent> {
            self.inner.agent()
        }

        fn check(&self) -> Result<(), $crate::EnvError> {
            self.inner.check()
        }

        fn close_openings(&self) {
            self.inner.close_openings();
        }

        fn count(&self, split: $crate::TaskSplit) -> usize {
            self.inner.count(split)
        }

        fn task(&self, split: $crate::TaskSplit, index: usize) -> Result<$crate::Task, $crate::EnvError> {
            self.inner.task(split, index)
        }

        fn answer(&self, text: &str) -> Option<String> {
            self.inner.answer(text)
        }

        fn final_answer(&self, played: &::turnwise_trajectory::Trajectory) -> Option<String> {
            self.inner.final_answer(played)
        }

        fn is_correct(&self, task: &$crate::Task, answer: &str) -> Result<bool, $crate::EnvError> {
            self.inner.is_correct(task, answer)
        }

        fn vote(&self, task: &$crate::Task, answer: &str) -> Option<String> {
            self.inner.vote(task, answer)
        }

        fn demonstration(&self, index: u64) -> Option<$crate::Demonstration> {
            self.inner.demonstration(index)
        }
    };
}

/// Says why an environment can't be opened, or an answer can't be judged.
#[derive(Debug, thiserror::Error)]
pub enum EnvError {
    /// The data can't be read, or a row of it is broken.
    #[error(transparent)]
    Data(#[from] turnwise_datasets::DataError),
    /// The configuration is contradictory.
    #[error("env.{env}: {message}")]
    Config {
        /// The environment's name.
        env: &'static str,
        /// The fault, with the value.
        message: String,
    },
    /// An executor that judges answers can't be started.
    #[error(transparent)]
    Executor(#[from] turnwise_tools::ExecutorError),
    /// The judge of answers fails.
    #[error("env.{env}: judging task {task}: {message}\n  hint: {hint}")]
    Judge {
        /// The environment's name.
        env: &'static str,
        /// The task's id.
        task: String,
        /// The failure.
        message: String,
        /// Advice for the user.
        hint: &'static str,
    },
}
