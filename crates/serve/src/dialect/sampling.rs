//! Keys that OpenAI's dialects share: sampling, limits, and what changes nothing.

use serde_json::{Value, json};

use crate::dialect::fields::{Fields, wrong};
use crate::engine::EngineSampling;
use crate::refusal::Refusal;

/// Most sequences of a request.
const CHOICES: u64 = 64;
/// Most stop strings of a request, and most bytes of one.
const STRINGS: (usize, usize) = (16, 256);
/// Most likeliest tokens beside a log-probability.
const LIKELIEST: u64 = 20;
/// The largest limit of tokens that a request may name.
const TOKENS: u64 = 16_777_216;

/// Keys of sampling.
pub(super) const SAMPLING: &[&str] = &["temperature", "top_p", "top_k", "min_p", "seed", "n"];

/// Keys that name whose request it is, or how it is billed. They change no answer.
pub(super) const INERT: &[&str] =
    &["model", "user", "metadata", "safety_identifier", "prompt_cache_key", "service_tier", "store"];

/// Keys that are known by the values that ask for nothing.
pub(super) const NEUTRAL: &[&str] = &[
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "logit_bias",
    "stop_token_ids",
    "ignore_eos",
    "skip_special_tokens",
    "min_tokens",
];

/// Reads the settings of sampling.
pub(super) fn sampling(request: &Fields<'_>) -> Result<EngineSampling, Refusal> {
    let plain = EngineSampling::default();
    let top_k = match request.get("top_k") {
        // -1 keeps all in other servers.
        Some(all) if *all == json!(-1) => None,
        _ => request.whole("top_k", 0..=TOKENS)?,
    };
    let top_p = request.number("top_p", 0.0..=1.0)?.unwrap_or(plain.top_p);
    if top_p == 0.0 {
        return Err(Refusal::at("top_p", "0, not a number above 0"));
    }
    Ok(EngineSampling {
        temperature: request.number("temperature", 0.0..=100.0)?.unwrap_or(plain.temperature),
        top_k: top_k.map_or(plain.top_k, |count| count as usize),
        top_p,
        min_p: request.number("min_p", 0.0..=1.0)?.unwrap_or(plain.min_p),
    })
}

/// Refuses what the keys of [`NEUTRAL`] and [`INERT`] may not ask for.
pub(super) fn neutral(request: &Fields<'_>) -> Result<(), Refusal> {
    request.text("model")?;
    request.neutral("presence_penalty", &[json!(0)])?;
    request.neutral("frequency_penalty", &[json!(0)])?;
    request.neutral("repetition_penalty", &[json!(1)])?;
    request.neutral("logit_bias", &[json!({})])?;
    request.neutral("stop_token_ids", &[json!([])])?;
    request.neutral("ignore_eos", &[json!(false)])?;
    request.neutral("skip_special_tokens", &[json!(true)])?;
    request.neutral("min_tokens", &[json!(0)])?;
    request.neutral("service_tier", &[json!("auto"), json!("default")])?;
    request.neutral("store", &[json!(false)])
}

/// Reads a seed.
pub(super) fn seed(request: &Fields<'_>) -> Result<Option<u64>, Refusal> {
    request.whole("seed", 0..=u64::MAX)
}

/// Reads the number of sequences.
pub(super) fn choices(request: &Fields<'_>) -> Result<u32, Refusal> {
    Ok(request.whole("n", 1..=CHOICES)?.unwrap_or(1) as u32)
}

/// Reads a limit of tokens.
pub(super) fn limit(request: &Fields<'_>, key: &str) -> Result<Option<usize>, Refusal> {
    Ok(request.whole(key, 1..=TOKENS)?.map(|limit| limit as usize))
}

/// Reads the number of likeliest tokens beside each log-probability.
pub(super) fn likeliest(request: &Fields<'_>, logprobs: bool) -> Result<usize, Refusal> {
    let count = request.whole("top_logprobs", 0..=LIKELIEST)?.unwrap_or(0) as usize;
    if count > 0 && !logprobs {
        return Err(Refusal::at("top_logprobs", "there are none without log-probabilities"));
    }
    Ok(count)
}

/// Reads stop strings: one or a list.
pub(super) fn stop(request: &Fields<'_>, key: &str) -> Result<Vec<String>, Refusal> {
    let place = request.place(key);
    let strings: Vec<&Value> = match request.get(key) {
        None => return Ok(Vec::new()),
        Some(Value::Array(strings)) => strings.iter().collect(),
        Some(one) => vec![one],
    };
    let (most, longest) = STRINGS;
    if strings.len() > most {
        return Err(Refusal::at(place, format!("{} stop strings; at most {most} are read", strings.len())));
    }
    let read = |value: &Value| match value.as_str() {
        Some("") => Err(Refusal::at(&place, "an empty stop string")),
        Some(text) if text.len() > longest => {
            Err(Refusal::at(&place, format!("a stop string is longer than {longest} bytes")))
        }
        Some(text) => Ok(text.to_string()),
        None => Err(wrong(&place, value, "a text or a list of texts")),
    };
    strings.into_iter().map(read).collect()
}
