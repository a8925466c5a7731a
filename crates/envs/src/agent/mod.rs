//! Runs somebody else's program as the environment: it is started once per trajectory, asks an endpoint for
//! turns, and says what they were worth.
//!
//! ```text
//! task ─► program ──► endpoint (the trainer's, with the trajectory's session) ──► last line: its rewards
//! ```
//! The trainer answers the calls and keeps their exact tokens. This module reads the tasks, runs the programs
//! and reads what they say.

mod folders;
mod program;
mod programs;
mod verdict;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use turnwise_datasets::Row;
use turnwise_json::Unique;
use turnwise_runfile::{Conflict, Seconds, Seed, Within};
use turnwise_tools::Fault;
use turnwise_tools::executor::ExecutorConfig;
use turnwise_trajectory::{Message, Role};

use crate::env::{Env, EnvError};
use crate::outside::stderr::Log;
use crate::outside::unstarted::is_there;
use crate::session::{Opened, Start};
use crate::settings::{EnvSettings, no_program};
use crate::tasks::command::form::level;
use crate::tasks::task_files::{Both, TaskFiles};
use crate::tasks::{Task, Tasks};
use programs::ORIGIN;

pub use program::Ran;
pub use programs::{Agent, AgentEndpoint};
pub use verdict::Verdict;

/// Configures an agent program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentConfig {
    /// The program and its arguments. It is started once per trajectory, in the folder where the run was
    /// started.
    pub command: Vec<String>,
    /// The tasks to train on: JSON lines or one JSON array of objects, plain or in gzip, or parquet.
    pub train: PathBuf,
    /// The tasks held out, in the same form; or give `held_out_tasks`. No row may also be in `train`.
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
    /// Seconds for a program, and for the check after it.
    #[serde(default = "timeout_seconds", deserialize_with = "Seconds::read")]
    pub timeout_seconds: f64,
    /// Maximum number of programs that run at a time.
    #[serde(default = "at_once", deserialize_with = "Within::<1, 1_024>::read")]
    pub at_once: usize,
    /// A command that gives the rewards, and its arguments. Unset, the last line of the program's stdout
    /// gives them.
    pub check: Option<Vec<String>>,
}

fn timeout_seconds() -> f64 {
    600.0
}

fn at_once() -> usize {
    16
}

impl EnvSettings for AgentConfig {
    fn conflict(&self) -> Option<Conflict> {
        let of_check = || no_program("check", self.check.as_ref()?, &["python3", "check.py"]);
        TaskFiles::conflict(self.held_out.as_ref(), self.held_out_tasks)
            .or_else(|| no_program("command", &self.command, &["python3", "agent.py"]))
            .or_else(of_check)
    }

    fn open(&self, _: &ExecutorConfig) -> Result<Box<dyn Env>, EnvError> {
        Ok(Box::new(Agents::new(self)?))
    }
}

/// Most bytes of a task. Systems take variables of up to 128 KiB.
const TASK: usize = 128_000;

/// Hands tasks to somebody else's program, one start per trajectory.
pub struct Agents {
    tasks: Tasks,
    agent: Agent,
}

impl Agents {
    /// Reads the tasks.
    ///
    /// # Errors
    /// If a program isn't there, or a row is no object or too long.
    pub fn new(config: &AgentConfig) -> Result<Self, EnvError> {
        let wrong = |message: String| EnvError::Config { env: "agent", message };
        Seconds::check("timeout_seconds", config.timeout_seconds).map_err(wrong)?;
        for (key, command) in [("command", Some(&config.command)), ("check", config.check.as_ref())] {
            command.map_or(Ok(()), |command| program_of(key, command)).map_err(wrong)?;
        }
        let mut rows = HashMap::new();
        let (train, held_out) = tasks(config, &mut rows)?;
        folders::remove_leftovers(&std::env::temp_dir());
        let agent = Agent {
            rows,
            command: config.command.clone(),
            check: config.check.clone(),
            limit: Duration::from_secs_f64(config.timeout_seconds),
            at_once: config.at_once,
            log: Arc::new(Log::new(ORIGIN)),
        };
        Ok(Self { tasks: Tasks { train, held_out, tools: Vec::new() }, agent })
    }
}

/// Checks that a command names a program. A run would lose every trajectory without it.
fn program_of(key: &str, command: &[String]) -> Result<(), String> {
    if command.first().is_some_and(|program| is_there(program)) {
        return Ok(());
    }
    Err(format!("{key} = {command:?}: no such program; hint: a path, or a name on the PATH"))
}

/// Reads the tasks, and their JSON by their ids.
fn tasks(config: &AgentConfig, rows: &mut HashMap<String, String>) -> Result<Both, EnvError> {
    let AgentConfig { held_out_tasks, limit, shuffle, seed, .. } = *config;
    let held_out = config.held_out.as_ref();
    let files =
        TaskFiles { env: "agent", train: &config.train, held_out, held_out_tasks, limit, shuffle, seed };
    files.read(&mut |name: &str, path: &Path, row: &Row| {
        let broken = |message: String| row.broken(path, message);
        row.whole(path)?;
        let Unique(read) = row.read(path, &std::collections::BTreeMap::new())?;
        let Some(object) = read.as_object() else {
            return Err(broken("a task is a JSON object".into()).into());
        };
        // As it stands, because numbers keep their digits; in one line, and no text of JSON holds a line end.
        let text = row.text.trim().replace(['\n', '\r'], " ");
        if text.len() > TASK {
            let message = format!("a task of {} bytes; at most {TASK} fit into a variable", text.len());
            return Err(broken(message).into());
        }
        let id = match object.get("id") {
            None | Some(Value::Null) => format!("agent/{name}/{}", row.line),
            Some(Value::String(id)) if id.is_empty() => {
                return Err(broken("`id` is empty; hint: leave it out".into()).into());
            }
            Some(Value::String(id)) => id.clone(),
            Some(Value::Number(id)) => id.to_string(),
            Some(_) => return Err(broken("`id` is neither a text nor a number".into()).into()),
        };
        let level = level(object).map_err(broken)?;
        let answer = match object.get("answer") {
            Some(Value::String(answer)) => answer.clone(),
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        };
        // The program decides what the model is told. Readers see the task.
        let messages = vec![Message::new(Role::User, text.as_str())];
        rows.insert(id.clone(), text);
        Ok(Task { id, level, messages, answer })
    })
}

impl Env for Agents {
    fn name(&self) -> &'static str {
        "agent"
    }

    fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    fn session<'a>(&'a self, _: Start<'a>) -> Result<Opened<'a>, Fault> {
        Err(Fault::new(ORIGIN, "`turnwise train` and `turnwise eval` play agents, and nothing else does"))
    }

    fn agent(&self) -> Option<&Agent> {
        Some(&self.agent)
    }

    fn take_log(&self) -> Vec<String> {
        self.agent.log.take()
    }

    /// Returns the whole text, so that a last turn that says something isn't void. Nothing judges it.
    fn answer(&self, text: &str) -> Option<String> {
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_string())
    }

    fn is_correct(&self, _: &Task, _: &str) -> Result<bool, EnvError> {
        Ok(false)
    }

    fn vote(&self, _: &Task, _: &str) -> Option<String> {
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(folder: &Path, train: &str, script: &str) -> AgentConfig {
        std::fs::write(folder.join("train.jsonl"), train).unwrap();
        std::fs::write(folder.join("held_out.jsonl"), "{\"question\": \"held out\"}").unwrap();
        AgentConfig {
            command: ["sh", "-c", script].map(String::from).to_vec(),
            train: folder.join("train.jsonl"),
            held_out: Some(folder.join("held_out.jsonl")),
            held_out_tasks: None,
            limit: None,
            shuffle: false,
            seed: 0,
            timeout_seconds: 10.0,
            at_once: 1,
            check: None,
        }
    }

    fn open(train: &str, script: &str) -> Result<Agents, String> {
        let folder = tempfile::tempdir().unwrap();
        let shown = format!("{}/", folder.path().display());
        Agents::new(&config(folder.path(), train, script))
            .map_err(|error| error.to_string().replace(&shown, ""))
    }

    const ENDPOINT: AgentEndpoint<'_> = AgentEndpoint { url: "http://127.0.0.1:1/v1", key: "the-key" };

    #[test]
    fn a_program_finds_its_task_and_its_endpoint() {
        let script = "echo $TURNWISE_TASK $OPENAI_BASE_URL $OPENAI_API_KEY $ANTHROPIC_BASE_URL \
                      $ANTHROPIC_API_KEY; test -d $TURNWISE_FOLDER && echo > $TURNWISE_FOLDER/file";
        let env = open("{\"question\": \"2 + 2\", \"id\": 7, \"level\": 3, \"answer\": 4}", script).unwrap();
        let task = &env.train()[0];
        assert_eq!((task.id.as_str(), task.level, task.answer.as_str()), ("7", 3, "4"));
        let ran = env.agent.run(task, "7", ENDPOINT);
        assert_eq!(ran.failure, None);
        let expect = "http://127.0.0.1:1/v1 the-key http://127.0.0.1:1 the-key\n";
        let (told, rest) = ran.stdout.split_at(ran.stdout.len() - expect.len());
        assert_eq!(rest, expect);
        let told: Value = serde_json::from_str(told).unwrap();
        assert_eq!(told, json!({"question": "2 + 2", "id": 7, "level": 3, "answer": 4}));
        assert_eq!(env.take_log().len(), 1, "the log shows what it said");
        assert_eq!(env.held_out()[0].level, 1, "unless its row says another");
    }

    /// As a number, an integer beyond 64 bits would be another one.
    #[test]
    fn a_program_and_its_check_get_the_task_with_all_digits() {
        let row = r#"{"question": "?", "id": 123456789012345678901234567890, "half": 0.10}"#;
        let folder = tempfile::tempdir().unwrap();
        let mut settings = config(folder.path(), row, "printf %s \"$TURNWISE_TASK\"");
        let script = "import json, sys\n\
                      id = json.load(sys.stdin)['task']['id']\n\
                      print(json.dumps({'rewards': {'acc': float(id == 123456789012345678901234567890)}}))";
        settings.check = Some(["python3", "-c", script].map(String::from).to_vec());
        let env = Agents::new(&settings).unwrap();
        let task = &env.train()[0];
        assert_eq!(task.id, "123456789012345678901234567890");
        let ran = env.agent.run(task, "7", ENDPOINT);
        assert_eq!(ran.stdout, row);
        let verdict = env.agent.judge(task, "1", &ran, &|| json!({})).unwrap().unwrap();
        assert_eq!(serde_json::to_value(&verdict.rewards).unwrap(), json!({"acc": 1.0}));
    }

    #[test]
    fn a_check_gives_the_rewards_instead_of_the_last_line() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = config(folder.path(), "{\"question\": \"2 + 2\"}", "true");
        let script = "import json, sys\n\
                      told = json.load(sys.stdin)\n\
                      said = told['stdout'] + told['task']['question'] + told['session']['calls']\n\
                      print(json.dumps({'rewards': {'acc': float(said == '42 + 2c')}}))";
        settings.check = Some(["python3", "-c", script].map(String::from).to_vec());
        let env = Agents::new(&settings).unwrap();
        let ran = Ran { stdout: "4".into(), failure: None, exited: true };
        let session = || json!({"calls": "c"});
        let verdict = env.agent.judge(&env.train()[0], "1", &ran, &session).unwrap().unwrap();
        assert_eq!(verdict.rewards.acc(), 1.0);
        for (script, expect) in [
            ("print('no')", "the check's last line gives no rewards"),
            ("import sys; sys.exit(2)", "the check failed (exit status: 2)"),
            ("print('{\"rewards\": 3}')", "the check: its last line"),
            ("print('{\"rewards\": {\"acc\": NaN}}')", "the check: its last line"),
        ] {
            settings.check = Some(["python3", "-c", script].map(String::from).to_vec());
            let env = Agents::new(&settings).unwrap();
            let error = env.agent.judge(&env.train()[0], "1", &ran, &session).unwrap_err();
            assert!(error.starts_with(expect), "{error}");
        }
    }

    #[test]
    fn a_program_that_is_not_there_is_refused_before_any_task_is_played() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = config(folder.path(), "{}", "true");
        let fails = |settings: &AgentConfig, expect: &str| {
            let error = Agents::new(settings).err().expect("it isn't there").to_string();
            assert!(error.contains(expect), "{error}");
        };
        settings.check = Some(vec!["no-such-check".into()]);
        fails(&settings, "check = [\"no-such-check\"]: no such program");
        settings.command = vec!["./no/such/program".into(), "x".into()];
        fails(&settings, "command = [\"./no/such/program\", \"x\"]: no such program");
        settings.command = vec![String::new()];
        fails(&settings, "command = [\"\"]: no such program");
        (settings.command, settings.check) = (vec!["sh".into()], Some(vec!["/bin/sh".into()]));
        Agents::new(&settings).unwrap();
    }

    #[test]
    fn a_file_that_holds_no_tasks_says_where() {
        let fails = |train: &str, expect: &str| {
            let error = open(train, "true").err().expect("it is broken");
            assert!(error.starts_with(expect), "{error}");
        };
        fails("{\"id\": [1]}", "train.jsonl:1: `id` is neither a text nor a number");
        fails("{\"level\": \"high\"}", "train.jsonl:1: level is \"high\", expected a whole number");
        fails("{\"id\": \"\"}", "train.jsonl:1: `id` is empty");
        fails("{\"a\": 1, \"a\": 2}", "train.jsonl:1: the key \"a\" stands twice");
        fails("{\"id\": 1}\n{\"id\": \"1\"}", "train.jsonl:2: the id \"1\" is taken");
        let long = format!("{{\"a\": {:?}}}", "x".repeat(TASK));
        fails(&long, "train.jsonl:1: a task of 128009 bytes");
        fails("{\"question\": \"held out\"}", "held_out.jsonl:1: ");
        fails("[[1]]", "train.jsonl:1: ");
    }
}
