//! Program synthesis from a file in HumanEval's form (arXiv:2107.03374): `{"task_id", "prompt", "entry_point", "test"}`,
//! where `test` defines `check(candidate)`. The tool tries a program on the examples of the prompt's docstring
//! (`>>> f(1)`); what counts is whether the last program that was tried passes the hidden tests.

use std::collections::HashMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use turnwise_tools::ToolSpec;
use turnwise_trajectory::{Message, Role, Trajectory};

use crate::env::{Env, EnvError, Request, Response, Task};
use crate::judge::{Exam, Judge, examples_program, last_code};
use crate::records;

/// Settings of the HumanEval environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HumanEvalConfig {
    /// The problems to train on: JSON lines, not compressed.
    pub train: PathBuf,
    /// The problems held out.
    pub held_out: PathBuf,
}

#[derive(Deserialize)]
struct Record {
    task_id: String,
    prompt: String,
    entry_point: String,
    test: String,
}

const INSTRUCTION: &str = "Write the whole function and try it with the tool. When it's right, end with \
                           `Answer: done`: the last program that you tried is your answer.";

/// The environment.
pub struct HumanEval {
    judge: Judge,
    tools: Vec<ToolSpec>,
    train: Vec<Task>,
    held_out: Vec<Task>,
    exams: HashMap<String, Exam>,
}

impl HumanEval {
    /// Reads the problems and starts the sandbox that judges programs.
    pub fn new(config: &HumanEvalConfig) -> Result<Self, EnvError> {
        let mut env = Self {
            judge: Judge::open("human_eval")?,
            tools: vec![ToolSpec::python()],
            train: Vec::new(),
            held_out: Vec::new(),
            exams: HashMap::new(),
        };
        env.held_out = env.read(&config.held_out)?;
        env.train = env.read(&config.train)?;
        Ok(env)
    }

    fn read(&mut self, path: &std::path::Path) -> Result<Vec<Task>, EnvError> {
        let mut tasks = Vec::new();
        for (line, record) in records::read::<Record>(path)? {
            let id = format!("human_eval/{}", record.task_id);
            if !record.test.contains("def check(") {
                let message = format!("{}: the test defines no check(candidate)", record.task_id);
                return Err(records::line_error(path, line, message));
            }
            let exam = Exam { context: record.prompt.clone(), entry: record.entry_point, tests: record.test };
            if self.exams.insert(id.clone(), exam).is_some() {
                let message =
                    format!("{}: another record has this task_id, in this file or the other", record.task_id);
                return Err(records::line_error(path, line, message));
            }
            let messages =
                vec![Message::new(Role::System, INSTRUCTION), Message::new(Role::User, record.prompt)];
            tasks.push(Task { id, level: 1, messages, answer: String::new() });
        }
        Ok(tasks)
    }

    fn exam(&self, task: &Task) -> &Exam {
        self.exams.get(&task.id).unwrap_or_else(|| panic!("{}: a task of another environment", task.id))
    }
}

/// The examples of a docstring: a call after `>>> `, and the line below it.
fn examples(prompt: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = prompt.lines().map(str::trim).collect();
    let pairs = lines.windows(2).filter_map(|pair| Some((pair[0].strip_prefix(">>> ")?, pair[1])));
    let shown =
        pairs.filter(|(_, want)| !want.is_empty() && !want.starts_with(">>>") && !want.starts_with("\"\"\""));
    shown.map(|(call, want)| (call.to_string(), want.to_string())).collect()
}

impl Env for HumanEval {
    fn name(&self) -> &'static str {
        "human_eval"
    }

    fn train(&self) -> &[Task] {
        &self.train
    }

    fn held_out(&self) -> &[Task] {
        &self.held_out
    }

    fn tools(&self) -> &[ToolSpec] {
        &self.tools
    }

    fn respond(&self, request: &Request<'_>) -> Response {
        let prompt = &self.exam(request.task).context;
        Response::Run(examples_program(prompt, request.text("code"), &examples(prompt)))
    }

    fn answer(&self, text: &str) -> Option<String> {
        text.rsplit_once("Answer:")
            .map(|(_, after)| after.trim().to_string())
            .filter(|after| !after.is_empty())
    }

    fn final_answer(&self, played: &Trajectory) -> Option<String> {
        self.answer(&played.turns.last()?.text)?;
        last_code(played)
    }

    fn is_correct(&self, task: &Task, answer: &str) -> Result<bool, EnvError> {
        self.judge.passes(&task.id, answer, self.exam(task))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use turnwise_tools::executor::ExecutorConfig;
    use turnwise_trajectory::ToolCall;

    fn record(id: &str) -> String {
        json!({
            "task_id": id,
            "prompt": "import math\n\ndef half(x):\n    return x / 2\n\ndef up(x):\n    \"\"\"Half of x, rounded up.\n    \
                       >>> up(3)\n    2\n    >>> up(4)\n    2\n    \"\"\"\n",
            "entry_point": "up",
            "canonical_solution": "    return math.ceil(half(x))\n",
            "test": "METADATA = {}\n\ndef check(candidate):\n    assert candidate(3) == 2\n    for x in range(9):\n        \
                     assert candidate(x) == math.ceil(half(x))\n",
        })
        .to_string()
            + "\n"
    }

    fn open(train: &str, held_out: &str) -> Result<HumanEval, EnvError> {
        let folder = tempfile::tempdir().unwrap();
        let config =
            HumanEvalConfig { train: folder.path().join("a.jsonl"), held_out: folder.path().join("b.jsonl") };
        std::fs::write(&config.train, train).unwrap();
        std::fs::write(&config.held_out, held_out).unwrap();
        HumanEval::new(&config)
    }

    #[test]
    fn the_published_form_is_read_tried_and_judged() {
        let env = open(&record("T/0"), &record("T/1")).unwrap();
        let task = &env.held_out()[0];
        let right = "def up(x):\n    return math.ceil(half(x))";
        let wrong = "def up(x):\n    return x // 2";
        assert!(env.is_correct(task, right).unwrap());
        assert!(!env.is_correct(task, wrong).unwrap());
        let python = ExecutorConfig::default().build().unwrap();
        for (code, said) in [(right, "all 2 examples pass"), (wrong, "up(3) gave 1, want 2")] {
            let arguments = json!({"code": code}).as_object().unwrap().clone();
            let call = ToolCall { name: "python".into(), arguments, span: 0..0 };
            let Response::Run(program) = env.respond(&Request::first(task, &call)) else {
                panic!("programs run")
            };
            assert!(!program.contains("range(9)"), "a hidden test is in the tool's program");
            assert_eq!(python.run(&program).unwrap().stdout.trim_end(), said);
        }
    }

    #[test]
    fn broken_files_are_named_by_line() {
        let without_check = record("T/2").replace("def check(", "def chuck(");
        for (train, held_out, expect) in [
            (record("T/0") + &without_check, record("T/1"), "a.jsonl:2: T/2: the test defines no check"),
            (record("T/0"), record("T/0"), "a.jsonl:1: T/0: another record has this task_id"),
            ("{}".into(), record("T/0"), "a.jsonl:1: missing field `task_id`"),
        ] {
            let error = open(&train, &held_out).err().unwrap().to_string();
            assert!(error.contains(expect), "{error}");
        }
    }
}
