//! Poses tasks of a file, whose answers a command checks over stdin and stdout.
//!
//! ```text
//! task:    {"question": "…", "answer": "…", "id": "…", "level": 1}           id, answer and level may be left out
//! to the command, a line per answer:
//!     {"task": "…", "question": "…", "answer": "…", "given": "…", "row": {…}}
//! from the command, a line for each:    {"correct": true}
//! ```
//! The question may also be a `prompt` or `messages`, and the answer `reward_model.ground_truth`, as TRL and
//! verl have them. `row` has the columns of the task that aren't read here, if there are any.
//! `given` is the text of the last turn, if that turn has no call. The command starts once and answers in
//! order, and it ends when its stdin does. After a failure it is restarted, so an answer that it can't handle
//! costs no other. Its stderr is shown unchanged. The tool is Python.

mod checker;
pub(crate) mod form;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use turnwise_datasets::Row;
use turnwise_runfile::{Conflict, Seconds, Seed, Within};
use turnwise_tools::executor::ExecutorConfig;
use turnwise_tools::{Fault, PythonTool, ToolSpec};

use crate::answer::vote;
use crate::env::{Env, EnvError};
use crate::session::{Opened, Start};
use crate::settings::{EnvSettings, no_program};
use crate::tasks::task_files::{Both, TaskFiles};
use crate::tasks::{Task, Tasks, instructed, question};
use checker::{Checker, TimeLimits};

/// Configures an environment whose answers a command checks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandConfig {
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
    /// Columns of the files by the names that are read: `question`, `answer`, `id` and `level`. A path may
    /// lead into structs: `id = "extra_info.index"`.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
    /// The command that checks answers, and its arguments.
    pub check: Vec<String>,
    /// Seconds for checking an answer.
    #[serde(default = "timeout_seconds", deserialize_with = "Seconds::read")]
    pub timeout_seconds: f64,
    /// Seconds for the command's start. They don't count towards its first answer.
    #[serde(default = "start_seconds", deserialize_with = "Seconds::read")]
    pub start_seconds: f64,
    /// A system message before every question. Empty for none.
    #[serde(default)]
    pub instruction: String,
    /// The mark before an answer, such as `Answer:`. Majority votes count the rest of its line, numbers by
    /// value. Without a mark there is no majority. The command always gets the whole text.
    pub answer_after: Option<String>,
}

fn timeout_seconds() -> f64 {
    10.0
}

fn start_seconds() -> f64 {
    60.0
}

impl EnvSettings for CommandConfig {
    fn conflict(&self) -> Option<Conflict> {
        let of_columns = || turnwise_datasets::conflict(&self.columns, &form::COLUMNS);
        TaskFiles::conflict(self.held_out.as_ref(), self.held_out_tasks)
            .or_else(of_columns)
            .or_else(|| no_program("check", &self.check, &["python3", "check.py"]))
    }

    fn open(&self, _: &ExecutorConfig) -> Result<Box<dyn Env>, EnvError> {
        Ok(Box::new(CheckedByCommand::new(self)?))
    }
}

/// Poses tasks of a file, whose answers a command checks.
pub struct CheckedByCommand {
    tasks: Tasks,
    /// Further columns of a task, by its id.
    rows: HashMap<String, Value>,
    checker: Mutex<Checker>,
    answer_after: Option<String>,
}

impl CheckedByCommand {
    /// Reads the tasks and starts the command.
    pub fn new(config: &CommandConfig) -> Result<Self, EnvError> {
        let wrong = |message: String| EnvError::Config { env: "command", message };
        Seconds::check("timeout_seconds", config.timeout_seconds).map_err(wrong)?;
        Seconds::check("start_seconds", config.start_seconds).map_err(wrong)?;
        let time_limits = TimeLimits {
            start: Duration::from_secs_f64(config.start_seconds),
            answer: Duration::from_secs_f64(config.timeout_seconds),
        };
        if config.answer_after.as_ref().is_some_and(String::is_empty) {
            return Err(wrong(
                "answer_after = \"\" marks nothing; hint: \"Answer:\", or leave it out".into(),
            ));
        }
        let mut rows = HashMap::new();
        let (train, held_out) = tasks(config, &mut rows)?;
        let checker = Mutex::new(Checker::start(&config.check, time_limits).map_err(wrong)?);
        let tasks = Tasks { train, held_out, tools: vec![ToolSpec::python()] };
        Ok(Self { tasks, rows, checker, answer_after: config.answer_after.clone() })
    }
}

/// Reads the tasks, and their further columns.
fn tasks(config: &CommandConfig, rows: &mut HashMap<String, Value>) -> Result<Both, EnvError> {
    let CommandConfig { held_out_tasks, limit, shuffle, seed, .. } = *config;
    let held_out = config.held_out.as_ref();
    let files =
        TaskFiles { env: "command", train: &config.train, held_out, held_out_tasks, limit, shuffle, seed };
    files.read(&mut |name: &str, path: &Path, row: &Row| {
        let broken = |message: String| row.broken(path, message);
        // The command gets the other columns.
        row.whole(path)?;
        let read = form::read(row.read(path, &config.columns)?, &config.columns).map_err(broken)?;
        let id = read.id.unwrap_or_else(|| format!("command/{name}/{}", row.line));
        if let Some(further) = read.further {
            rows.insert(id.clone(), further);
        }
        let messages = instructed(&config.instruction, read.prompt);
        Ok(Task { id, level: read.level, messages, answer: read.answer })
    })
}

impl Env for CheckedByCommand {
    fn name(&self) -> &'static str {
        "command"
    }

    fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    fn session<'a>(&'a self, start: Start<'a>) -> Result<Opened<'a>, Fault> {
        Ok(Opened::stateless(PythonTool::new(start.sandbox)))
    }

    fn answer(&self, text: &str) -> Option<String> {
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_string())
    }

    fn is_correct(&self, task: &Task, answer: &str) -> Result<bool, EnvError> {
        let mut line =
            json!({"task": task.id, "question": question(task), "answer": task.answer, "given": answer});
        if let Some(further) = self.rows.get(&task.id) {
            line["row"] = further.clone();
        }
        let mut checker = self.checker.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        checker.ask(&line.to_string()).map_err(|message| {
            let hint =
                "try the command by hand: a line of JSON in, {\"correct\": true} out, and stdout flushed";
            EnvError::Judge { env: "command", task: task.id.clone(), message, hint }
        })
    }

    fn vote(&self, task: &Task, answer: &str) -> Option<String> {
        let mark = self.answer_after.as_deref()?;
        let stated =
            answer.rfind(mark).map_or("", |at| answer[at + mark.len()..].lines().next().unwrap_or(""));
        Some(vote(&task.answer, stated.trim().trim_matches('*')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(script: &str, tasks: &str) -> Result<CheckedByCommand, EnvError> {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("train.jsonl"), tasks).unwrap();
        std::fs::write(path("held_out.jsonl"), "{\"question\": \"held out\"}").unwrap();
        CheckedByCommand::new(&CommandConfig {
            train: path("train.jsonl"),
            held_out: Some(path("held_out.jsonl")),
            held_out_tasks: None,
            limit: None,
            shuffle: false,
            seed: 0,
            columns: BTreeMap::new(),
            check: ["python3", "-c", script].map(String::from).to_vec(),
            timeout_seconds: 2.0,
            start_seconds: 2.0,
            instruction: String::new(),
            answer_after: Some("Answer:".into()),
        })
    }

    const ECHO: &str = "import sys, json\nfor line in sys.stdin:\n    x = json.loads(line)\n    \
                        print(json.dumps({'correct': x['given'] == x['answer']}), flush=True)";
    const TASKS: &str = "{\"id\": \"a\", \"question\": \"é\\n?\", \"answer\": \"ja\\n\\\"1\\\"\", \"level\": 3}\n{\"question\": \"b\"}\n";

    #[test]
    fn the_command_decides() {
        let env = open(ECHO, TASKS).unwrap();
        let ids: Vec<&str> = env.train().iter().map(|task| task.id.as_str()).collect();
        assert_eq!(ids, ["a", "command/train/2"]);
        assert_eq!(env.train()[0].level, 3);
        for _ in 0..3 {
            assert!(env.is_correct(&env.train()[0], "ja\n\"1\"").unwrap());
            assert!(!env.is_correct(&env.train()[0], "nein").unwrap());
        }
    }

    #[test]
    fn a_command_that_fails_is_an_error_and_no_verdict() {
        for (script, expect) in [
            ("import time\ninput()\ntime.sleep(60)", "the checker said nothing for 2 s"),
            ("input()", "the checker has ended"),
            ("input()\nprint('yes')", "the checker said \"yes\""),
            ("input()\nprint('{\"correct\": 1}')", "the checker said \"{\\\"correct\\\": 1}\""),
        ] {
            let env = open(script, TASKS).unwrap();
            let error = env.is_correct(&env.train()[0], "x").unwrap_err().to_string();
            assert!(error.contains(expect) && error.starts_with("env.command: judging task a: "), "{error}");
            assert!(env.is_correct(&env.train()[0], "x").is_err());
        }
    }

    /// The first answer's time begins when the command has started. A second answer has its time only.
    #[test]
    fn a_slow_start_is_not_the_first_answers_time() {
        let slow = format!("import time\ntime.sleep(3)\n{ECHO}");
        let env = open(&slow, TASKS).unwrap();
        assert!(env.is_correct(&env.train()[0], "ja\n\"1\"").unwrap());
    }

    /// Whatever it says about one answer, the next one gets its verdict.
    #[test]
    fn a_command_that_one_answer_breaks_judges_the_next_one() {
        let fragile = format!("{ECHO}\n    if x['given'] == 'end': sys.exit(1)").replace(
            "    print(json.dumps({'correct': x['given'] == x['answer']}), flush=True)",
            "    if x['given'] == 'crash': raise ValueError\n    print('{}' if x['given'] == 'odd' else \
             json.dumps({'correct': x['given'] == x['answer']}), flush=True)",
        );
        let env = open(&fragile, TASKS).unwrap();
        let task = &env.train()[0];
        for odd in ["crash", "odd", "crash"] {
            assert!(env.is_correct(task, odd).is_err(), "{odd}");
            assert!(env.is_correct(task, "ja\n\"1\"").unwrap(), "after {odd}");
        }
        assert!(!env.is_correct(task, "end").unwrap());
        // The end of the command may be noticed before the question or after it.
        assert!(
            env.is_correct(task, "ja\n\"1\"").is_ok_and(|right| right)
                || env.is_correct(task, "ja\n\"1\"").unwrap()
        );
    }

    #[test]
    fn votes_count_what_stands_behind_the_mark() {
        let env = open(ECHO, TASKS).unwrap();
        let vote = |text: &str| env.vote(&env.train()[1], text);
        for (a, b) in [
            ("It is 41.\nAnswer: 41", "So, **Answer: 41.0**\nDone."),
            ("Answer: the Cat", "Answer: 1\nAnswer: The cat."),
            ("no mark", "none either"),
        ] {
            assert_eq!(vote(a), vote(b), "{a:?} {b:?}");
        }
        assert_ne!(vote("Answer: 41"), vote("Answer: 42"));
        assert_ne!(vote("Answer: 41"), vote("41"));
        let unmarked = CheckedByCommand { answer_after: None, ..env };
        assert_eq!(unmarked.vote(&unmarked.train()[1], "Answer: 41"), None);
    }

    #[test]
    fn broken_settings_are_named() {
        for (tasks, expect) in [
            ("{\"question\": \" \"}", "train.jsonl:1: the question is empty"),
            (
                "{\"id\": \"a\", \"question\": \"x\"}\n{\"id\": \"a\", \"question\": \"y\"}",
                "train.jsonl:2: the id \"a\" is taken",
            ),
            (
                "{\"question\": \"held out\", \"answer\": \"x\"}",
                "held_out.jsonl:1: the question \"held out\" is in env.command.train as well",
            ),
            (
                "{\"question\": \"x\", \"anwser\": \"y\"}",
                "train.jsonl:1: unknown column `anwser`; hint: did you mean `answer`?",
            ),
        ] {
            let error = open(ECHO, tasks).err().unwrap().to_string();
            assert!(error.contains(expect), "{error}");
        }
        for check in [vec![], vec!["no-such-command".to_string()]] {
            assert!(Checker::start(&check, TimeLimits::default()).err().unwrap().starts_with("check = "));
        }
    }
}
