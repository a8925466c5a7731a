use super::*;
use crate::tasks::question;
use crate::testing::program;
use serde_json::{Value, json};
use tempfile::TempDir;
use turnwise_trajectory::{Role, ToolCall};

const TRAIN: &str = r#"{"question": "How many?", "answer": "Not @ 1 but\n<<2*3=6>>6.\n@ 1,234"}

{"question": "And é?", "answer": "@ -3/4", "source": "elsewhere"}
{"question": "Third?", "answer": "@ $2.50"}
"#;
const HELD_OUT: &str = r#"{"question": "Unseen?", "answer": "@ 7"}"#;

/// Writes two files, in which `@` stands for the mark.
fn files(train: &str, held_out: &str) -> (TempDir, QaConfig) {
    let dir = tempfile::tempdir().unwrap();
    let config = QaConfig {
        train: dir.path().join("train.jsonl"),
        held_out: Some(dir.path().join("test.jsonl")),
        held_out_tasks: None,
        limit: None,
        shuffle: false,
        seed: 0,
        columns: BTreeMap::new(),
        instruction: instruction(),
    };
    std::fs::write(&config.train, train.replace('@', MARK)).unwrap();
    std::fs::write(config.held_out.as_ref().unwrap(), held_out.replace('@', MARK)).unwrap();
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
        .map(|task| (task.id.as_str(), question(task), task.answer.as_str()))
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
    assert!(env.train().iter().all(|task| task.messages.len() == 2 && task.messages[1].role == Role::User));
    assert!(env.demonstration(0).is_none());
    config.limit = Some(2);
    assert_eq!(Qa::new(&config).unwrap().train(), &env.train()[..2]);
}

#[test]
fn svamp_is_read_too() {
    let train = r#"{"ID": "chal-1", "Body": "Ann has 3 hats. ", "Question": "How many?", "Equation": "x", "Answer": 3.0}
{"Body": "B.", "Question": "Half?", "Answer": 0.5}"#;
    let env = Qa::new(&files(train, HELD_OUT).1).unwrap();
    let read: Vec<_> = env.train().iter().map(|task| (question(task), task.answer.as_str())).collect();
    assert_eq!(read, [("Ann has 3 hats. How many?", "3"), ("B. Half?", "1/2")]);
    let array = "\n[\n  {\"Body\": \"\", \"Question\": \"One?\", \"Answer\": \"1,000.0\"},\n  \
                 {\"Body\": \"B\",\n   \"Question\": \"Two?\", \"Answer\": 2}\n]";
    let (_dir, mut config) = files(array, HELD_OUT);
    let env = Qa::new(&config).unwrap();
    assert_eq!(question(&env.train()[0]), "One?");
    let read: Vec<_> = env.train().iter().map(|task| (task.id.as_str(), task.answer.as_str())).collect();
    assert_eq!(read, [("qa/train/3", "1000"), ("qa/train/4", "2")]);
    config.limit = Some(1);
    assert_eq!(Qa::new(&config).unwrap().train(), &env.train()[..1]);
}

#[test]
fn a_broken_record_of_svamp_is_told_its_own_form() {
    for (train, expect) in [
        (r#"{"Body": "B.", "Question": "Q?", "Answer": 1e99}"#, ":1: the answer \"1e+99\" is not one exact"),
        (r#"{"Body": "B.", "Question": "Q?", "Answer": null}"#, ":1: the answer \"null\" is not one exact"),
        (r#"{"Body": "B.", "Question": "Q?"}"#, ":1: missing field `Answer`"),
        (r#"{"Question": "Q?", "Answer": 1}"#, ":1: missing field `Body`"),
        (r#"{"Body": "B.", "Question": " ", "Answer": 1}"#, ":1: the question is empty"),
        (
            "[{\"Body\": \"B\", \"Question\": \"Q\", \"Answer\": 1},\n{\"Body\": 2}]",
            ":2: the number 2, expected a text",
        ),
        ("[{\"Body\": \"B\"", ":1: the JSON ends"),
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
        ("{\"question\": ", "the JSON ends where a value is due at column 13"),
        ("[1, 2]", "the number 1, expected a text"),
        ("null", "null, expected an object"),
        (r#"{"answer": "\q 1"}"#, "invalid escape"),
        (r#"{"answer": "@ 1"}"#, "missing field `question`"),
        (r#"{"question": "Q"}"#, "missing field `answer`"),
        (r#"{"question": "Q", "answer": [5]}"#, "the answer is a list, expected a text or a number"),
        (r#"{"question": 5, "answer": "@ 5"}"#, "a number is neither a text nor a list of messages"),
        (r#"{"prompt": [{"role": "x"}], "answer": "@ 5"}"#, "prompt: message 0 has the role \"x\""),
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
    assert!(error.contains(":1: not UTF-8 after") && error.contains("caf"), "{error}");
}

#[test]
fn files_that_cannot_serve_are_refused() {
    let (dir, config) = files(TRAIN, HELD_OUT);
    for train in [dir.path().join("absent.jsonl"), dir.path().to_path_buf()] {
        let error = Qa::new(&QaConfig { train: train.clone(), ..config.clone() }).err().unwrap().to_string();
        assert!(error.starts_with(&train.display().to_string()) && error.contains("hint: "), "{error}");
    }
    let none = serde_json::from_value::<QaConfig>(json!({"train": "a", "held_out": "b", "limit": 0}));
    assert!(none.unwrap_err().to_string().contains('0'));
    let error = Qa::new(&files("\n \n", HELD_OUT).1).err().unwrap().to_string();
    assert!(error.contains("train.jsonl holds no task"), "{error}");
    let leaking = format!("{HELD_OUT}\n{}", r#"{"question": "Third?", "answer": "@ 2"}"#);
    let error = Qa::new(&files(TRAIN, &leaking).1).err().unwrap().to_string();
    assert!(error.contains("test.jsonl:2: the question \"Third?\" is in env.qa.train"), "{error}");
}

/// Every task of an environment, in the order of its file.
fn all(env: &Qa) -> Vec<&Task> {
    let mut all: Vec<&Task> = env.train().iter().chain(env.held_out()).collect();
    all.sort_by_key(|task| task.id.clone());
    all
}

#[test]
fn tables_of_trl_and_verl_need_no_mapping() {
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/datasets");
    let open = |name: &str, instruction: &str| {
        let config =
            json!({"train": golden.join(name), "held_out_tasks": 1, "seed": 3, "instruction": instruction});
        Qa::new(&serde_json::from_value(config).unwrap()).unwrap()
    };
    let trl = open("datasets.parquet", "");
    let read: Vec<_> = all(&trl).iter().map(|task| (task.messages.len(), task.answer.as_str())).collect();
    assert_eq!(read, [(2, "3"), (2, "42"), (2, "42")]);
    assert_eq!(all(&trl)[0].messages[0].content, "Réponds.");
    let told = open("datasets.parquet", "Say it.");
    assert_eq!(all(&told)[0].messages[0].content, "Réponds.\n\nSay it.");
    assert_eq!((trl.train().len(), trl.held_out().len()), (2, 1));
    let verl = open("pandas.parquet", "Say it.");
    let read: Vec<_> = all(&verl).iter().map(|task| (task.messages.len(), task.answer.as_str())).collect();
    assert_eq!(read, [(2, "42"), (2, "12")]);
    assert!(question(all(&verl)[0]).starts_with("6 * 7?"));
    let duckdb = open("duckdb.parquet", "");
    assert_eq!(
        all(&duckdb).iter().map(|task| question(task)).collect::<Vec<_>>(),
        ["1 + 2?", "40 + 2?", "17 + 25?"]
    );
}

#[test]
fn columns_of_other_names_are_mapped() {
    let rows = r#"[{"problem": {"text": "One?"}, "final": 1, "answer": "no"},
 {"problem": {"text": "Two?"}, "final": "@ 2", "answer": "no"}, {"problem": {"text": "Three?"}, "answer": "no"}]"#;
    let (_dir, mut config) = files(rows, HELD_OUT);
    config.held_out = None;
    config.held_out_tasks = Some(1);
    config.columns = [("question", "problem.text"), ("answer", "final")]
        .map(|(name, path)| (name.to_string(), path.to_string()))
        .into();
    let error = Qa::new(&config).err().unwrap().to_string();
    let expect = "train.jsonl:2: there is no column \"final\" for `answer`; hint: there are answer, problem";
    assert!(error.ends_with(expect), "{error}");
    config.limit = Some(2);
    let env = Qa::new(&config).unwrap();
    let read: Vec<_> = all(&env).iter().map(|task| (question(task), task.answer.as_str())).collect();
    assert_eq!(read, [("One?", "1"), ("Two?", "2")]);
    config.columns.insert("qestion".into(), "problem".into());
    let conflict = config.conflict().unwrap();
    assert_eq!(conflict.key, "columns.qestion");
    assert_eq!(conflict.message, "is no column that is read; known are answer, question");
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
    for (answer, right) in
        [("-3/4", true), ("-0.75", true), ("-6/8", true), ("3/4", false), ("-0.7499999999999999999", false)]
    {
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
    assert_eq!(program(&env, &env.train()[0], &call), code);
}

/// As a number, such an answer would be another one.
#[test]
fn an_answer_beyond_64_bits_keeps_its_digits_and_other_columns_do_not_matter() {
    let big = "123456789012345678901234567890";
    let rows =
        format!(r#"{{"question": "Large?", "answer": {big}, "id": {big}, "level": 99999999999999999999}}"#);
    let env = Qa::new(&files(&rows, HELD_OUT).1).unwrap();
    assert_eq!(env.train()[0].answer, big);
    let nested = r#"{"question": "Large?", "info": "{\"answer\": 123456789012345678901234567890}"}"#;
    let (_dir, mut config) = files(nested, r#"{"question": "?", "info": {"answer": 1}}"#);
    config.columns = [("answer".to_string(), "info.answer".to_string())].into();
    assert_eq!(Qa::new(&config).unwrap().train()[0].answer, big);
}
