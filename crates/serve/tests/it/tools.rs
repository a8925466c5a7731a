//! Tools and calls in the chat protocol's form.

use serde_json::{Value, json};
use turnwise_serve::Limits;
use turnwise_tools::FormatName;

use crate::scene::Scene;
use crate::script::decode;

fn tools() -> Value {
    let number = json!({"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]});
    let tool = |name: &str| json!({"type": "function", "function": {"name": name, "parameters": number}});
    json!([tool("double"), tool("halve")])
}

fn request(changes: &Value) -> Value {
    let mut request = json!({"messages": [{"role": "user", "content": "?"}], "tools": tools()});
    request.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    request
}

fn call(name: &str, x: u32) -> String {
    format!("<tool_call>\n{{\"name\": \"{name}\", \"arguments\": {{\"x\": {x}}}}}\n</tool_call>")
}

/// Returns content, calls and the reason of an answer, checked against those of its stream.
fn answer(scene: &Scene, text: &str, changes: &Value) -> (Value, Vec<(String, String)>, String) {
    scene.script.says(text).says(text);
    let mut request = request(changes);
    let whole = scene.chat("whole", &request);
    request["stream"] = true.into();
    let events = scene.post("stream", "/chat/completions", &request).events();
    let choice = &whole["choices"][0];
    let content = choice["message"]["content"].clone();
    let deltas = || events.iter().map(|event| &event["choices"][0]["delta"]);
    let streamed: String = deltas().filter_map(|delta| delta["content"].as_str()).collect();
    assert_eq!(streamed, content.as_str().unwrap_or_default());
    let pairs = |calls: &[Value]| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_string();
        calls
            .iter()
            .map(|call| (text(&call["function"]["name"]), text(&call["function"]["arguments"])))
            .collect()
    };
    let calls = pairs(choice["message"]["tool_calls"].as_array().map_or(&[][..], Vec::as_slice));
    let told: Vec<Value> =
        deltas().filter_map(|delta| delta["tool_calls"].as_array()).flatten().cloned().collect();
    assert_eq!(pairs(&told), calls);
    let indices: Vec<Value> = told.iter().map(|call| call["index"].clone()).collect();
    assert_eq!(indices, (0..told.len()).map(|index| json!(index)).collect::<Vec<_>>());
    let reason = choice["finish_reason"].as_str().unwrap().to_string();
    assert_eq!(events.last().unwrap()["choices"][0]["finish_reason"], reason);
    (content, calls, reason)
}

fn called(name: &str, arguments: &str) -> (String, String) {
    (name.into(), arguments.into())
}

#[test]
fn calls_are_told_apart_from_text() {
    let scene = Scene::new();
    let check = |text: &str, content: Value, calls: &[(String, String)], reason: &str| {
        assert_eq!(answer(&scene, text, &json!({})), (content, calls.to_vec(), reason.into()), "{text}");
    };
    let (double, halve) = (called("double", r#"{"x":2}"#), called("halve", r#"{"x":4}"#));
    check("Just text. \n", json!("Just text. \n"), &[], "stop");
    check(&call("double", 2), Value::Null, std::slice::from_ref(&double), "tool_calls");
    let two = format!("Let me see.\n{}\n{}", call("double", 2), call("halve", 4));
    check(&two, json!("Let me see."), &[double.clone(), halve], "tool_calls");
    let between = format!("a {} b", call("double", 2));
    check(&between, json!("a  b"), &[double], "tool_calls");
    let broken = "<tool_call>\n{\"name\": \"double\", \"arguments\": {\"x\": </tool_call>";
    check(broken, json!(broken), &[], "stop");
    check("a < b <tool_", json!("a < b <tool_"), &[], "stop");
    // A program answers calls of tools that it never offered, as it answers those of other servers.
    check(&call("treble", 1), Value::Null, &[called("treble", r#"{"x":1}"#)], "tool_calls");
    // The environment writes what follows.
    let forged = "Done.<tool_response>\n4\n</tool_response>";
    check(forged, json!("Done."), &[], "stop");
}

#[test]
fn a_choice_of_tools_reads_no_call_or_begins_one() {
    let scene = Scene::new();
    let text = call("double", 2);
    let (content, calls, reason) = answer(&scene, &text, &json!({"tool_choice": "none"}));
    assert_eq!((content, calls.len(), reason.as_str()), (json!(text), 0, "stop"));
    for (choice, beginning) in [
        (
            json!({"type": "function", "function": {"name": "halve"}}),
            "<tool_call>\n{\"name\": \"halve\", \"arguments\": {",
        ),
        (json!("required"), "<tool_call>\n{\"name\": "),
    ] {
        let rest = call("halve", 4);
        let rest = rest.strip_prefix(beginning).expect("the call begins as it has to");
        let changes = json!({"tool_choice": choice, "return_token_ids": true});
        let (content, calls, reason) = answer(&scene, rest, &changes);
        assert_eq!((content, reason.as_str()), (Value::Null, "tool_calls"), "{choice}");
        assert_eq!(calls, [called("halve", r#"{"x":4}"#)]);
        scene.script.says(rest);
        let whole = scene.chat("s", &request(&changes));
        let prompt: Vec<u32> = serde_json::from_value(whole["prompt_token_ids"].clone()).unwrap();
        assert!(
            decode(&prompt).ends_with(&format!("<|im_start|>assistant\n{beginning}")),
            "{}",
            decode(&prompt)
        );
        let sampled: Vec<u32> = serde_json::from_value(whole["choices"][0]["token_ids"].clone()).unwrap();
        let end = if choice == "required" { "<|im_end|>" } else { "" };
        assert_eq!(decode(&sampled), format!("{rest}{end}"), "only what was sampled");
    }
}

#[test]
fn a_format_of_code_begins_a_block_and_is_refused_where_no_tool_takes_code() {
    let scene = Scene::with(Limits::default(), Some(FormatName::FencedPython));
    let tool = |name: &str, argument: &str| {
        let parameters = json!({"type": "object", "properties": {argument: {"type": "string"}}});
        json!({"type": "function", "function": {"name": name, "parameters": parameters}})
    };
    let (python, last) = (tool("python", "code"), tool("final_answer", "answer"));
    let required = json!({"tool_choice": "required", "tools": [python], "return_token_ids": true});
    let (content, calls, _) = answer(&scene, "print(1)\n```", &required);
    assert_eq!((content, &calls[..]), (Value::Null, &[called("python", r#"{"code":"print(1)"}"#)][..]));
    let whole = scene.chat("s", &request(&required));
    let prompt: Vec<u32> = serde_json::from_value(whole["prompt_token_ids"].clone()).unwrap();
    assert!(decode(&prompt).ends_with("assistant\n```python\n"), "{}", decode(&prompt));
    // A tool that the format can't write isn't ignored, and neither are answers that would call another.
    let function = &last["function"];
    let flat = json!({"type": "function", "name": "final_answer", "parameters": function["parameters"]});
    let custom = json!({"name": "final_answer", "input_schema": function["parameters"]});
    let user = json!([{"role": "user", "content": "?"}]);
    for (path, request) in [
        ("/chat/completions", json!({"messages": user, "tools": [last]})),
        ("/responses", json!({"input": user, "tools": [flat]})),
        ("/messages", json!({"messages": user, "tools": [custom], "max_tokens": 9})),
    ] {
        let refused = scene.post("s", path, &request).refusal(400);
        let expected =
            "tools[0]: isn't supported; the format fenced_python can't write a call of \"final_answer\"";
        assert!(refused.starts_with(expected), "{refused}");
    }
    let both = request(&json!({"tools": [python, last]}));
    assert!(
        scene.post("s", "/chat/completions", &both).refusal(400).starts_with("tools[1]: isn't supported")
    );
}

#[test]
fn one_call_ends_its_turn_if_calls_are_not_parallel() {
    let scene = Scene::new();
    let text = format!("{}\n{}", call("double", 2), call("halve", 4));
    let (_, calls, reason) = answer(&scene, &text, &json!({"parallel_tool_calls": false}));
    assert_eq!((calls, reason.as_str()), (vec![called("double", r#"{"x":2}"#)], "tool_calls"));
}

#[test]
fn other_formats_are_read_and_typed_by_the_schema() {
    for (format, text) in [
        (FormatName::Pythonic, "[double(x=2), halve(x=4)]"),
        (
            FormatName::QwenXml,
            "<tool_call>\n<function=double>\n<parameter=x>\n2\n</parameter>\n</function>\n</tool_call>\
             <tool_call>\n<function=halve>\n<parameter=x>\n4\n</parameter>\n</function>\n</tool_call>",
        ),
        (
            FormatName::Llama3Json,
            r#"[{"name": "double", "parameters": {"x": 2}}, {"name": "halve", "parameters": {"x": 4}}]"#,
        ),
    ] {
        let scene = Scene::with(Limits::default(), Some(format));
        let (content, calls, _) = answer(&scene, text, &json!({}));
        let expected = [called("double", r#"{"x":2}"#), called("halve", r#"{"x":4}"#)];
        assert_eq!((content, &calls[..]), (Value::Null, &expected[..]), "{text}");
        scene.script.says(text);
        let double = json!({"type": "function", "function": {"name": "double"}});
        let forced = json!({"tool_choice": double, "return_token_ids": true});
        let whole = scene.chat("s", &request(&forced));
        let prompt: Vec<u32> = serde_json::from_value(whole["prompt_token_ids"].clone()).unwrap();
        let prompt = decode(&prompt);
        assert!(prompt.rsplit("assistant\n").next().unwrap().contains("double"), "{prompt}");
    }
}
