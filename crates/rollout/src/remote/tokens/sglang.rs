//! SGLang (read, not run: 0.5.23): turns by `/generate`, weights by `/update_weights_from_disk`.
//!
//! Its log-probabilities are scaled by the temperature and taken before truncation, which is the trainer's
//! rule. `sampling_seed` counts only with `--enable-deterministic-inference`.

use serde_json::{Value, json};

use super::description::Description;
use super::protocol::{Ask, Odd, OnDisk, Protocol, Request, SampledTurn, paired, token_ids};

/// Speaks with SGLang.
pub(crate) struct Sglang;

const NO_LOGPROBS: &str = "turns need log-probabilities of their tokens: use SGLang 0.5 or newer";

impl Protocol for Sglang {
    fn turns(&self) -> &'static str {
        "/generate"
    }

    fn sample(&self, ask: &Ask<'_>) -> Value {
        let Ask { tokens, max_new, rule, seed, stop, .. } = *ask;
        let sampling = json!({
            "max_new_tokens": max_new,
            "temperature": rule.temperature,
            "top_p": rule.top_p,
            "top_k": if rule.top_k == 0 { -1 } else { rule.top_k as i64 },
            "min_p": rule.min_p,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "sampling_seed": seed,
            "stop_token_ids": stop,
            // It would ignore the stop tokens too.
            "ignore_eos": stop.is_empty(),
            "no_stop_trim": true,
            "skip_special_tokens": false,
        });
        // Its caches are flushed with every update, so they need no salt.
        json!({"input_ids": tokens, "sampling_params": sampling, "return_logprob": true, "stream": false})
    }

    fn read(&self, answer: &Value) -> Result<SampledTurn, Odd> {
        let meta = &answer["meta_info"];
        let cut = match meta["finish_reason"]["type"].as_str() {
            Some("stop") => false,
            Some("length") => true,
            _ => return Err(Odd::Passing(format!("the server broke off: {}", meta["finish_reason"]))),
        };
        let listed = meta["output_token_logprobs"].as_array().map(Vec::as_slice).unwrap_or_default();
        let tokens = token_ids(&answer["output_ids"]).ok_or_else(|| {
            Odd::Wrong(
                "the token ids are missing, or no whole numbers from 0\n  hint: use SGLang 0.5 or newer"
                    .into(),
            )
        })?;
        let logprob = |entry: &Value| {
            let id = entry[1].as_u64().and_then(|id| id.try_into().ok());
            (id, entry[0].as_f64())
        };
        let logprobs = paired(&tokens, listed.iter().map(logprob).collect(), NO_LOGPROBS)?;
        // Newer ones name a version per span of tokens, older ones that of the whole answer.
        let spans = meta["weight_versions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let of = |span: &Value| span.as_str().or_else(|| span["version"].as_str()).map(str::to_string);
        let mut versions: Vec<String> = spans.iter().filter_map(of).collect();
        versions.extend(meta["weight_version"].as_str().map(str::to_string));
        Ok(SampledTurn { tokens, logprobs, cut, versions })
    }

    fn push(&self, weights: OnDisk<'_>) -> Vec<Request> {
        let OnDisk { folder, version, .. } = weights;
        let body = json!({"model_path": folder, "weight_version": version, "flush_cache": true});
        vec![Request::new("/update_weights_from_disk", body)]
    }

    fn pushed(&self, answer: &str) -> Result<(), String> {
        let said: Value = serde_json::from_str(answer).unwrap_or_default();
        match said["success"].as_bool() {
            Some(true) => Ok(()),
            _ => Err(format!("the weights weren't loaded: {}", turnwise_http::short(answer))),
        }
    }

    fn about(&self) -> &'static str {
        "/server_info"
    }

    fn described(&self, answer: &Value) -> Description {
        let number = |key: &str| answer[key].as_u64().and_then(|length| length.try_into().ok());
        Description { model: None, context: number("context_length") }
    }

    fn advice(&self, path: &str, status: u16) -> Option<&'static str> {
        match (path, status) {
            ("/update_weights_from_disk", 400) => {
                Some("the server has to see rollout.server.weights under the same path")
            }
            (_, 403..=405) => Some("is this an SGLang server of version 0.5 or newer?"),
            _ => None,
        }
    }

    fn keeps_rule_truncated(&self) -> bool {
        true
    }

    fn takes_adapters(&self) -> bool {
        false
    }
}
