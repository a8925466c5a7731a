//! Compares small templates with Jinja2 under the settings of `transformers`: equal text, and equal failures
//! (`tests/golden/chat/make_expressions.py`).

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};
use turnwise_jinja::{Conversation, Moment, Template};

/// Holds a template and its text; none if it ends with an exception.
#[derive(Deserialize)]
struct Case {
    source: String,
    text: Option<String>,
}

fn read(name: &str) -> String {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/chat");
    std::fs::read_to_string(golden.join(name)).expect(name)
}

#[test]
fn every_expression_gives_what_jinja_gives() {
    let messages: Vec<Value> = serde_json::from_str(&read("conversation.json")).unwrap();
    let tokens = json!({"bos_token": "<s>", "eos_token": "</s>"}).as_object().cloned().unwrap();
    let (mut texts, mut failures, mut differ) = (0, 0, Vec::new());
    for line in read("expressions.jsonl").lines() {
        let Case { source, text } = serde_json::from_str(line).unwrap();
        let conversation =
            Conversation { messages: &messages, add_generation_prompt: true, ..Conversation::default() };
        // 2024-12-30 23:59:59, as in make_expressions.py.
        let template = Template::new(&source, tokens.clone(), Moment::from_unix(1_735_603_199));
        let ours = template.and_then(|template| template.render(&conversation));
        match (&text, &ours) {
            (Some(text), Ok(ours)) if text == ours => texts += 1,
            (None, Err(_)) => failures += 1,
            _ => differ.push(format!("{source:?}\n  {text:?}\n  {ours:?}")),
        }
    }
    assert!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ.join("\n"));
    assert!(texts > 2000 && failures > 500, "{texts} texts and {failures} failures");
}
