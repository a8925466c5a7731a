//! Problems of GSM8K as conversations.

use serde_json::{Value as Json, json};
use turnwise_demonstrations::{Conversation, LeftOut, Reason};
use turnwise_envs::{Env, Qa, QaConfig};
use turnwise_tools::executor::{PythonConfig, PythonExecutor};
use turnwise_tools::{Executor, observation};

/// Problems of our own in GSM8K's form.
const PROBLEMS: [(&str, &str); 5] = [
    (
        "Ann sells 48 cards, and half as many to Ben. How many are sold?",
        "Ben gets 48/2 = <<48/2=24>>24 cards.\nIn all 48+24 = <<48+24=72>>72 cards are sold.\n#### 72",
    ),
    (
        "A pen costs $1.25. What do 3 pens and a tax of 10% cost?",
        "3 pens cost 3*1.25 = $<<3*1.25=3.75>>3.75.\nWith tax: $<<3.75*(1+.1)=4.12>>4.12\n#### 4.12",
    ),
    ("How many weeks are 560 days?", "<<560//7=80>>80 weeks\n#### 80"),
    ("What is a third of 10?", "It is <<10/3=3.33>>3.33, or <<+3=3>>3 in whole.\n#### 3"),
    ("What has no annotation?", "Nothing.\n#### 1,000"),
];

fn conversation(question: &str, answer: &str) -> Result<Conversation, LeftOut> {
    Conversation::read(&json!({"question": question, "answer": answer}))
}

/// Runs every call of a conversation, and returns how many there were.
fn played(conversation: &Conversation, python: &dyn Executor) -> usize {
    let mut session = python.session().expect("a session");
    let mut calls = 0;
    for pair in conversation.messages().windows(2) {
        let Some(call) = pair[0].get("tool_calls") else { continue };
        let code = call[0]["function"]["arguments"]["code"].as_str().expect("code");
        let output = session.run(code).expect("an output");
        assert_eq!(pair[1]["content"], observation(&output).as_str(), "{code}");
        calls += 1;
    }
    calls
}

fn python() -> PythonExecutor {
    PythonExecutor::new(PythonConfig { workers: Some(1), ..PythonConfig::default() }).expect("a sandbox")
}

#[test]
fn a_call_of_each_annotation_is_answered_as_by_the_sandbox() {
    let python = python();
    let calls = PROBLEMS.map(|(question, answer)| {
        let conversation = conversation(question, answer).unwrap_or_else(|why| panic!("{}", why.message));
        played(&conversation, &python)
    });
    assert_eq!(calls, [2, 2, 1, 2, 0]);
    let (question, answer) = PROBLEMS[0];
    let conversation = conversation(question, answer).expect("a conversation");
    let messages = conversation.messages();
    let call = |id: &str, code: &str| json!([{"type": "function", "id": id, "function": {"name": "python", "arguments": {"code": code}}}]);
    let output =
        |id: &str, text: &str| json!({"role": "tool", "name": "python", "tool_call_id": id, "content": text});
    let expect = json!([
        {"role": "system", "content": QaConfig::default_instruction()},
        {"role": "user", "content": question},
        {"role": "assistant", "content": "Ben gets 48/2 =", "tool_calls": call("call00000", "print(48/2)")},
        output("call00000", "24.0"),
        {
            "role": "assistant",
            "content": "24 cards.\nIn all 48+24 =",
            "tool_calls": call("call00001", "print(48+24)"),
        },
        output("call00001", "72"),
        {"role": "assistant", "content": "72 cards are sold.\nAnswer: 72"},
    ]);
    assert_eq!(json!(messages), expect);
}

/// The environment that reads the same file finds the last turn right.
#[test]
fn a_demonstration_is_right_in_its_environment() {
    let folder = tempfile::tempdir().expect("a folder");
    let train = folder.path().join("train.jsonl");
    let lines =
        PROBLEMS.map(|(question, answer)| json!({"question": question, "answer": answer}).to_string());
    std::fs::write(&train, lines.join("\n")).expect("a file");
    let config = json!({"train": train, "held_out_tasks": 1});
    let env = Qa::new(&serde_json::from_value(config).expect("a configuration")).expect("an environment");
    for task in env.train().iter().chain(env.held_out()) {
        let line: usize = task.id.rsplit_once('/').expect("a line").1.parse().expect("a number");
        let (question, answer) = PROBLEMS[line - 1];
        let conversation = conversation(question, answer).expect("a conversation");
        let shown: Vec<&str> = conversation.messages().iter().filter_map(|m| m["content"].as_str()).collect();
        let asked: Vec<&str> = task.messages.iter().map(|message| message.content.as_str()).collect();
        assert_eq!(shown[..2], asked[..]);
        let answer = env.answer(shown[shown.len() - 1]).expect("an answer");
        assert!(env.is_correct(task, &answer).expect("a verdict"), "{question}");
    }
}

#[test]
fn an_annotation_that_does_not_check_out_is_named() {
    for (annotation, expect) in [
        ("<<1+1=3>>", "<<1+1=3>> is 2"),
        ("<<1+1>>", "<<1+1>> has no result"),
        ("<<a+1=2>>", "<<a+1=2>> isn't arithmetic"),
        ("<<1+1=two>>", "<<1+1=two>> has no number as its result"),
        ("<<1/1000000=0>>", "<<1/1000000=0>> is too small or too large"),
    ] {
        let why = conversation("?", &format!("{annotation} #### 1")).expect_err(annotation);
        assert_eq!((why.reason, why.message.as_str()), (Reason::MalformedCall, expect));
    }
    assert!(Conversation::read(&json!({"question": "?", "answer": "no mark"})).is_err());
    let other = json!({"question": "?", "answer": "#### 1", "system": ""});
    assert_eq!(Conversation::read(&other).expect("a conversation").messages().len(), 2);
}

/// The published problems, in the file that `TURNWISE_GSM8K` names.
#[test]
fn every_published_annotation_is_a_call_with_its_result() {
    let Some(file) = std::env::var_os("TURNWISE_GSM8K") else {
        eprintln!("left out: TURNWISE_GSM8K names no file");
        return;
    };
    let text = std::fs::read_to_string(&file).expect("the file");
    let python = python();
    let (mut problems, mut calls, mut annotations) = (0, 0, 0);
    for line in text.lines() {
        let row: Json = serde_json::from_str(line).expect("a problem");
        annotations += row["answer"].as_str().expect("an answer").matches("<<").count();
        let conversation = Conversation::read(&row).unwrap_or_else(|why| panic!("{}: {line}", why.message));
        problems += 1;
        calls += played(&conversation, &python);
    }
    assert!(problems > 1000 && calls == annotations, "{problems}: {calls} calls of {annotations}");
}
