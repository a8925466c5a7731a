//! Compares chat templates with `transformers`, byte for byte (`tests/golden/chat/make.py`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use turnwise_jinja::{Conversation, Moment, Template};

/// Holds a line of `conversations.json`.
#[derive(Deserialize)]
struct Case {
    name: String,
    messages: Vec<Value>,
    tools: Option<Vec<Value>>,
    documents: Option<Vec<Value>>,
    #[serde(default)]
    add_generation_prompt: bool,
}

/// Holds the result of `transformers`: a text, the template's refusal, or another exception of Python's.
#[derive(Deserialize)]
struct Expected {
    template: String,
    case: String,
    text: Option<String>,
    refused: Option<String>,
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/chat")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(golden().join(name)).expect(name)
}

fn template(name: &str) -> Template {
    let tokens = json!({"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"});
    let tokens: Map<String, Value> = tokens.as_object().cloned().expect("an object");
    // 2024-12-30 23:59:59, as in make.py.
    let now = Moment::from_unix(1_735_603_199);
    Template::new(&read(&format!("templates/{name}.jinja")), tokens, now).expect(name)
}

#[test]
fn every_conversation_is_rendered_as_by_transformers() {
    let cases: Vec<Case> = serde_json::from_str(&read("conversations.json")).unwrap();
    let cases: BTreeMap<&str, &Case> = cases.iter().map(|case| (case.name.as_str(), case)).collect();
    let (mut texts, mut refusals, mut differ) = (0, 0, Vec::new());
    for line in read("expected.jsonl").lines() {
        let expected: Expected = serde_json::from_str(line).unwrap();
        let case = cases[expected.case.as_str()];
        let rendered = template(&expected.template).render(&Conversation {
            messages: &case.messages,
            tools: case.tools.as_deref(),
            documents: case.documents.as_deref(),
            add_generation_prompt: case.add_generation_prompt,
        });
        let place = format!("{}, {}", expected.template, expected.case);
        match (expected.text, expected.refused, rendered) {
            (Some(text), _, Ok(ours)) if ours == text => texts += 1,
            (None, Some(refused), Err(ours)) if ours.0 == refused => refusals += 1,
            // Templates can't rely on an exception of Python's, so ours may differ.
            (None, None, _) => {}
            (text, refused, ours) => differ.push(format!("{place}\n  {text:?} {refused:?}\n  {ours:?}")),
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    assert!(texts > 150 && refusals > 4, "{texts} texts and {refusals} refusals");
}
