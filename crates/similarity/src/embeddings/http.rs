//! Sends the request: one POST, its retries, and the checks of its answer.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use turnwise_http::{self as http, Failure, RetryPolicy};

use crate::endpoint::Endpoint;
use crate::measure::SimilarityError;

/// Longest answer that is read, in bytes.
const ANSWER_LIMIT: u64 = 256 << 20;

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    input: &'a [&'a str],
    encoding_format: &'static str,
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Embedding>,
}

#[derive(Deserialize)]
struct Embedding {
    /// Index of its text; without it, its position in the answer.
    index: Option<usize>,
    embedding: Vec<f32>,
}

pub(super) struct Client {
    http: http::Client,
    retry_policy: RetryPolicy,
    model: String,
    /// The environment variable that lacks the key.
    keyless: Option<String>,
}

impl Client {
    pub(super) fn new(config: &Endpoint) -> Self {
        let name = &config.api_key_env;
        let key = Some(name).filter(|name| !name.is_empty()).map(std::env::var);
        let keyless = matches!(key, Some(Err(_))).then(|| name.clone());
        let seconds = |number| Duration::try_from_secs_f64(number).unwrap_or(Duration::MAX);
        let retry_policy = RetryPolicy {
            timeout: seconds(config.timeout_s),
            retry: seconds(config.retry_total_s),
            retries: config.retries,
            wait: seconds(config.retry_wait_s),
        };
        let key = key.and_then(Result::ok);
        let http = http::Client::new(&config.url, key, ANSWER_LIMIT);
        Self { http, retry_policy, model: config.model.clone(), keyless }
    }

    /// Returns one vector per text, in order; none if they are too long for the server's model.
    pub(super) fn embed(&self, texts: &[&str]) -> Result<Option<Vec<Vec<f32>>>, SimilarityError> {
        let failed = |reason: String| {
            let reason = format!("POST {}: {reason}", self.http.url());
            SimilarityError { measure: "endpoint", reason }
        };
        if let Some(name) = &self.keyless {
            return Err(failed(format!("the environment variable {name} is not set")));
        }
        let request = Request { model: &self.model, input: texts, encoding_format: "float" };
        let body = serde_json::to_string(&request).map_err(|error| failed(error.to_string()))?;
        let attempt = |time| match self.http.post(&body, time)?.read()? {
            Ok(answer) => vectors(&answer, texts.len()).map(Some).map_err(Failure::Lasting),
            Err(refusal) if refusal.is_too_long() => Ok(None),
            Err(refusal) => Err(refusal.failure()),
        };
        self.retry_policy.run(|| false, attempt).map_err(|gave_up| {
            let unreached = matches!(gave_up.failure, Failure::Unreached(_));
            failed(format!("{gave_up}{}", if unreached { "; hint: is the server running?" } else { "" }))
        })
    }
}

/// Returns the vectors of an answer in the order of the texts.
fn vectors(answer: &Value, texts: usize) -> Result<Vec<Vec<f32>>, String> {
    let answer: Answer = turnwise_json::of_value(answer)
        .map_err(|what| format!("the answer is not what the protocol says: {what}"))?;
    if answer.data.len() != texts {
        return Err(format!("{} embeddings for {texts} texts", answer.data.len()));
    }
    let width = answer.data.first().map_or(0, |e| e.embedding.len());
    let mut vectors = vec![Vec::new(); texts];
    for (place, Embedding { index, embedding }) in answer.data.into_iter().enumerate() {
        let index = index.unwrap_or(place);
        if embedding.is_empty() || embedding.len() != width || !embedding.iter().all(|x| x.is_finite()) {
            return Err(format!(
                "embedding {index} has {} numbers, finite ones of {width} are due",
                embedding.len()
            ));
        }
        match vectors.get_mut(index) {
            Some(slot) if slot.is_empty() => *slot = embedding,
            _ => return Err(format!("embedding {index} of {texts} is answered twice or was not asked for")),
        }
    }
    Ok(vectors)
}
