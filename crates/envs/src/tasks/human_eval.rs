//! Poses program synthesis from files in HumanEval's form (arXiv:2107.03374) or MBPP's (arXiv:2108.07732),
//! see `form.rs`. The tool tries a program on the examples that the task shows. An answer is right if the
//! last program that was tried passes the hidden tests.

mod form;
mod problems;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use turnwise_runfile::Conflict;
use turnwise_tools::executor::{ExecutorConfig, PythonConfig};
use turnwise_tools::{Fault, PythonTool, ToolSpec};
use turnwise_trajectory::{Message, Role, Trajectory};

use crate::env::{Env, EnvError};
use crate::judge::{Judge, ended, examples_program, last_program};
use crate::session::{Opened, Start};
use crate::settings::{EnvSettings, cpython};
use crate::tasks::{Task, Tasks};
use form::{Problem, Split};
use problems::{Placed, can_judge, differ, read};

/// Configures the problems of HumanEval or MBPP, or others in the form of one of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HumanEvalConfig {
    /// The problems to train on, in HumanEval's form or MBPP's. The file holds JSON lines or one JSON array,
    /// plain or in gzip, or it is parquet.
    pub train: PathBuf,
    /// The problems held out. MBPP's file in both keys is split as published: task_ids 11 to 510 are held
    /// out, and 601 to 974 are trained on.
    pub held_out: PathBuf,
    /// Columns of the files by the names that are read, such as `task_id`, `prompt`, `entry_point` and
    /// `test`.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
}

/// Columns of HumanEval and MBPP.
const COLUMNS: [&str; 9] = [
    "code",
    "entry_point",
    "prompt",
    "task_id",
    "test",
    "test_imports",
    "test_list",
    "test_setup_code",
    "text",
];

impl EnvSettings for HumanEvalConfig {
    fn conflict(&self) -> Option<Conflict> {
        turnwise_datasets::conflict(&self.columns, &COLUMNS)
    }

    fn open(&self, executor: &ExecutorConfig) -> Result<Box<dyn Env>, EnvError> {
        Ok(Box::new(HumanEval::new(self, cpython("human_eval", executor)?)?))
    }
}

const INSTRUCTION: &str = "Write the whole function and try it with the tool. When it's right, end with \
                           `Answer: done`: the last program that you tried is your answer.";

/// Poses problems of HumanEval or MBPP.
pub struct HumanEval {
    judge: Judge,
    tasks: Tasks,
    problems: HashMap<String, Problem>,
}

impl HumanEval {
    /// Reads the problems and starts the sandbox that judges programs, with the settings of the calls'
    /// sandbox.
    ///
    /// # Errors
    /// If a file can't be read, a problem is in both, or the tests of a held-out problem can't judge any
    /// program.
    pub fn new(config: &HumanEvalConfig, python: &PythonConfig) -> Result<Self, EnvError> {
        let one_file = config.train == config.held_out;
        let columns = &config.columns;
        let held_out = read(&config.held_out, columns, one_file.then_some(Split::HeldOut))?;
        let train = read(&config.train, columns, one_file.then_some(Split::Train))?;
        differ(config, &held_out, &train)?;
        let judge = Judge::open("human_eval", python)?;
        // Training names such a problem when it is played, and goes on.
        can_judge(&judge, &config.held_out, &held_out)?;
        let tasks = |problems: &[Placed]| problems.iter().map(|(_, problem)| task(problem)).collect();
        let tools = vec![ToolSpec::python()];
        let tasks = Tasks { train: tasks(&train), held_out: tasks(&held_out), tools };
        let problems = held_out.into_iter().chain(train).map(|(_, problem)| (problem.id.clone(), problem));
        Ok(Self { judge, tasks, problems: problems.collect() })
    }

    fn problem(&self, task: &Task) -> &Problem {
        self.problems.get(&task.id).unwrap_or_else(|| panic!("{}: a task of another environment", task.id))
    }
}

fn task(problem: &Problem) -> Task {
    let messages =
        vec![Message::new(Role::System, INSTRUCTION), Message::new(Role::User, problem.prompt.as_str())];
    Task { id: problem.id.clone(), level: 1, messages, answer: String::new() }
}

impl Env for HumanEval {
    fn name(&self) -> &'static str {
        "human_eval"
    }

    fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    fn session<'a>(&'a self, start: Start<'a>) -> Result<Opened<'a>, Fault> {
        let Problem { exam, examples, .. } = self.problem(start.task);
        let program = move |code: &str| examples_program(&exam.context, code, examples);
        Ok(Opened::stateless(PythonTool::running(start.sandbox, program)))
    }

    fn answer(&self, text: &str) -> Option<String> {
        ended(text)
    }

    fn final_answer(&self, played: &Trajectory) -> Option<String> {
        last_program(played)
    }

    fn is_correct(&self, task: &Task, answer: &str) -> Result<bool, EnvError> {
        self.judge.passes(&task.id, answer, &self.problem(task).exam)
    }

    /// Programs aren't compared by what they compute.
    fn vote(&self, _: &Task, _: &str) -> Option<String> {
        None
    }
}
