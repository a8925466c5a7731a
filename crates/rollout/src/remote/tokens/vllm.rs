//! vLLM (read and run: 0.32): turns by `/inference/v1/generate`, weights by `/collective_rpc`.
//!
//! The token route knows no tokenizer and names the version of the weights behind every token. It needs
//! `--enable-scale-out`, the routes for weights need `VLLM_SERVER_DEV_MODE=1`, and log-probabilities keep the
//! rule with `--logprobs-mode processed_logprobs`, unless tokens are truncated.

use serde_json::{Value, json};

use super::description::Description;
use super::protocol::{ADAPTER, Ask, Odd, OnDisk, Protocol, Request, SampledTurn, paired, token_ids};

/// Speaks with vLLM.
pub(crate) struct Vllm;

const GENERATE: &str = "/inference/v1/generate";
const RELOAD: &str = "/collective_rpc";
const LOAD_ADAPTER: &str = "/v1/load_lora_adapter";
const NO_LOGPROBS: &str =
    "turns need log-probabilities of their tokens: vLLM 0.32 or newer gives them on this route";

impl Protocol for Vllm {
    fn turns(&self) -> &'static str {
        GENERATE
    }

    fn sample(&self, ask: &Ask<'_>) -> Value {
        let Ask { model, tokens, max_new, rule, seed, stop, salt } = *ask;
        // Defaults of a model folder's generation_config.json would change the distribution.
        let sampling = json!({
            "max_tokens": max_new,
            "temperature": rule.temperature,
            "top_p": rule.top_p,
            "top_k": if rule.top_k == 0 { -1 } else { rule.top_k as i64 },
            "min_p": rule.min_p,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "seed": seed,
            "logprobs": 0,
            "stop_token_ids": stop,
            "ignore_eos": true,
            "detokenize": false,
        });
        json!({"model": model, "token_ids": tokens, "sampling_params": sampling, "cache_salt": salt,
            "stream": false})
    }

    fn read(&self, answer: &Value) -> Result<SampledTurn, Odd> {
        let choice = &answer["choices"][0];
        let cut = match choice["finish_reason"].as_str() {
            Some("stop") => false,
            Some("length") => true,
            _ => return Err(Odd::Passing(format!("the server broke off: {}", choice["finish_reason"]))),
        };
        let tokens = token_ids(&choice["token_ids"]).ok_or_else(|| {
            Odd::Wrong(
                "the token ids are missing, or no whole numbers from 0\n  hint: use vLLM 0.32 or newer"
                    .into(),
            )
        })?;
        let content = choice["logprobs"]["content"].as_array().map(Vec::as_slice).unwrap_or_default();
        let logprob = |entry: &Value| {
            let id = entry["token_id"].as_u64().and_then(|id| id.try_into().ok());
            (id, entry["logprob"].as_f64())
        };
        let logprobs = paired(&tokens, content.iter().map(logprob).collect(), NO_LOGPROBS)?;
        let spans = [&answer["weight_versions"], &choice["weight_versions"]];
        let spans = spans.into_iter().find_map(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let versions = spans.iter().filter_map(|span| span["version"].as_str().map(str::to_string)).collect();
        Ok(SampledTurn { tokens, logprobs, cut, versions })
    }

    fn push(&self, weights: OnDisk<'_>) -> Vec<Request> {
        let OnDisk { folder, version, adapter } = weights;
        let named = Request::new("/update_weight_version", json!({"new_version": version}));
        if adapter {
            let adapter = json!({"lora_name": ADAPTER, "lora_path": folder, "load_inplace": true});
            return vec![Request::new(LOAD_ADAPTER, adapter), named];
        }
        let reload = json!({"method": "reload_weights", "kwargs": {"weights_path": folder}});
        vec![
            // The mode `keep` clears the prefix cache.
            Request::new("/pause?mode=keep", json!({})),
            Request::new(RELOAD, reload),
            named,
            Request::new("/resume", json!({})),
        ]
    }

    fn pushed(&self, _answer: &str) -> Result<(), String> {
        // Failures are statuses. A tensor that isn't loaded is none, and the probe finds it.
        Ok(())
    }

    fn about(&self) -> &'static str {
        "/v1/models"
    }

    fn described(&self, answer: &Value) -> Description {
        let model = &answer["data"][0];
        Description {
            model: model["id"].as_str().map(str::to_string),
            context: model["max_model_len"].as_u64().and_then(|length| length.try_into().ok()),
        }
    }

    fn advice(&self, path: &str, status: u16) -> Option<&'static str> {
        Some(match (path, status) {
            (GENERATE, 403..=405) => "start vLLM 0.32 or newer with --enable-scale-out",
            (LOAD_ADAPTER, _) => {
                "start vLLM with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True; --max-lora-rank is \
                 at least optimizer.lora.rank"
            }
            (_, 403..=405) => "start vLLM with VLLM_SERVER_DEV_MODE=1, whose routes change weights",
            (RELOAD, 500) => "the server has to see rollout.server.weights under the same path",
            _ => return None,
        })
    }

    fn keeps_rule_truncated(&self) -> bool {
        // The processed log-probabilities are renormalised over the tokens that are left.
        false
    }

    fn takes_adapters(&self) -> bool {
        true
    }
}
