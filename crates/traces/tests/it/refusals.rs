//! Files that can't be trained on: one line with the place, the key and what is missing.

use serde_json::{Value, json};

use crate::claims::read;

fn turn() -> Value {
    json!({"node_id": "n0", "prompt_token_ids": [1, 2], "completion_token_ids": [3, 4],
           "per_token_logps": [-0.5, -0.25], "loss_mask": [0, 0, 1, 1]})
}

fn step() -> Value {
    json!({"step_id": 2, "source": "agent", "message": "hi", "metrics":
           {"prompt_token_ids": [1, 2], "completion_token_ids": [3, 4], "logprobs": [-0.5, -0.25]}})
}

fn with(mut object: Value, path: &str, value: Option<Value>) -> String {
    let (parents, key) = path.rsplit_once('/').unwrap();
    let parent = object.pointer_mut(parents).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => drop(parent.insert(key.into(), value)),
        None => drop(parent.remove(key)),
    }
    object.to_string()
}

#[track_caller]
fn refused(text: &str, expect: &str) {
    let message = read(text).unwrap_err();
    assert!(message.starts_with(expect), "{message}\n{expect}");
    assert!(message.lines().count() <= 2, "{message}");
}

#[test]
fn a_session_without_exact_tokens_is_refused() {
    let call = json!({"call": 0, "parent": null, "prompt_token_ids": [1], "token_ids": [2], "logprobs": [-0.5],
                      "rewards": {}});
    let next = json!({"call": 1, "parent": 0, "prompt_token_ids": [1, 2, 3], "token_ids": [4],
                      "logprobs": [-0.5], "rewards": {}});
    let line = json!({"session": "s", "calls": [call, next], "done": true});
    assert!(read(&line.to_string()).is_ok());
    let check = |path: &str, value: Option<Value>, expect: &str| {
        refused(&format!("{line}\n{}\n", with(line.clone(), path, value)), &format!("f:2: {expect}"));
    };
    for key in ["prompt_token_ids", "token_ids", "logprobs"] {
        check(&format!("/calls/1/{key}"), None, &format!("calls[1].{key}: is missing, and training needs"));
        check(&format!("/calls/1/{key}"), Some(Value::Null), &format!("calls[1].{key}: is missing"));
    }
    check(
        "/calls/1/logprobs",
        Some(json!([-0.5, -1])),
        "calls[1].logprobs: has 2 log-probabilities for the 1",
    );
    check(
        "/calls/1/prompt_token_ids",
        Some(json!([1, 9, 3])),
        "calls[1].parent: no call 0 before it has read",
    );
    check("/calls/1/parent", Some(json!(7)), "calls[1].parent: no call 7 before it has read");
    check("/calls/1/call", Some(json!(0)), "calls[1].call: 0 is the number of an earlier call");
    check("/calls/0/token_ids", Some(json!(["a"])), "calls[0].token_ids[0]: the text");
    check("/calls/0/rewards", Some(json!({"acc": 1e101})), "calls[0].rewards");
    check("/calls/0/rewards", Some(json!({"acc": -3})), "calls[0].rewards: the reward \"acc\" is -3.0");
    check("/session", None, "missing field `session`");
}

#[test]
fn a_training_trace_without_exact_tokens_is_refused() {
    let trace = json!({"schema_version": 1, "turns": [turn(), turn()]});
    assert!(read(&trace.to_string()).is_ok());
    let check = |path: &str, value: Option<Value>, expect: &str| {
        refused(&with(trace.clone(), path, value), &format!("f:1: {expect}"));
    };
    for key in ["prompt_token_ids", "completion_token_ids", "per_token_logps", "loss_mask"] {
        check(&format!("/turns/1/{key}"), None, &format!("turns[1].{key}: is missing, and "));
    }
    check("/turns/1/loss_mask", Some(json!([0, 0, 1])), "turns[1].loss_mask: has 3 entries for the 4 tokens");
    check(
        "/turns/1/loss_mask",
        Some(json!([0, 1, 1, 1])),
        "turns[1].loss_mask[1]: trains a token of the prompt",
    );
    check("/turns/1/loss_mask", Some(json!([0, 0, 1, 2])), "turns[1].loss_mask[3]: is 2, expected 0 or 1");
    check("/turns/1/per_token_logps", Some(json!([-0.5, 0.5])), "turns[1].per_token_logps[1]: 0.5 isn't");
    check("/schema_version", Some(json!(2)), "schema_version: is 2, and version 1 is read");
    check("/turns", Some(json!([])), "turns: none has a token that is trained on");
    let pieces = json!({"turns": [{"prompt_token_ids": [1], "completion_token_ids": [1, 2, 3],
        "per_token_logps": [-1, -1, -1], "loss_mask": [0, 1, 0, 1]}]});
    refused(&pieces.to_string(), "f:1: turns[0].loss_mask: trains a turn in several pieces");
}

#[test]
fn a_trajectory_of_atif_without_exact_tokens_is_refused() {
    let user = json!({"step_id": 1, "source": "user", "message": "2 + 2?"});
    let agent = json!({"name": "a", "version": "1"});
    let document = json!({"schema_version": "ATIF-v1.7", "agent": agent, "steps": [user, step()]});
    assert!(read(&document.to_string()).is_ok());
    let check = |path: &str, value: Option<Value>, expect: &str| {
        refused(&with(document.clone(), path, value), &format!("f:1: {expect}"));
    };
    check("/steps/1/metrics", None, "steps[1].metrics.prompt_token_ids: is missing, and training needs");
    for key in ["prompt_token_ids", "completion_token_ids", "logprobs"] {
        check(&format!("/steps/1/metrics/{key}"), None, &format!("steps[1].metrics.{key}: is missing, and"));
    }
    check("/steps/1/llm_call_count", Some(json!(3)), "steps[1].llm_call_count: is 3: the step holds several");
    check("/schema_version", Some(json!("ATIF-v2.0")), "schema_version: is \"ATIF-v2.0\", and ATIF-v1.0 to");
    check("/schema_version", None, "missing field `schema_version`");
    let next = "continued_trajectory_ref: the trajectory goes on in \"next.json\", which wasn't read";
    check("/continued_trajectory_ref", Some(json!("next.json")), next);
    let inner =
        json!([{"schema_version": "ATIF-v1.7", "trajectory_id": "t", "steps": [{"source": "agent"}]}]);
    let expect = "subagent_trajectories[0].steps[0].metrics.prompt_token_ids: is missing";
    check("/subagent_trajectories", Some(inner), expect);
}

#[test]
fn what_is_no_trace_is_refused_with_its_line() {
    refused("{}\n", "f:1: isn't a trace: it has none of the keys `calls`");
    refused("\n[1]\n", "f:2: isn't a trace");
    refused("{\"turns\": [\n{\"loss_mask\": [0,\n", "f:3: isn't JSON: the JSON ends");
    refused(r#"{"turns":[],"calls":[]}"#, "f:1: has the keys of several formats");
    let line = r#"{"group":"g","trajectories":[{"turns":[],"played":{"task":"t","sample":0,"prompt":[],"turns":[{"tokens":[],"logprobs":[],"text":"","finish":"length","calls":[],"observation":[]}],"stop":"answer"}}]}"#;
    refused(line, "f:1: trajectories[0].turns: has 0 rewards for 1 turns");
    refused(
        &line.replacen("\"turns\":[]", "\"turns\":[{}]", 1),
        "f:1: trajectories[0].played.turns[0].prompt: is empty",
    );
    let traces = read(&json!({"turns": [turn()]}).to_string()).unwrap();
    let error = traces.rollouts(1.0).unwrap_err().to_string();
    assert!(
        error.starts_with("f:1: no trace has a reward, and training needs them\n  hint: --rewards"),
        "{error}"
    );
}
