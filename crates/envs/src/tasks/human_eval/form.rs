//! Reads the forms of a record: HumanEval's (arXiv:2107.03374) and MBPP's (arXiv:2108.07732), whole or
//! sanitized.
//!
//! ```text
//! HumanEval  {"task_id": "HumanEval/0", "prompt": "…", "entry_point": "f", "test": "def check(candidate): …"}
//! MBPP       {"task_id": 11, "text": "…", "code": "…", "test_list": ["assert …"], "test_setup_code": "…"}
//! sanitized  {"task_id": 11, "prompt": "…", "code": "…", "test_list": ["assert …"], "test_imports": ["…"]}
//! ```
//! MBPP's `code` is a solution. Only names are read from it: the program must define those that the tests
//! use. The task shows the name of the function and the first assertion.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::judge::Exam;

/// Names the published part of MBPP that a task belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Split {
    Train,
    HeldOut,
    /// Examples for a prompt, and for choosing settings.
    Neither,
}

impl std::fmt::Display for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Train => "to train on",
            Self::HeldOut => "to be held out",
            Self::Neither => "for neither",
        })
    }
}

/// Holds a problem of either form.
pub(super) struct Problem {
    /// The task's id.
    pub(super) id: String,
    /// The text of the question.
    pub(super) prompt: String,
    pub(super) exam: Exam,
    /// Calls that the tool tries, with the text of their results.
    pub(super) examples: Vec<(String, String)>,
    /// The published part. None if the form has no published split.
    pub(super) split: Option<Split>,
}

impl Problem {
    /// Returns the problem of a record, or the record's fault.
    pub(super) fn read(record: &Value) -> Result<Self, String> {
        if record.get("test_list").is_some() { mbpp(record) } else { human_eval(record) }
    }

    /// Returns the task_id of the record.
    pub(super) fn name(&self) -> &str {
        self.id.split_once('/').map_or(&self.id, |(_, name)| name)
    }
}

fn typed<T: DeserializeOwned>(record: &Value) -> Result<T, String> {
    turnwise_json::of_value(record)
}

fn human_eval(record: &Value) -> Result<Problem, String> {
    #[derive(Deserialize)]
    struct Record {
        task_id: String,
        prompt: String,
        entry_point: String,
        test: String,
    }
    let Record { task_id, prompt, entry_point, test } = typed(record)?;
    if !test.contains("def check(") {
        return Err(format!("{task_id}: the test defines no check(candidate)"));
    }
    Ok(Problem {
        id: format!("human_eval/{task_id}"),
        examples: examples(&prompt),
        exam: Exam { context: prompt.clone(), entry: entry_point, tests: test, names: Vec::new() },
        prompt,
        split: None,
    })
}

fn mbpp(record: &Value) -> Result<Problem, String> {
    #[derive(Deserialize)]
    struct Record {
        task_id: u64,
        #[serde(alias = "prompt")]
        text: String,
        code: String,
        test_list: Vec<String>,
        #[serde(default)]
        test_setup_code: String,
        #[serde(default)]
        test_imports: Vec<String>,
    }
    let Record { task_id, text, code, test_list, test_setup_code, test_imports } = typed(record)?;
    let tests = [std::slice::from_ref(&test_setup_code), &test_list].concat().join("\n");
    let names: Vec<(bool, &str)> = defined(&code).filter(|(_, name)| calls(&tests, name)).collect();
    // The last one, because helpers come first.
    let Some((_, entry)) = names.iter().rfind(|(is_function, _)| *is_function) else {
        return Err(format!("{task_id}: its tests call no function that its code defines"));
    };
    let first = test_list.first().map_or("", |test| test.trim());
    // If the setup needs the program, the others can't be tried.
    let example = first.strip_prefix("assert ").filter(|_| test_setup_code.trim().is_empty());
    Ok(Problem {
        id: format!("mbpp/{task_id}"),
        prompt: format!("{}\n\nIts name is `{entry}`, and this must hold:\n{first}", text.trim()),
        examples: example.map(|call| (call.to_string(), "True".to_string())).into_iter().collect(),
        exam: Exam {
            context: test_imports.join("\n"),
            entry: (*entry).to_string(),
            names: names.iter().map(|(_, name)| (*name).to_string()).collect(),
            tests,
        },
        split: Some(match task_id {
            11..=510 => Split::HeldOut,
            601..=974 => Split::Train,
            _ => Split::Neither,
        }),
    })
}

/// Returns the functions (true) and classes that Python code defines at its outermost level.
fn defined(code: &str) -> impl Iterator<Item = (bool, &str)> {
    code.lines().filter_map(|line| {
        let (is_function, rest) = match line.strip_prefix("def ") {
            Some(rest) => (true, rest),
            None => (false, line.strip_prefix("class ")?),
        };
        let rest = rest.trim_start();
        let name = &rest[..rest.find(|c: char| !is_part(c)).unwrap_or(rest.len())];
        (!name.is_empty()).then_some((is_function, name))
    })
}

/// Returns whether a program calls a name.
fn calls(program: &str, name: &str) -> bool {
    program.match_indices(name).any(|(at, _)| {
        let before = program[..at].chars().next_back();
        let after = program[at + name.len()..].trim_start();
        !before.is_some_and(|c| is_part(c) || c == '.') && after.starts_with('(')
    })
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Returns the examples of a docstring, as the Python tutorial writes them: a call after `>>> `, its further
/// lines after `... `, and the lines of its result up to a blank line, the next call or the docstring's end.
/// A comparison without a result is one that holds. Another call without a result is no example.
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
