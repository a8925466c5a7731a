//! Questions with a numeric answer, read from JSONL files as GSM8K is published (arXiv:2110.14168): one object a line,
//! `{"question": "…", "answer": "… #### 42"}`; or as SVAMP's records (arXiv:2103.07191), one a line:
//! `{"Body": "…", "Question": "…", "Answer": 42.0}`. The tool is Python, unrestricted but for the executor's limits.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use turnwise_tools::ToolSpec;
use turnwise_trajectory::{Message, Role};

use crate::answer::parse;
use crate::env::{Env, EnvError, Request, Response, Task};

/// Settings of the question/answer environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QaConfig {
    /// JSONL file of the tasks to train on.
    pub train: PathBuf,
    /// JSONL file of the tasks held out. It may share no question with `train`.
    pub held_out: PathBuf,
    /// How many tasks to read of each file, from its start; without it, all.
    pub limit: Option<usize>,
}

/// What stands before the answer in the data, and may stand there in a completion.
const MARK: &str = "####";

const READ_HINT: &str = "env.qa.train and env.qa.held_out name JSONL files, relative to the current directory; \
                         GSM8K's are train.jsonl and test.jsonl of openai/grade-school-math";

/// The environment.
pub struct Qa {
    tools: Vec<ToolSpec>,
    train: Vec<Task>,
    held_out: Vec<Task>,
}

impl Qa {
    /// Reads both files. Fails at the first line that isn't a question with one exact number as its answer.
    pub fn new(config: &QaConfig) -> Result<Self, EnvError> {
        if config.limit == Some(0) {
            let message = "limit = 0 leaves no task: give a number of tasks, or leave it out for all".into();
            return Err(EnvError::Config { env: "qa", message });
        }
        let train = read(&config.train, "train", config.limit, &HashSet::new())?;
        let seen = train.iter().map(|task| task.messages[0].content.as_str()).collect();
        let held_out = read(&config.held_out, "held-out", config.limit, &seen)?;
        Ok(Self { tools: vec![ToolSpec::python()], train, held_out })
    }
}

/// The tasks of a file, none of whose questions may be in `taken`.
fn read(
    path: &Path,
    split: &str,
    limit: Option<usize>,
    taken: &HashSet<&str>,
) -> Result<Vec<Task>, EnvError> {
    let unreadable = |source| EnvError::Read { path: path.into(), source, hint: READ_HINT };
    let mut tasks = Vec::new();
    for (index, line) in BufReader::new(File::open(path).map_err(unreadable)?).split(b'\n').enumerate() {
        if limit.is_some_and(|limit| tasks.len() == limit) {
            break;
        }
        let line = line.map_err(unreadable)?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let number = index + 1;
        let broken = |message| EnvError::Line { path: path.into(), line: number, message };
        let (question, answer) = pair(&line).map_err(broken)?;
        if taken.contains(question.as_str()) {
            return Err(broken(format!(
                "the question {:?} is in env.qa.train as well\n  hint: give a file that training never sees",
                short(&question)
            )));
        }
        tasks.push(Task {
            id: format!("qa/{split}/{number}"),
            level: 0,
            messages: vec![Message::new(Role::User, question)],
            answer,
        });
    }
    if tasks.is_empty() {
        let message = format!("{} holds no task: give a file with one JSON object per line", path.display());
        return Err(EnvError::Config { env: "qa", message });
    }
    Ok(tasks)
}

/// Question and exact answer of one line, or what is wrong with it.
fn pair(line: &[u8]) -> Result<(String, String), String> {
    #[derive(Deserialize)]
    struct Pair {
        question: String,
        answer: String,
    }
    let text = std::str::from_utf8(line).map_err(|error| {
        let shown = short(&String::from_utf8_lossy(line));
        format!("{error} in {shown:?}\n  hint: save the file as UTF-8")
    })?;
    if let Some(pair) = svamp(text) {
        return pair;
    }
    let Pair { question, answer } = serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        // serde_json sees one line only and would call it line 1.
        let what = message.rsplit_once(" at line ").map_or(message.as_str(), |(what, _)| what);
        format!(
            "{what} at column {} of {:?}\n  hint: each line is {{\"question\": \"…\", \"answer\": \"… {MARK} 42\"}}",
            error.column(),
            short(text)
        )
    })?;
    if question.trim().is_empty() {
        return Err(format!("the question is empty in {:?}\n  hint: remove the line", short(text)));
    }
    let (_, after) = answer.rsplit_once(MARK).ok_or_else(|| {
        format!("the answer {:?} has no \"{MARK}\"\n  hint: end it with \"{MARK} 42\"", short(&answer))
    })?;
    let value = parse(after).ok_or_else(|| {
        format!(
            "the answer {:?} is not one exact number\n  hint: write an integer, a decimal or a fraction after \"{MARK}\"",
            short(after.trim())
        )
    })?;
    Ok((question, value.to_string()))
}

/// Question and exact answer of a line in SVAMP's form, if it is one.
fn svamp(text: &str) -> Option<Result<(String, String), String>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Svamp {
        body: String,
        question: String,
        answer: serde_json::Number,
    }
    let Svamp { body, question, answer } = serde_json::from_str(text).ok()?;
    let value = parse(&answer.to_string());
    let value =
        value.ok_or_else(|| format!("the answer {answer} is not one exact number\n  hint: write 42 or 0.5"));
    Some(value.map(|value| (format!("{} {}", body.trim(), question.trim()), value.to_string())))
}

/// The start of a value for an error line.
fn short(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
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
        Response::Run(request.text("code").to_string())
    }

    /// The number inside the last `\boxed{}`, or after the last `Answer:` or `####` up to the end of the text, whichever
    /// comes last; in lowest terms.
    fn answer(&self, text: &str) -> Option<String> {
        let after = |mark: &str| text.rfind(mark).map(|at| at + mark.len());
        let (in_box, after_mark) = (after("\\boxed{"), after("Answer:").max(after(MARK)));
        let stated = if in_box > after_mark { boxed(&text[in_box?..])? } else { &text[after_mark?..] };
        parse(stated).map(|value| value.to_string())
    }

    /// Exact equality of fractions and units; a right answer without a unit leaves it open.
    fn is_correct(&self, task: &Task, answer: &str) -> Result<bool, EnvError> {
        Ok(parse(answer).is_some_and(|given| parse(&task.answer).is_some_and(|right| right.agrees(&given))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use tempfile::TempDir;
    use turnwise_trajectory::ToolCall;

    const TRAIN: &str = r#"{"question": "How many?", "answer": "Not @ 1 but\n<<2*3=6>>6.\n@ 1,234"}

{"question": "And é?", "answer": "@ -3/4", "source": "elsewhere"}
{"question": "Third?", "answer": "@ $2.50"}
"#;
    const HELD_OUT: &str = r#"{"question": "Unseen?", "answer": "@ 7"}"#;

    /// Two files, in which `@` stands for the mark.
    fn files(train: &str, held_out: &str) -> (TempDir, QaConfig) {
        let dir = tempfile::tempdir().unwrap();
        let config = QaConfig {
            train: dir.path().join("train.jsonl"),
            held_out: dir.path().join("test.jsonl"),
            limit: None,
        };
        std::fs::write(&config.train, train.replace('@', MARK)).unwrap();
        std::fs::write(&config.held_out, held_out.replace('@', MARK)).unwrap();
        (dir, config)
    }

    fn env() -> Qa {
        Qa::new(&files(TRAIN, HELD_OUT).1).unwrap()
    }

    #[test]
    fn a_task_per_line_with_the_answer_after_the_last_mark() {
        let (_dir, mut config) = files(TRAIN, HELD_OUT);
        let env = Qa::new(&config).unwrap();
        let read: Vec<(&str, &str, &str)> = env
            .train()
            .iter()
            .chain(env.held_out())
            .map(|task| (task.id.as_str(), task.messages[0].content.as_str(), task.answer.as_str()))
            .collect();
        assert_eq!(
            read,
            [
                ("qa/train/1", "How many?", "1234"),
                ("qa/train/3", "And é?", "-3/4"),
                ("qa/train/4", "Third?", "5/2 dollar"),
                ("qa/held-out/1", "Unseen?", "7"),
            ]
        );
        assert!(
            env.train().iter().all(|task| task.messages.len() == 1 && task.messages[0].role == Role::User)
        );
        assert!(env.demonstration(0).is_none());
        config.limit = Some(2);
        assert_eq!(Qa::new(&config).unwrap().train(), &env.train()[..2]);
    }

    #[test]
    fn svamp_is_read_too() {
        let train = r#"{"ID": "chal-1", "Body": "Ann has 3 hats. ", "Question": "How many?", "Equation": "x", "Answer": 3.0}
{"Body": "B.", "Question": "Half?", "Answer": 0.5}"#;
        let env = Qa::new(&files(train, HELD_OUT).1).unwrap();
        let read: Vec<_> = env
            .train()
            .iter()
            .map(|task| (task.messages[0].content.as_str(), task.answer.as_str()))
            .collect();
        assert_eq!(read, [("Ann has 3 hats. How many?", "3"), ("B. Half?", "1/2")]);
        let broken = r#"{"Body": "B.", "Question": "Half?", "Answer": 1e99}"#;
        let error = Qa::new(&files(broken, HELD_OUT).1).err().unwrap().to_string();
        assert!(error.contains("train.jsonl:1: the answer 1e+99 is not one exact number"), "{error}");
    }

    #[test]
    fn a_broken_line_is_named_with_its_value_and_a_hint() {
        let long = format!(r#"{{"question": "{}", "answer": "no mark"}}"#, "x".repeat(500));
        for (line, expect) in [
            ("{\"question\": ", "EOF while parsing a value at column 13"),
            ("[1, 2]", "invalid"),
            ("null", "invalid type: null"),
            (r#"{"answer": "\q 1"}"#, "invalid escape"),
            (r#"{"answer": "@ 1"}"#, "missing field `question`"),
            (r#"{"question": "Q"}"#, "missing field `answer`"),
            (r#"{"question": "Q", "answer": 5}"#, "invalid type: integer `5`, expected a string"),
            (r#"{"question": " ", "answer": "@ 5"}"#, "the question is empty"),
            (r#"{"question": "Q", "answer": "it is 5"}"#, "the answer \"it is 5\" has no \"####\""),
            (r#"{"question": "Q", "answer": "@ about 5"}"#, "\"about 5\" is not one exact number"),
            (r#"{"question": "Q", "answer": "@ 1,23"}"#, "\"1,23\" is not one exact number"),
            (r#"{"question": "Q", "answer": "@ 5 @"}"#, "\"\" is not one exact number"),
            (&long, "has no \"####\""),
        ] {
            let (_dir, config) = files(&format!("{TRAIN}{line}\n"), HELD_OUT);
            let error = Qa::new(&config).err().unwrap().to_string();
            let place = format!("{}:5: ", config.train.display());
            assert!(error.starts_with(&place) && error.contains(expect), "{line}: {error}");
            assert!(error.contains("\n  hint: ") && error.len() < place.len() + 300, "{error}");
        }
        let (_dir, config) = files("", HELD_OUT);
        std::fs::write(&config.train, b"{\"question\": \"caf\xe9\"}").unwrap();
        let error = Qa::new(&config).err().unwrap().to_string();
        assert!(error.contains(":1: invalid utf-8") && error.contains("caf"), "{error}");
    }

    #[test]
    fn files_that_cannot_serve_are_refused() {
        let (dir, config) = files(TRAIN, HELD_OUT);
        for train in [dir.path().join("absent.jsonl"), dir.path().to_path_buf()] {
            let error =
                Qa::new(&QaConfig { train: train.clone(), ..config.clone() }).err().unwrap().to_string();
            assert!(error.starts_with(&train.display().to_string()) && error.contains("hint: "), "{error}");
        }
        let error = Qa::new(&QaConfig { limit: Some(0), ..config.clone() }).err().unwrap().to_string();
        assert!(error.starts_with("env.qa: limit = 0"), "{error}");
        let error = Qa::new(&files("\n \n", HELD_OUT).1).err().unwrap().to_string();
        assert!(error.contains("train.jsonl holds no task"), "{error}");
        let leaking = format!("{HELD_OUT}\n{}", r#"{"question": "Third?", "answer": "@ 2"}"#);
        let error = Qa::new(&files(TRAIN, &leaking).1).err().unwrap().to_string();
        assert!(error.contains("test.jsonl:2: the question \"Third?\" is in env.qa.train"), "{error}");
    }

    #[test]
    fn settings_take_no_unknown_key() {
        let config: QaConfig =
            serde_json::from_value(json!({"train": "a.jsonl", "held_out": "b.jsonl"})).unwrap();
        assert_eq!(config.limit, None);
        let typo = json!({"train": "a.jsonl", "held_out": "b.jsonl", "limits": 3});
        assert!(serde_json::from_value::<QaConfig>(typo).unwrap_err().to_string().contains("`limits`"));
    }

    #[test]
    fn answers_are_read_after_the_last_mark_only() {
        let env = env();
        for (text, expect) in [
            ("Answer: 12", Some("12")),
            ("Answer: 1\nFinal Answer: -1,234.50 dollars.\n", Some("-2469/2 dollar")),
            ("#### 5", Some("5")),
            ("Answer: 4 #### 5", Some("5")),
            ("#### 5\nAnswer: 4", Some("4")),
            ("so \\boxed{\\frac{3}{6}} it is", Some("1/2")),
            ("\\boxed{1} and \\boxed{2}, done", Some("2")),
            ("Answer: \\boxed{3} as shown", Some("3")),
            ("\\boxed{3}\nAnswer: 4", Some("4")),
            ("\\boxed{3}\nAnswer: see above", None),
            ("Answer: 4, that is \\boxed{x}", None),
            ("Answer: \\boxed{4", None),
            ("Answer: 12 or 13", None),
            ("Answer: 12\nor 13", None),
            ("Answer: 12 #####", None),
            ("answer: 12", None),
            ("It is 12.", None),
            ("Answer:", None),
            ("", None),
        ] {
            assert_eq!(env.answer(text).as_deref(), expect, "{text}");
        }
    }

    #[test]
    fn only_the_exact_number_is_right() {
        let env = env();
        let task = &env.train()[1];
        for (answer, right) in [
            ("-3/4", true),
            ("-0.75", true),
            ("-6/8", true),
            ("3/4", false),
            ("-0.7499999999999999999", false),
        ] {
            assert_eq!(env.is_correct(task, answer).unwrap(), right, "{answer}");
        }
        let unreadable = Task { answer: "?".into(), ..task.clone() };
        assert!(!env.is_correct(&unreadable, "?").unwrap() && !env.is_correct(task, "").unwrap());
    }

    #[test]
    fn code_runs_as_it_was_written() {
        let env = env();
        let call = |arguments: Value| ToolCall {
            name: "python".into(),
            arguments: arguments.as_object().unwrap().clone(),
            span: 0..0,
        };
        let code = "import math\n\tprint('\"é\\n')  # as is\r\n";
        let call = call(json!({"code": code}));
        assert_eq!(env.respond(&Request::first(&env.train[0], &call)), Response::Run(code.into()));
    }
}
