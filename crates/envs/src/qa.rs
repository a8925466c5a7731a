//! Questions with a numeric answer, read from JSONL files as GSM8K is published (arXiv:2110.14168): one
//! object a line, `{"question": "…", "answer": "… #### 42"}`; or as SVAMP's records (arXiv:2103.07191):
//! `{"Body": "…", "Question": "…", "Answer": 42.0}`. One JSON array of records, as SVAMP is published, is
//! read as well. The tool is Python, unrestricted but for the executor's limits.

mod form;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use turnwise_runfile::Within;
use turnwise_tools::executor::ExecutorConfig;
use turnwise_tools::{Fault, PythonTool, ToolSpec};

use crate::answer::{after_mark, parse};
use crate::env::{Env, EnvError};
use crate::records;
use crate::same_question::normal;
use crate::session::{Opened, Start};
use crate::settings::EnvSettings;
use crate::stated::stated_at;
use crate::tasks::{Task, Tasks, asked, question};
use form::{pair, short};

/// Settings of the question/answer environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QaConfig {
    /// The tasks to train on: JSON lines, or one JSON array.
    pub train: PathBuf,
    /// The tasks held out, in the same form. It may share no question with `train`, however it is written.
    pub held_out: PathBuf,
    /// How many tasks to read of each file, from its start; without it, all.
    #[serde(default, deserialize_with = "Within::<1, 1_000_000_000>::read")]
    pub limit: Option<usize>,
    /// A text before every question, which tells the policy where its answer is read. Empty for none.
    #[serde(default = "instruction")]
    pub instruction: String,
}

fn instruction() -> String {
    "Solve the problem; the tool computes. End your last message with Answer: and the number.".into()
}

impl EnvSettings for QaConfig {
    fn open(&self, _: &ExecutorConfig) -> Result<Box<dyn Env>, EnvError> {
        Ok(Box::new(Qa::new(self)?))
    }
}

/// What stands before the answer in the data, and may stand there in a completion.
const MARK: &str = "####";

/// The environment.
pub struct Qa {
    tasks: Tasks,
}

impl Qa {
    /// Reads both files. Fails at the first line that isn't a question with one exact number as its answer.
    pub fn new(config: &QaConfig) -> Result<Self, EnvError> {
        let train = read(&config.train, "train", config, &HashSet::new())?;
        let seen = train.iter().map(|task| normal(question(task))).collect();
        let held_out = read(&config.held_out, "held-out", config, &seen)?;
        Ok(Self { tasks: Tasks { train, held_out, tools: vec![ToolSpec::python()] } })
    }
}

/// The tasks of a file, none of whose questions may be in `taken`.
fn read(path: &Path, split: &str, config: &QaConfig, taken: &HashSet<String>) -> Result<Vec<Task>, EnvError> {
    let mut tasks = Vec::new();
    for record in records::texts(path)? {
        if config.limit.is_some_and(|limit| tasks.len() == limit) {
            break;
        }
        let (number, record) = record?;
        let broken = |message: String| records::line_error(path, number, message);
        let (question, answer) = pair(&record).map_err(broken)?;
        if taken.contains(&normal(&question)) {
            return Err(broken(format!(
                "the question {:?} is in env.qa.train as well\n  hint: give a file that training never sees",
                short(&question)
            )));
        }
        tasks.push(Task {
            id: format!("qa/{split}/{number}"),
            level: 0,
            messages: asked(&config.instruction, question),
            answer,
        });
    }
    if tasks.is_empty() {
        let message = format!("{} holds no task: give a file with one JSON object per line", path.display());
        return Err(EnvError::Config { env: "qa", message });
    }
    Ok(tasks)
}

/// The inside of a text that starts just after `\boxed{`.
fn boxed(text: &str) -> Option<&str> {
    let mut depth = 1;
    for (at, c) in text.char_indices() {
        depth += match c {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        if depth == 0 {
            return Some(&text[..at]);
        }
    }
    None
}

impl Env for Qa {
    fn name(&self) -> &'static str {
        "qa"
    }

    fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    fn session<'a>(&'a self, start: Start<'a>) -> Result<Opened<'a>, Fault> {
        Ok(Opened::stateless(PythonTool::new(start.sandbox)))
    }

    /// The number inside the last `\boxed{}`, or after the last `Answer:` or `####` up to the end of the
    /// text, whichever comes last; in lowest terms.
    fn answer(&self, text: &str) -> Option<String> {
        let after = |mark: &str| text.rfind(mark).map(|at| at + mark.len());
        let (in_box, marked) = (after("\\boxed{"), stated_at(text).max(after(MARK)));
        let answer =
            if in_box > marked { parse(boxed(&text[in_box?..])?) } else { after_mark(&text[marked?..]) };
        answer.map(|answer| answer.to_string())
    }

    /// Exact equality of fractions and units; a right answer without a unit leaves it open.
    fn is_correct(&self, task: &Task, answer: &str) -> Result<bool, EnvError> {
        Ok(parse(answer).is_some_and(|given| parse(&task.answer).is_some_and(|right| right.agrees(&given))))
    }
}

#[cfg(test)]
mod tests;
