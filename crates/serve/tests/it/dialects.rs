//! Responses and messages: the same conversation has the same tokens in every dialect, and so has its answer.

use serde_json::{Value, json};

use crate::scene::{Reply, Scene};

const CALL: &str =
    "Let me see.\n<tool_call>\n{\"name\": \"double\", \"arguments\": {\"x\": 2}}\n</tool_call>";

fn schema() -> Value {
    json!({"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]})
}

/// Returns the paths and the bodies of one conversation: a question, a call, its output, a question.
fn conversations() -> [(&'static str, Value); 3] {
    let function = json!({"name": "double", "description": "Doubles.", "parameters": schema()});
    let mut flat = function.clone();
    flat["type"] = "function".into();
    let arguments = r#"{"x": 2}"#;
    let call = json!({"id": "c", "type": "function", "function": {"name": "double", "arguments": arguments}});
    let said = json!([{"type": "output_text", "text": "Let me see."}]);
    let tool_use = json!({"type": "tool_use", "id": "c", "name": "double", "input": {"x": 2}});
    let result =
        json!({"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "4"}]});
    [
        (
            "/chat/completions",
            json!({
                "messages": [
                    {"role": "system", "content": "Be short."},
                    {"role": "user", "content": "Twice 2?"},
                    {"role": "assistant", "content": "Let me see.", "tool_calls": [call]},
                    {"role": "tool", "tool_call_id": "c", "content": "4"},
                    {"role": "user", "content": "And?"},
                ],
                "tools": [{"type": "function", "function": function}],
            }),
        ),
        (
            "/responses",
            json!({
                "instructions": "Be short.",
                "input": [
                    {"role": "user", "content": "Twice 2?"},
                    {"type": "message", "role": "assistant", "content": said},
                    {"type": "function_call", "call_id": "c", "name": "double", "arguments": arguments},
                    {"type": "function_call_output", "call_id": "c", "output": "4"},
                    {"role": "user", "content": [{"type": "input_text", "text": "And?"}]},
                ],
                "tools": [flat],
            }),
        ),
        (
            "/messages",
            json!({
                "system": [{"type": "text", "text": "Be short."}],
                "max_tokens": 100,
                "messages": [
                    {"role": "user", "content": "Twice 2?"},
                    {"role": "assistant", "content": [{"type": "text", "text": "Let me see."}, tool_use]},
                    {"role": "user", "content": [result, {"type": "text", "text": "And?"}]},
                ],
                "tools": [{"name": "double", "description": "Doubles.", "input_schema": schema()}],
            }),
        ),
    ]
}

/// Returns the named events of a stream.
fn events(reply: &Reply) -> Vec<Value> {
    assert_eq!(reply.status, 200, "{}", reply.text);
    let data: Vec<&str> = reply.text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    let named: Vec<&str> = reply.text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    let events: Vec<Value> = data.iter().map(|event| serde_json::from_str(event).expect("JSON")).collect();
    assert_eq!(events.iter().map(|event| event["type"].as_str().unwrap()).collect::<Vec<_>>(), named);
    events
}

#[test]
fn a_conversation_has_the_same_tokens_in_every_dialect() {
    let scene = Scene::new();
    let mut told = Vec::new();
    for (path, mut request) in conversations() {
        scene.script.says(CALL).says(CALL);
        request["return_token_ids"] = true.into();
        request["logprobs"] = true.into();
        let answer = scene.ask("s", path, &request);
        let choice = &answer["choices"][0];
        told.push((
            answer["prompt_token_ids"].clone(),
            choice["token_ids"].clone(),
            choice["logprobs"]["content"].clone(),
        ));
        if path == "/chat/completions" {
            continue;
        }
        request["stream"] = true.into();
        let events = events(&scene.post("s", path, &request));
        let last = if path == "/responses" {
            events.last().unwrap()["response"].clone()
        } else {
            events.iter().find(|event| event["type"] == "message_delta").unwrap().clone()
        };
        let choice = &last["choices"][0];
        told.push((
            last["prompt_token_ids"].clone(),
            choice["token_ids"].clone(),
            choice["logprobs"]["content"].clone(),
        ));
    }
    assert!(told[0].0.is_array() && told[0].1.is_array() && told[0].2.is_array());
    assert!(told.iter().all(|one| *one == told[0]));
}

#[test]
fn a_response_holds_a_message_and_calls_whole_and_streamed() {
    let scene = Scene::new();
    let [_, (path, mut request), _] = conversations();
    scene.script.says(CALL).says(CALL).says("It is 4.");
    let whole = scene.ask("s", path, &request);
    let [message, call] = &whole["output"].as_array().unwrap()[..] else { panic!("{whole}") };
    assert_eq!(
        (&message["type"], &message["content"][0]["text"]),
        (&json!("message"), &json!("Let me see."))
    );
    assert_eq!((&call["type"], &call["name"]), (&json!("function_call"), &json!("double")));
    assert_eq!((&call["arguments"], &whole["status"]), (&json!(r#"{"x":2}"#), &json!("completed")));
    assert_eq!(whole["tools"], request["tools"], "it repeats the request");
    request["stream"] = true.into();
    let told = events(&scene.post("s", path, &request));
    assert!(told.iter().enumerate().all(|(at, event)| event["sequence_number"] == at));
    let delta = |kind: &str| -> String {
        let deltas = told.iter().filter(|event| event["type"] == kind);
        deltas.map(|event| event["delta"].as_str().unwrap()).collect()
    };
    assert_eq!(delta("response.output_text.delta"), "Let me see.");
    assert_eq!(delta("response.function_call_arguments.delta"), r#"{"x":2}"#);
    let last = &told.last().unwrap()["response"];
    let done = told.iter().filter(|event| event["type"] == "response.output_item.done");
    assert_eq!(
        done.map(|event| event["item"].clone()).collect::<Vec<_>>(),
        last["output"].as_array().unwrap()[..]
    );
    request["stream"] = false.into();
    request["max_output_tokens"] = 2.into();
    let cut = scene.ask("s", path, &request);
    assert_eq!(
        (&cut["status"], &cut["incomplete_details"]["reason"]),
        (&json!("incomplete"), &json!("max_output_tokens"))
    );
}

#[test]
fn a_message_holds_text_and_calls_whole_and_streamed() {
    let scene = Scene::new();
    let [_, _, (path, mut request)] = conversations();
    scene.script.says(CALL).says(CALL).says("It is 4.").says("It is 4.");
    let whole = scene.ask("s", path, &request);
    let [text, call] = &whole["content"].as_array().unwrap()[..] else { panic!("{whole}") };
    assert_eq!(text, &json!({"type": "text", "text": "Let me see."}));
    assert_eq!((&call["type"], &call["input"]), (&json!("tool_use"), &json!({"x": 2})));
    assert_eq!((&whole["stop_reason"], &whole["type"]), (&json!("tool_use"), &json!("message")));
    request["stream"] = true.into();
    let told = events(&scene.post("s", path, &request));
    let kinds: Vec<&str> = told.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        (kinds[0], kinds[kinds.len() - 2], kinds[kinds.len() - 1]),
        ("message_start", "message_delta", "message_stop")
    );
    let deltas =
        |key: &str| -> String { told.iter().filter_map(|event| event["delta"][key].as_str()).collect() };
    assert_eq!((deltas("text"), deltas("partial_json")), ("Let me see.".into(), r#"{"x":2}"#.into()));
    let starts = told.iter().filter(|event| event["type"] == "content_block_start");
    assert_eq!(starts.map(|event| event["index"].clone()).collect::<Vec<_>>(), [json!(0), json!(1)]);
    request["stream"] = false.into();
    request["stop_sequences"] = json!(["is"]);
    let stopped = scene.ask("s", path, &request);
    assert_eq!((&stopped["stop_reason"], &stopped["stop_sequence"]), (&json!("stop_sequence"), &json!("is")));
    request["max_tokens"] = 1.into();
    assert_eq!(scene.ask("s", path, &request)["stop_reason"], "max_tokens");
}

#[test]
fn what_is_not_supported_is_refused_by_name_in_the_dialects_form() {
    let scene = Scene::new();
    let [_, responses, messages] = conversations();
    let check = |(path, base): &(&str, Value), changes: Value, line: &str| {
        let mut request = base.clone();
        request.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let reply = scene.post("s", path, &request);
        assert_eq!(reply.status, 400, "{changes}: {}", reply.text);
        let body: Value = serde_json::from_str(&reply.text).unwrap();
        assert!(body["error"]["message"].as_str().unwrap().starts_with(line), "{changes}: {body}");
        assert_eq!(body["error"]["type"], "invalid_request_error");
        assert_eq!(body["type"] == "error", *path == "/messages");
    };
    let r = &responses;
    check(r, json!({"input": null}), "input: is missing");
    check(r, json!({"input": []}), "input: holds no message");
    check(r, json!({"input": [{"type": "reasoning"}]}), "input[0].type: isn't supported");
    check(
        r,
        json!({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}),
        "input[0].content[0].type",
    );
    check(r, json!({"previous_response_id": "x"}), "previous_response_id: isn't supported");
    check(r, json!({"store": true}), "store: isn't supported");
    check(r, json!({"background": true}), "background: isn't supported");
    check(r, json!({"reasoning": {"effort": "low"}}), "reasoning: isn't supported");
    check(r, json!({"text": {"format": {"type": "json_schema"}}}), "text: isn't supported");
    check(r, json!({"tools": [{"type": "web_search"}]}), "tools[0].type: isn't supported");
    check(r, json!({"include": ["file_search_call.results"]}), "include: isn't supported");
    check(r, json!({"tool_choice": {"type": "function", "name": "g"}}), "tool_choice: no tool \"g\"");
    check(r, json!({"n": 2}), "n: isn't supported");
    let m = &messages;
    check(m, json!({"max_tokens": null}), "max_tokens: is missing");
    check(m, json!({"messages": null}), "messages: is missing");
    check(m, json!({"messages": [{"role": "system", "content": "x"}]}), "messages[0].role: isn't supported");
    check(
        m,
        json!({"messages": [{"role": "user", "content": [{"type": "image"}]}]}),
        "messages[0].content[0].type",
    );
    let prefill = json!([{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]);
    check(m, json!({"messages": prefill}), "messages: isn't supported");
    check(m, json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}), "thinking: isn't supported");
    check(
        m,
        json!({"tools": [{"type": "web_search_20250305", "name": "x"}]}),
        "tools[0].type: isn't supported",
    );
    check(m, json!({"tools": [{"name": "x"}]}), "tools[0].input_schema: is missing");
    check(m, json!({"tool_choice": {"type": "tool", "name": "g"}}), "tool_choice: no tool \"g\"");
    check(m, json!({"container": "x"}), "container: isn't supported");
    let busy = scene.send("/messages", &[("x-api-key", "")], "{}");
    assert_eq!(busy.status, 401);
    assert!(busy.text.contains("authentication_error"));
}

#[test]
fn a_choice_of_tools_is_read_in_every_dialect() {
    let scene = Scene::new();
    let [_, (responses, mut response), (messages, mut message)] = conversations();
    scene.script.says("\"x\": 2}}\n</tool_call>").says("\"x\": 2}}\n</tool_call>");
    response["tool_choice"] = json!({"type": "function", "name": "double"});
    let called = scene.ask("s", responses, &response);
    assert_eq!(
        (&called["output"][0]["type"], called["output"].as_array().unwrap().len()),
        (&json!("function_call"), 1)
    );
    message["tool_choice"] = json!({"type": "tool", "name": "double"});
    let called = scene.ask("s", messages, &message);
    assert_eq!(called["content"][0]["input"], json!({"x": 2}));
    scene.script.says(CALL).says(CALL);
    response["tool_choice"] = "none".into();
    assert_eq!(scene.ask("s", responses, &response)["output"][0]["content"][0]["text"], CALL);
    message["tool_choice"] = json!({"type": "none"});
    assert_eq!(scene.ask("s", messages, &message)["content"][0]["text"], CALL);
}
