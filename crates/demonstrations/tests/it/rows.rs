//! Rows of every shape, and what is wrong with others.

use serde_json::{Value, json};
use turnwise_demonstrations::{Conversation, Reason, TrainOn};

use crate::{named, trained, write};

#[test]
fn every_shape_is_the_same_conversation() {
    let call = json!({"name": "look", "arguments": {"at": "home"}});
    let messages = json!([
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Where?"},
        {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": call}]},
        {"role": "tool", "content": "here"},
        {"role": "assistant", "content": "Here."},
    ]);
    let tools = json!([{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]);
    let rendering = named("hermes_tools");
    let expect = write(&rendering, &json!({"messages": messages, "tools": tools}), TrainOn::Assistant);
    let check = |row: Value| assert_eq!(write(&rendering, &row, TrainOn::Assistant), expect, "{row}");
    check(json!({"messages": messages.to_string(), "tools": tools.to_string(), "id": 3}));
    check(json!({"conversations": messages, "tools": tools, "messages": null}));
    check(json!({"tools": tools, "system": "Be brief.", "conversations": [
        {"from": "human", "value": "Where?"},
        {"from": "function_call", "value": call.to_string()},
        {"from": "observation", "value": "here"},
        {"from": "gpt", "value": "Here."},
    ]}));
    // OpenAI's old form, whose tools are `functions`.
    let mut old = messages.clone();
    let text = json!({"name": "look", "arguments": "{\"at\": \"home\"}"});
    old[2] = json!({"role": "assistant", "content": null, "function_call": text});
    old[3] = json!({"role": "function", "name": "look", "content": "here"});
    check(json!({"messages": old, "tools": tools}));
    check(json!({"messages": old, "functions": [tools[0]["function"]], "tools": null}));
    old[2]["tool_calls"] = json!([]);
    check(json!({"messages": old, "functions": [tools[0]["function"]]}));
    // As a table has it: every key in every row, arguments as text.
    let mut columns = messages.clone();
    for message in columns.as_array_mut().unwrap() {
        for key in ["tool_calls", "name", "train"] {
            message[key] = message.get(key).cloned().unwrap_or_default();
        }
    }
    let (arguments, parts) = (json!("{\"at\": \"home\"}"), json!([{"type": "text", "text": "Where?"}]));
    columns[2]["tool_calls"][0]["function"]["arguments"] = arguments;
    columns[2]["content"] = Value::Null;
    columns[1]["content"] = parts;
    check(json!({"messages": columns, "tools": tools}));
}

#[test]
fn a_completion_is_trained_and_its_prompt_is_not() {
    let rendering = named("hermes_tools");
    let turn = |role: &str, content: &str| json!({"role": role, "content": content});
    let row = json!({
        "prompt": [turn("user", "a"), turn("assistant", "b"), turn("user", "c")],
        "completion": [turn("assistant", "d"), turn("user", "e"), turn("assistant", "f")],
    });
    let [sequence] = write(&rendering, &row, TrainOn::Assistant).try_into().unwrap();
    assert_eq!(trained(&rendering, &sequence), ["d<|im_end|>", "f<|im_end|>"]);
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    use Reason::{BadMark, BadTools, MalformedCall, NotAConversation, UnknownRole, UnknownTool};
    let check = |row: Value, reason: Reason, expect: &str| {
        let why = Conversation::read(&row).expect_err(&row.to_string());
        assert_eq!((why.reason, why.message.as_str()), (reason, expect), "{row}");
    };
    check(json!([1]), NotAConversation, "the row is no JSON object");
    let nothing = "neither `messages` nor `prompt` with `completion` nor `conversations` is there";
    check(json!({"text": "a"}), NotAConversation, nothing);
    check(json!({"messages": 3}), NotAConversation, "`messages` is no list");
    check(json!({"messages": []}), NotAConversation, "no message is the assistant's");
    let one = |message: Value| json!({"messages": [message]});
    check(one(json!("a")), NotAConversation, "messages[0] is no object");
    let roles = "messages[0].role is \"developer\"; known are system, user, assistant, tool";
    check(one(json!({"role": "developer", "content": ""})), UnknownRole, roles);
    check(one(json!({"role": "user"})), NotAConversation, "messages[0].content is no text");
    check(one(json!({"role": "assistant"})), NotAConversation, "messages[0].content is no text");
    let image = json!({"role": "user", "content": [{"type": "image"}]});
    check(one(image), NotAConversation, "messages[0].content holds something else than text");
    let marked = |mark: Value| one(json!({"role": "assistant", "content": "a", "weight": mark}));
    check(marked(json!(0.5)), BadMark, "messages[0].weight is 0.5, expected 0 or 1");
    let user = json!({"role": "user", "content": "a", "train": true});
    let hint = "messages[0] is marked and not the assistant's; hint: train_on = \"all\"";
    check(one(user), BadMark, hint);
    let calls = |call: Value| {
        json!({
            "messages": [{"role": "assistant", "tool_calls": [call]}],
            "tools": [{"name": "look", "parameters": {"properties": {"at": {"type": "string"}}, "required": ["at"]}}],
        })
    };
    let call =
        |name: &str, arguments: Value| calls(json!({"function": {"name": name, "arguments": arguments}}));
    let place = "messages[0].tool_calls[0]";
    let unknown = format!("{place}: unknown tool \"lock\"; offered: look");
    check(call("lock", json!({})), UnknownTool, &unknown);
    check(call("look", json!("{at")), MalformedCall, &format!("{place}: the arguments are no JSON object"));
    check(call("look", json!({})), MalformedCall, &format!("{place}: look: missing argument \"at\""));
    let wrong = format!("{place}: look: argument \"at\" is number, not string");
    check(call("look", json!({"at": 3})), MalformedCall, &wrong);
    check(calls(json!({"arguments": {}})), MalformedCall, &format!("{place} has no name"));
    let old = |call: Value| one(json!({"role": "assistant", "content": "", "function_call": call}));
    check(old(json!("auto")), MalformedCall, "messages[0].function_call is no object");
    check(old(json!({"arguments": "{}"})), MalformedCall, &format!("{place} has no name"));
    let wrong = format!("{place}: the arguments are no JSON object");
    check(old(json!({"name": "f", "arguments": "{at"})), MalformedCall, &wrong);
    let both = json!({"role": "assistant", "function_call": {"name": "f"}, "tool_calls": [{"name": "f"}]});
    check(one(both), MalformedCall, "messages[0].function_call stands beside `tool_calls`");
    let by_user = json!({"role": "user", "content": "", "tool_calls": [{}]});
    check(one(by_user), MalformedCall, "messages[0].tool_calls: only the assistant calls tools");
    let row = json!({"messages": [], "tools": [{"description": "no name"}]});
    check(row, BadTools, "tools[0].name: missing; hint: every tool has a name");
    let run = json!({"group": "g", "trajectories": []});
    let hint =
        "a run's rollouts hold no messages; hint: `turnwise rollout --right --out` writes demonstrations";
    check(run, NotAConversation, hint);
}
