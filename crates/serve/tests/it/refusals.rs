//! Requests that ask for what isn't there.

use serde_json::{Value, json};

use crate::scene::Scene;

#[track_caller]
fn check(scene: &Scene, path: &str, base: &Value, changes: &Value, line: &str) {
    let mut request = base.clone();
    request.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let refusal = scene.post("s", path, &request).refusal(400);
    assert!(refusal.starts_with(line), "{changes}: {refusal}");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of requests")]
fn a_chat_request_is_refused_by_the_name_of_what_is_wrong() {
    let scene = Scene::new();
    let base = json!({"messages": [{"role": "user", "content": "?"}]});
    let check = |changes: Value, line: &str| check(&scene, "/chat/completions", &base, &changes, line);
    check(json!({"messages": null}), "messages: is missing");
    check(json!({"messages": []}), "messages: holds no message");
    check(json!({"messages": {}}), "messages: an object, not a list");
    check(json!({"messages": ["x"]}), "messages[0]: a text, not an object");
    check(json!({"messages": [{"content": "x"}]}), "messages[0].role: is missing");
    check(json!({"messages": [{"role": "user"}]}), "messages[0].content: is missing");
    check(json!({"messages": [{"role": "function", "content": "x"}]}), "messages[0].role: isn't supported");
    check(
        json!({"messages": [{"role": "user", "content": "x", "name": "n"}]}),
        "messages[0].name: isn't supported",
    );
    let image = json!([{"type": "image_url", "image_url": {"url": "x"}}]);
    check(
        json!({"messages": [{"role": "user", "content": image}]}),
        "messages[0].content[0].type: isn't supported",
    );
    let called = |function: Value| {
        let calls = json!([{"id": "a", "type": "function", "function": function}]);
        json!({"messages": [{"role": "assistant", "tool_calls": calls}]})
    };
    let place = "messages[0].tool_calls[0].function";
    check(called(json!({"arguments": "{}"})), &format!("{place}.name: is missing"));
    check(called(json!({"name": "f", "arguments": "{"})), &format!("{place}.arguments: is no JSON object"));
    check(called(json!({"name": "f", "arguments": 1})), &format!("{place}.arguments: 1, not"));
    check(json!({"messages": [{"role": "tool", "content": "x"}]}), "messages[0].tool_call_id: is missing");
    check(json!({"temperature": -1}), "temperature: -1, not a number from 0 to 100");
    check(json!({"top_p": 0}), "top_p: 0, not");
    check(json!({"n": 0}), "n: 0, not a whole number from 1 to 64");
    check(json!({"n": 65}), "n: 65, not");
    check(json!({"seed": -1}), "seed: -1, not");
    check(json!({"max_tokens": 0}), "max_tokens: 0, not");
    check(json!({"max_completion_tokens": 1.5}), "max_completion_tokens: 1.5, not");
    check(json!({"stop": ""}), "stop: an empty stop string");
    check(json!({"stop": [1]}), "stop: 1, not");
    check(json!({"stop": vec!["a"; 17]}), "stop: 17 stop strings");
    check(json!({"stream": 1}), "stream: 1, not true or false");
    check(json!({"stream_options": {"include_usage": true}}), "stream_options: only a stream");
    check(json!({"stream": true, "stream_options": {"x": 1}}), "stream_options.x: isn't supported");
    check(json!({"top_logprobs": 5}), "top_logprobs: there are none without log-probabilities");
    let many = json!({"logprobs": true, "top_logprobs": 21});
    check(many, "top_logprobs: 21, not a whole number from 0 to 20");
    check(json!({"response_format": {"type": "json_object"}}), "response_format: isn't supported");
    check(json!({"presence_penalty": 0.5}), "presence_penalty: isn't supported; only 0 is");
    check(json!({"logit_bias": {"5": 1}}), "logit_bias: isn't supported");
    check(json!({"store": true}), "store: isn't supported");
    for key in
        ["functions", "reasoning_effort", "audio", "prediction", "web_search_options", "guided_json", "beam"]
    {
        check(json!({key: {"a": 1}}), &format!("{key}: isn't supported"));
    }
    check(json!({"tools": [{"type": "custom", "name": "x"}]}), "tools[0].type: isn't supported");
    check(json!({"tools": [{"type": "function", "function": {}}]}), "tools[0].function");
    check(json!({"tools": [{"type": "function", "name": "f"}]}), "tools[0].name: isn't supported");
    check(json!({"tools": [{"type": "function"}]}), "tools[0].function: is missing");
    let function = |more: Value| {
        let mut function = json!({"name": "f"});
        function.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"tools": [{"type": "function", "function": function}]})
    };
    check(function(json!({"examples": []})), "tools[0].function.examples: isn't supported");
    check(function(json!({"parameters": []})), "tools[0].function.parameters: a list, not an object");
    let typed = json!({"parameters": {"properties": {"x": {"type": "strng"}}}});
    let typo = "tools[0].function.parameters.properties.x.type: \"strng\" is no type of JSON schema (did";
    check(function(typed), typo);
    let required = json!({"parameters": {"required": "x"}});
    check(function(required), "tools[0].function.parameters.required: string, not a list of names");
    check(
        json!({"max_tokens": 5, "max_completion_tokens": 6}),
        "max_tokens: differs from max_completion_tokens",
    );
    check(json!({"tool_choice": "required"}), "tool_choice: there are no tools");
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {}}}]);
    check(json!({"tools": tools, "tool_choice": "f"}), "tool_choice: isn't supported");
    let other = json!({"type": "function", "function": {"name": "g"}});
    check(json!({"tools": tools, "tool_choice": other}), "tool_choice: no tool \"g\" is on offer");
    let long = "x ".repeat(5000);
    check(json!({"messages": [{"role": "user", "content": long}]}), "the prompt has ");
}

#[test]
fn a_completion_request_is_refused_by_the_name_of_what_is_wrong() {
    let scene = Scene::new();
    let base = json!({"prompt": [5]});
    let check = |changes: Value, line: &str| check(&scene, "/completions", &base, &changes, line);
    check(json!({"prompt": null}), "prompt: is missing");
    check(json!({"prompt": []}), "prompt: has no token");
    check(json!({"prompt": ""}), "prompt: has no token");
    check(json!({"prompt": [5, 320]}), "prompt[1]: token 320 isn't in the vocabulary");
    check(json!({"prompt": [5, -1]}), "prompt[1]: -1, not a token id");
    check(json!({"prompt": [[5], [6]]}), "prompt: isn't supported; one prompt is");
    check(json!({"prompt": {"a": 1}}), "prompt: an object, not");
    check(json!({"logprobs": 3}), "logprobs: isn't supported");
    check(json!({"echo": true}), "echo: isn't supported");
    check(json!({"suffix": "x"}), "suffix: isn't supported");
    check(json!({"best_of": 4}), "best_of: isn't supported");
    check(json!({"messages": []}), "messages: isn't supported");
}

/// Writes a tool of a number.
type Tool = fn(usize) -> Value;

#[test]
fn tools_are_read_by_one_rule_in_every_dialect() {
    let scene = Scene::new();
    let user = json!([{"role": "user", "content": "?"}]);
    let (chat, responses, messages) =
        (json!({"messages": user}), json!({"input": user}), json!({"messages": user, "max_tokens": 9}));
    let wrapped: Tool = |n| json!({"type": "function", "function": {"name": format!("f{n}")}});
    let flat: Tool = |n| json!({"type": "function", "name": format!("f{n}")});
    let custom: Tool = |n| json!({"name": format!("f{n}"), "input_schema": {"type": "object"}});
    let forms = [
        ("/chat/completions", &chat, wrapped, "tools[1].function.name"),
        ("/responses", &responses, flat, "tools[1].name"),
        ("/messages", &messages, custom, "tools[1].name"),
    ];
    for (path, base, tool, place) in forms {
        let with = |tools: Vec<Value>, line: &str| check(&scene, path, base, &json!({"tools": tools}), line);
        with((0..257).map(tool).collect(), "tools: 257 tools; at most 256 are read");
        with(vec![tool(3), tool(3)], &format!("{place}: \"f3\" names an earlier tool"));
        let mut other = tool(0);
        other["x"] = 1.into();
        with(vec![other], "tools[0].x: isn't supported");
        let mut fine = base.clone();
        fine["tools"] = json!([tool(0), tool(1)]);
        scene.ask("s", path, &fine);
    }
}

#[test]
fn places_are_those_of_the_request_in_every_dialect() {
    let scene = Scene::new();
    let base = json!({"instructions": "Be short.", "input": [{"role": "user", "content": "?"}]});
    let called = |arguments: &str| {
        let call = json!({"type": "function_call", "call_id": "a", "name": "f", "arguments": arguments});
        json!({"input": [{"role": "user", "content": "?"}, call]})
    };
    check(&scene, "/responses", &base, &called("{"), "input[1].arguments: is no JSON object");
    check(&scene, "/responses", &base, &called("[]"), "input[1].arguments: is no JSON object");
    let base =
        json!({"system": "Be short.", "messages": [{"role": "user", "content": "?"}], "max_tokens": 9});
    let check = |changes: Value, line: &str| check(&scene, "/messages", &base, &changes, line);
    check(json!({"messages": []}), "messages: holds no message");
    check(json!({"messages": [{"role": "user", "content": []}]}), "messages[0].content: holds no block");
    let schema = json!([{"name": "f", "input_schema": {"required": "x"}}]);
    check(json!({"tools": schema}), "tools[0].input_schema.required: string, not a list of names");
}

#[test]
fn parts_of_texts_are_read_by_one_rule_in_every_dialect() {
    let scene = Scene::new();
    let said = |kind: &str, more: &Value| {
        let mut part = json!({"type": kind, "text": "?"});
        part.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([part])
    };
    let user = |content: Value| json!([{"role": "user", "content": content}]);
    let request = |path: &str, more: &Value| match path {
        "/chat/completions" => json!({"messages": user(said("text", more))}),
        "/responses" => json!({"input": user(said("input_text", more))}),
        _ => json!({"messages": user(json!("?")), "system": said("text", more), "max_tokens": 9}),
    };
    for (path, place) in [
        ("/chat/completions", "messages[0].content[0]"),
        ("/responses", "input[0].content[0]"),
        ("/messages", "system[0]"),
    ] {
        for (key, value) in [("prefix", json!(true)), ("citations", json!([{"title": "a"}]))] {
            let refusal = scene.post("s", path, &request(path, &json!({key: value}))).refusal(400);
            assert!(refusal.starts_with(&format!("{place}.{key}: isn't supported")), "{refusal}");
        }
        let beside = json!({"cache_control": {"type": "ephemeral"}, "annotations": [], "citations": null});
        scene.ask("s", path, &request(path, &beside));
    }
}

#[test]
fn a_key_that_stands_twice_is_refused_in_every_dialect() {
    let scene = Scene::new();
    let user = r#"[{"role": "user", "content": "?"}]"#;
    for (path, key) in [
        ("/chat/completions", "messages"),
        ("/completions", "prompt"),
        ("/responses", "input"),
        ("/messages", "messages"),
    ] {
        let body = |more: &str| format!("{{{key:?}: {user}, {more}}}");
        for (more, name) in [
            (r#""temperature": 0, "temperature": 1"#, "temperature"),
            (r#""seed": 1, "metadata": {"a": 1, "a": 1}"#, "a"),
        ] {
            let refusal = scene.send(path, &[], &body(more)).refusal(400);
            assert_eq!(refusal, format!("the key {name:?} stands twice"), "{path}");
        }
    }
}

#[test]
fn keys_that_ask_for_nothing_are_let_through() {
    let scene = Scene::new();
    scene.chat(
        "s",
        &json!({
            "messages": [{"role": "user", "content": "?"}],
            "model": "gpt-5", "user": "me", "metadata": {"a": "b"}, "store": false, "n": 1, "top_k": -1,
            "presence_penalty": 0, "frequency_penalty": 0.0, "logit_bias": null, "logprobs": false,
            "response_format": {"type": "text"}, "tools": [], "tool_choice": null, "stream_options": null,
            "top_logprobs": 0, "stop": null, "seed": null, "max_tokens": 5, "max_completion_tokens": 5,
            "modalities": ["text"],
        }),
    );
    let best = json!({"prompt": "a", "best_of": 2, "n": 2, "echo": false, "suffix": null, "logprobs": null});
    scene.ask("s", "/completions", &best);
}
