//! Program synthesis from a file in HumanEval's form (arXiv:2107.03374): `{"task_id", "prompt", "entry_point", "test"}`,
//! where `test` defines `check(candidate)`. The tool tries a program on the examples of the prompt's docstring
//! (`>>> f(1)`); what counts is whether the last program that was tried passes the hidden tests.

use std::collections::HashMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use turnwise_tools::ToolSpec;
use turnwise_tools::executor::PythonConfig;
use turnwise_trajectory::{Message, Role, Trajectory};

use crate::env::{Env, EnvError, Request, Response, Task};
use crate::judge::{Exam, Judge, examples_program, last_code};
use crate::records;
use crate::stated::stated;

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
    /// Reads the problems and starts the sandbox that judges programs, which is like that of the calls.
    pub fn new(config: &HumanEvalConfig, python: &PythonConfig) -> Result<Self, EnvError> {
        let mut env = Self {
            judge: Judge::open("human_eval", python)?,
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

/// The examples of a docstring, as the Python tutorial writes them: a call after `>>> `, further lines of it after `... `,
/// and the lines of its result up to a blank one, the next call or the docstring's end. A comparison that has no result
/// is one that holds. Whatever else has no result is no example.
fn examples(prompt: &str) -> Vec<(String, String)> {
    let mut lines = prompt.lines().map(str::trim).peekable();
    let mut examples = Vec::new();
    while let Some(line) = lines.next() {
        let Some(call) = line.strip_prefix(">>> ") else { continue };
        let mut call = call.to_string();
        while let Some(more) = lines.next_if(|line| line.starts_with("... ")) {
            call.extend(["\n", &more[4..]]);
        }
        let ends = |line: &str| {
            line.is_empty() || [">>>", "\"\"\"", "'''"].iter().any(|mark| line.starts_with(mark))
        };
        let mut want = Vec::new();
        while let Some(line) = lines.next_if(|line| !ends(line)) {
            want.push(line);
        }
        if want.is_empty() && call.contains(" == ") {
            want.push("True");
        }
        if !want.is_empty() {
            examples.push((call, want.join("\n")));
        }
    }
    examples
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
        stated(text).map(|after| after.trim().to_string()).filter(|after| !after.is_empty())
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
    use turnwise_tools::Executor;
    use turnwise_tools::executor::ExecutorConfig;
    use turnwise_trajectory::ToolCall;

    const EXAMPLES: &str = ">>> up(3)\n    2\n    >>> up(4)\n    2";

    /// A record of the published form, with these lines of examples.
    fn record_with(id: &str, examples: &str) -> String {
        json!({
            "task_id": id,
            "prompt": format!(
                "import math\n\ndef half(x):\n    return x / 2\n\ndef up(x):\n    \"\"\"Half of x, rounded up.\n    \
                 {examples}\n    \"\"\"\n"
            ),
            "entry_point": "up",
            "canonical_solution": "    return math.ceil(half(x))\n",
            "test": "METADATA = {}\n\ndef check(candidate):\n    assert candidate(3) == 2\n    for x in range(9):\n        \
                     assert candidate(x) == math.ceil(half(x))\n",
        })
        .to_string()
            + "\n"
    }

    fn record(id: &str) -> String {
        record_with(id, EXAMPLES)
    }

    fn open(train: &str, held_out: &str) -> Result<HumanEval, EnvError> {
        let folder = tempfile::tempdir().unwrap();
        let config =
            HumanEvalConfig { train: folder.path().join("a.jsonl"), held_out: folder.path().join("b.jsonl") };
        std::fs::write(&config.train, train).unwrap();
        std::fs::write(&config.held_out, held_out).unwrap();
        HumanEval::new(&config, &PythonConfig::default())
    }

    const RIGHT: &str = "def up(x):\n    return math.ceil(half(x))";
    const WRONG: &str = "def up(x):\n    return x // 2";

    /// What the tool prints for this code.
    fn tried(python: &dyn Executor, env: &HumanEval, task: &Task, code: &str) -> String {
        let arguments = json!({"code": code}).as_object().unwrap().clone();
        let call = ToolCall { name: "python".into(), arguments, span: 0..0 };
        let Response::Run(program) = env.respond(&Request::first(task, &call)) else {
            panic!("programs run")
        };
        assert!(!program.contains("range(9)"), "a hidden test is in the tool's program");
        let output = python.run(&program).unwrap();
        assert_eq!(output.error, None);
        output.stdout.trim_end().to_string()
    }

    #[test]
    fn the_published_form_is_read_tried_and_judged() {
        let env = open(&record("T/0"), &record("T/1")).unwrap();
        let python = ExecutorConfig::default().build().unwrap();
        let task = &env.held_out()[0];
        assert!(env.is_correct(task, RIGHT).unwrap());
        assert!(!env.is_correct(task, WRONG).unwrap());
        assert_eq!(tried(&*python, &env, task, RIGHT), "all 2 examples pass");
        assert_eq!(tried(&*python, &env, task, WRONG), "up(3) gave 1, want 2");
    }

    #[test]
    fn examples_are_read_as_python_writes_them() {
        let cases = [
            ("up(3) == 2", "the code runs; there are no examples to try", ""),
            (">>> up(3)", "the code runs; there are no examples to try", ""),
            (">>> up(3)\n\n    2", "the code runs; there are no examples to try", ""),
            (
                ">>> up(3)\n    2 is more than half.",
                "up(3) gave 2, want 2 is more than half.",
                "up(3) gave 1, want 2 is more than half.",
            ),
            (">>> up(3)\n    2\n    and so on", "all 1 examples pass", "up(3) gave 1, want 2"),
            (
                ">>> [up(3),\n    ... up(4)]\n    [2,\n     2]",
                "all 1 examples pass",
                "[up(3),\nup(4)] gave [1, 2], want [2, 2]",
            ),
            (">>> up(4) == 2\n    >>> up(3) == 2", "all 2 examples pass", "up(3) == 2 gave False, want True"),
            (
                ">>> up('3')\n    Traceback (most recent call last):\n        ...\n    TypeError: \
                 unsupported operand type(s) for /: 'str' and 'int'",
                "all 1 examples pass",
                "up('3') raised TypeError: unsupported operand type(s) for //: 'str' and 'int'",
            ),
        ];
        let records: String =
            (0..).zip(&cases).map(|(id, case)| record_with(&format!("T/{id}"), case.0)).collect();
        let env = open(&records, &record("T/held out")).unwrap();
        let python = ExecutorConfig::default().build().unwrap();
        for (task, (examples, right, wrong)) in env.train().iter().zip(cases) {
            assert_eq!(tried(&*python, &env, task, RIGHT), right, "{examples}");
            let wrong = if wrong.is_empty() { right } else { wrong };
            assert_eq!(tried(&*python, &env, task, WRONG), wrong, "{examples}");
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
