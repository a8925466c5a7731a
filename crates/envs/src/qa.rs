//! Questions with a numeric answer, read from JSONL files as GSM8K is published (arXiv:2110.14168): one object a line,
//! `{"question": "…", "answer": "… #### 42"}`; or as SVAMP's records (arXiv:2103.07191):
//! `{"Body": "…", "Question": "…", "Answer": 42.0}`. One JSON array of records, as SVAMP is published, is read as well.
//! The tool is Python, unrestricted but for the executor's limits.

mod form;

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use turnwise_bounds::Within;
use turnwise_tools::ToolSpec;
use turnwise_trajectory::{Message, Role};

use crate::answer::{after_mark, parse};
use crate::env::{Env, EnvError, Request, Response, Task};
use crate::records;
use crate::stated::stated_at;
use form::{pair, short};

/// Settings of the question/answer environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QaConfig {
    /// The tasks to train on: JSON lines, or one JSON array.
    pub train: PathBuf,
    /// The tasks held out, in the same form. It may share no question with `train`.
    pub held_out: PathBuf,
    /// How many tasks to read of each file, from its start; without it, all.
    #[serde(default, deserialize_with = "Within::<1, 1_000_000_000>::read")]
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
    let mut tasks = Vec::new();
    for record in records(path)? {
        if limit.is_some_and(|limit| tasks.len() == limit) {
            break;
        }
        let (number, record) = record?;
        let broken = |message| EnvError::Line { path: path.into(), line: number, message };
        let (question, answer) = pair(&record).map_err(broken)?;
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

/// A record's text, and the line that it starts on, from 1.
type Record = Result<(usize, Vec<u8>), EnvError>;

/// The records of a file, read as they are asked for if each has a line of its own.
fn records(path: &Path) -> Result<Box<dyn Iterator<Item = Record>>, EnvError> {
    let owner = path.to_path_buf();
    let unreadable = move |source| EnvError::Read { path: owner.clone(), source, hint: READ_HINT };
    let mut file = BufReader::new(File::open(path).map_err(&unreadable)?);
    let start = file.fill_buf().map_err(&unreadable)?.trim_ascii_start();
    if start.starts_with(b"[") {
        let elements = records::read::<Value>(path)?.into_iter();
        return Ok(Box::new(elements.map(|(line, record)| Ok((line, record.to_string().into_bytes())))));
    }
    let lines =
        (1..).zip(file.split(b'\n')).map(move |(number, line)| Ok((number, line.map_err(&unreadable)?)));
    Ok(Box::new(lines.filter(|line| !line.as_ref().is_ok_and(|(_, line)| line.trim_ascii().is_empty()))))
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
mod tests {
    use super::*;
    use serde_json::json;
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
        let array = "\n[\n  {\"Body\": \"\", \"Question\": \"One?\", \"Answer\": \"1,000.0\"},\n  \
                     {\"Body\": \"B\",\n   \"Question\": \"Two?\", \"Answer\": 2}\n]";
        let (_dir, mut config) = files(array, HELD_OUT);
        let env = Qa::new(&config).unwrap();
        assert_eq!(env.train()[0].messages[0].content, "One?");
        let read: Vec<_> = env.train().iter().map(|task| (task.id.as_str(), task.answer.as_str())).collect();
        assert_eq!(read, [("qa/train/3", "1000"), ("qa/train/4", "2")]);
        config.limit = Some(1);
        assert_eq!(Qa::new(&config).unwrap().train(), &env.train()[..1]);
    }

    #[test]
    fn a_broken_record_of_svamp_is_told_its_own_form() {
        for (train, expect) in [
            (
                r#"{"Body": "B.", "Question": "Q?", "Answer": 1e99}"#,
                ":1: the answer \"1e+99\" is not one exact",
            ),
            (
                r#"{"Body": "B.", "Question": "Q?", "Answer": null}"#,
                ":1: the answer \"null\" is not one exact",
            ),
            (r#"{"Body": "B.", "Question": "Q?"}"#, ":1: missing field `Answer`"),
            (r#"{"Question": "Q?", "Answer": 1}"#, ":1: missing field `Body`"),
            (r#"{"Body": "B.", "Question": " ", "Answer": 1}"#, ":1: the question is empty"),
            (
                "[{\"Body\": \"B\", \"Question\": \"Q\", \"Answer\": 1},\n{\"Body\": 2}]",
                ":2: invalid type: integer `2`",
            ),
            ("[{\"Body\": \"B\"", ":1: EOF"),
        ] {
            let error = Qa::new(&files(train, HELD_OUT).1).err().unwrap().to_string();
            assert!(error.contains(&format!("train.jsonl{expect}")), "{train}: {error}");
            assert!(!error.contains("####"), "{train}: {error}");
        }
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
            ("**Answer:** 42", Some("42")),
            ("Answer: **42**", Some("42")),
            ("**Answer: 42**", Some("42")),
            ("**Answer**: 42", Some("42")),
            ("**Answer: $1,234.**", Some("1234 dollar")),
            ("**Answer:** **42 apples**.", Some("42 apples")),
            ("**Answer:** \\boxed{42}", Some("42")),
            ("#### **50%**", Some("50%")),
            ("Answer: 4**2", None),
            ("Answer: **4** or **2**", None),
            ("Answer: ****", None),
            ("Answer: *42*", None),
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
