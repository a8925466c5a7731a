//! Servers that break the contract: each is refused, and the message says what to change.

use serde_json::{Value, json};
use turnwise_rollout::remote::tokens::EngineName;
use turnwise_trajectory::Trajectory;

use crate::RULE;
use crate::exchanges::Exchange;
use crate::scene::{Ran, plays};

/// Changes the choice of every turn of vLLM.
fn lies(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Ran {
    plays(EngineName::Vllm, RULE, move |exchange, _| {
        if !exchange.path.contains("generate") {
            return exchange.clone();
        }
        let mut answer: Value = serde_json::from_str(&exchange.answer).expect("JSON");
        change(&mut answer["choices"][0]);
        Exchange { answer: answer.to_string(), ..exchange.clone() }
    })
}

/// Answers a path with a status, and others as recorded.
fn refuses(path: &'static str, status: u16) -> Ran {
    plays(EngineName::Vllm, RULE, move |exchange, _| {
        let hit = exchange.path.starts_with(path);
        let answer = if hit { "no".into() } else { exchange.answer.clone() };
        Exchange { status: if hit { status } else { exchange.status }, answer, ..exchange.clone() }
    })
}

/// Counts the retries of all turns.
fn retries(ran: &Ran) -> u32 {
    ran.trajectories.iter().flat_map(|trajectory| &trajectory.turns).map(|turn| turn.retries).sum()
}

/// Returns the trajectories without their numbers of retries.
fn plain(ran: &Ran) -> Vec<Trajectory> {
    let mut trajectories = ran.trajectories.clone();
    trajectories.iter_mut().flat_map(|trajectory| &mut trajectory.turns).for_each(|turn| turn.retries = 0);
    trajectories
}

#[test]
fn a_server_without_the_token_route_is_refused() {
    refuses("/inference", 403).is_refused("status 403", "--enable-scale-out");
    refuses("/inference", 404).is_refused("status 404", "vLLM 0.32 or newer");
}

#[test]
fn a_server_that_wants_a_key_is_refused() {
    for path in ["/v1/models", "/pause", "/inference"] {
        refuses(path, 401).is_refused("status 401", "TURNWISE_API_KEY");
    }
    refuses("/v1/models", 403).is_refused("status 403", "TURNWISE_API_KEY");
}

#[test]
fn a_server_that_takes_no_weights_is_refused() {
    refuses("/pause", 404).is_refused("status 404", "VLLM_SERVER_DEV_MODE=1");
    refuses("/collective_rpc", 500).is_refused("status 500", "rollout.server.weights under the same path");
    plays(EngineName::Sglang, RULE, |exchange, _| {
        let failed = json!({"success": false, "message": "no such folder"}).to_string();
        let answer = if exchange.path.contains("update") { failed } else { exchange.answer.clone() };
        Exchange { answer, ..exchange.clone() }
    })
    .is_refused("the weights weren't loaded", "rollout.server.weights");
}

#[test]
fn log_probabilities_that_are_missing_or_of_other_tokens_are_refused() {
    lies(|choice| choice["logprobs"] = Value::Null).is_refused("0 log-probabilities of", "vLLM 0.32");
    lies(|choice| {
        let content = choice["logprobs"]["content"].as_array_mut().expect("a list");
        content.pop();
    })
    .is_refused("log-probabilities of", "vLLM 0.32");
    lies(|choice| choice["logprobs"]["content"][0]["token_id"] = json!(317))
        .is_refused("a log-probability of token 317 beside", "vLLM 0.32");
    lies(|choice| choice["logprobs"]["content"][0]["logprob"] = json!(0.5)).is_refused("above 0", "vLLM");
}

#[test]
fn a_token_of_another_model_is_refused() {
    lies(|choice| {
        choice["token_ids"][0] = json!(320);
        choice["logprobs"]["content"][0]["token_id"] = json!(320);
    })
    .is_refused("the token 320 isn't in the model's vocabulary of 320", "another model");
    lies(|choice| choice["token_ids"][0] = json!(-1)).is_refused("no whole numbers from 0", "vLLM 0.32");
}

#[test]
fn answers_of_other_weights_are_refused() {
    lies(|choice| choice["weight_versions"][0]["version"] = json!("default"))
        .is_refused("answers come from the weights \"default\"", "servers to itself");
    lies(|choice| choice["weight_versions"] = Value::Null)
        .is_refused("names no version", "vLLM 0.32 or newer");
}

#[test]
fn turns_that_end_where_none_of_ours_would_are_refused() {
    lies(|choice| {
        let tokens = choice["token_ids"].as_array().expect("a list").clone();
        choice["finish_reason"] = json!("length");
        choice["token_ids"] = json!(tokens[..1]);
        let content = choice["logprobs"]["content"].as_array().expect("a list")[..1].to_vec();
        choice["logprobs"]["content"] = json!(content);
    })
    .is_refused("the server cut a turn after 1 of", "--max-model-len");
    lies(|choice| {
        choice["finish_reason"] = json!("stop");
        let last = choice["token_ids"].as_array().map_or(0, Vec::len) - 1;
        choice["token_ids"][last] = json!(100);
        choice["logprobs"]["content"][last]["token_id"] = json!(100);
    })
    .is_refused("ended a turn at token 100", "generation_config.json");
}

#[test]
fn a_fault_costs_a_retry_and_says_so_and_lost_weights_are_pushed_again() {
    let whole = plays(EngineName::Vllm, RULE, |exchange, _| exchange.clone());
    let busy = plays(EngineName::Vllm, RULE, |exchange, number| {
        let busy = number % 3 == 2 && exchange.path.contains("generate");
        Exchange { status: if busy { 503 } else { exchange.status }, ..exchange.clone() }
    });
    busy.is_whole();
    assert!(retries(&whole) == 0 && retries(&busy) > 0);
    assert_eq!(plain(&busy), plain(&whole), "faults change no token");

    // A restarted server has the weights that it began with.
    let restarted = plays(EngineName::Vllm, RULE, |exchange, number| {
        let answer = exchange.answer.replace(crate::scene::VERSION, "default");
        let stale = number == 6 && exchange.path.contains("generate");
        Exchange { answer: if stale { answer } else { exchange.answer.clone() }, ..exchange.clone() }
    });
    assert_eq!(plain(&restarted), plain(&whole));
    let pushes = restarted.server.asked.lock().expect("no test panics in it").clone();
    assert_eq!(pushes.iter().filter(|exchange| exchange.path == "/collective_rpc").count(), 2);
}

#[test]
fn a_number_that_is_none_costs_a_retry() {
    let ran = plays(EngineName::Vllm, RULE, |exchange, number| {
        let mut answer: Value = serde_json::from_str(&exchange.answer).unwrap_or_default();
        if number % 4 == 3 && exchange.path.contains("generate") {
            answer["choices"][0]["logprobs"]["content"][0]["logprob"] = json!(-9999.0);
            return Exchange { answer: answer.to_string(), ..exchange.clone() };
        }
        exchange.clone()
    });
    ran.is_whole();
    assert!(retries(&ran) > 0);
    let whole = plays(EngineName::Vllm, RULE, |exchange, _| exchange.clone());
    assert_eq!(plain(&ran), plain(&whole), "the number changes no token");
}
