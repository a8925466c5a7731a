//! Poses questions with a numeric answer, read from files as GSM8K and SVAMP are published, and from those of
//! TRL and verl; see `form.rs`. The tool is Python, unrestricted but for the executor's limits.

mod form;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use turnwise_runfile::{Conflict, Seed, Within};
use turnwise_tools::executor::ExecutorConfig;
use turnwise_tools::{Fault, PythonTool, ToolSpec};

use crate::answer::{after_mark, parse};
use crate::env::{Env, EnvError};
use crate::session::{Opened, Start};
use crate::settings::EnvSettings;
use crate::tasks::stated::stated_at;
use crate::tasks::task_files::TaskFiles;
use crate::tasks::{Task, Tasks, instructed};
use form::{COLUMNS, pair};

/// Configures questions with numeric answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QaConfig {
    /// The tasks to train on: JSON lines or one JSON array, plain or in gzip, or parquet.
    pub train: PathBuf,
    /// The tasks held out, in the same form; or give `held_out_tasks`. No question may also be in `train`,
    /// even spelled differently.
    pub held_out: Option<PathBuf>,
    /// Number of tasks of `train` to hold out if `held_out` is unset. `seed` draws them.
    #[serde(default, deserialize_with = "Within::<1, 1_000_000_000>::read")]
    pub held_out_tasks: Option<usize>,
    /// Number of tasks to read from the start of each file; unset, all.
    #[serde(default, deserialize_with = "Within::<1, 1_000_000_000>::read")]
    pub limit: Option<usize>,
    /// Whether `seed` shuffles each file before `limit` counts.
    #[serde(default)]
    pub shuffle: bool,
    /// Seed of the shuffle and of the split.
    #[serde(default, deserialize_with = "Seed::read")]
    pub seed: u64,
    /// Columns of the files by the names that are read, `question` and `answer`: `question = "problem"`. A
    /// path may lead into structs: `answer = "reward_model.ground_truth"`.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
    /// A system message before every question, which tells the policy how to state its answer. Empty for
    /// none.
    #[serde(default = "instruction")]
    pub instruction: String,
}

fn instruction() -> String {
    "Solve the problem; the tool computes. End your last message with Answer: and the number.".into()
}

impl EnvSettings for QaConfig {
    fn conflict(&self) -> Option<Conflict> {
        let of_columns = || turnwise_datasets::conflict(&self.columns, &COLUMNS);
        TaskFiles::conflict(self.held_out.as_ref(), self.held_out_tasks).or_else(of_columns)
    }

    fn open(&self, _: &ExecutorConfig) -> Result<Box<dyn Env>, EnvError> {
        Ok(Box::new(Qa::new(self)?))
    }
}

/// The mark before the answer in the data, and possibly in a completion.
const MARK: &str = "####";

/// Poses questions with a numeric answer.
pub struct Qa {
    tasks: Tasks,
}

impl QaConfig {
    /// Returns the instruction that stands before questions by default.
    pub fn default_instruction() -> String {
        instruction()
    }
}

impl Qa {
    /// Reads the files. Fails at the first row that isn't a question with one exact number as its answer.
    pub fn new(config: &QaConfig) -> Result<Self, EnvError> {
        let QaConfig { held_out_tasks, limit, shuffle, seed, .. } = *config;
        let held_out = config.held_out.as_ref();
        let files =
            TaskFiles { env: "qa", train: &config.train, held_out, held_out_tasks, limit, shuffle, seed };
        let (train, held_out) = files.read(&mut |name, path, row| {
            let (prompt, answer) =
                pair(&row.text, &config.columns).map_err(|message| row.broken(path, message))?;
            let id = format!("qa/{name}/{}", row.line);
            Ok(Task { id, level: 0, messages: instructed(&config.instruction, prompt), answer })
        })?;
        Ok(Self { tasks: Tasks { train, held_out, tools: vec![ToolSpec::python()] } })
    }
}

/// Returns the inside of a text that starts directly after `\boxed{`.
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

    /// Returns the number inside the last `\boxed{}`, or after the last `Answer:` or `####` up to the end of
    /// the text, whichever comes last. It is in lowest terms.
    fn answer(&self, text: &str) -> Option<String> {
        let after = |mark: &str| text.rfind(mark).map(|at| at + mark.len());
        let (in_box, marked) = (after("\\boxed{"), stated_at(text).max(after(MARK)));
        let answer =
            if in_box > marked { parse(boxed(&text[in_box?..])?) } else { after_mark(&text[marked?..]) };
        answer.map(|answer| answer.to_string())
    }

    /// Compares fractions and units exactly. A right answer without a unit leaves it open.
    fn is_correct(&self, task: &Task, answer: &str) -> Result<bool, EnvError> {
        Ok(parse(answer).is_some_and(|given| parse(&task.answer).is_some_and(|right| right.agrees(&given))))
    }
}

#[cfg(test)]
mod tests;
