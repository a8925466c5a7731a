//! The request: one POST, its retries, and the checks of its answer.

use std::{thread, time::Duration};

use serde::{Deserialize, Serialize};
use ureq::Agent;

use super::Endpoint;
use crate::similarity::SimilarityError;

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
    index: usize,
    embedding: Vec<f32>,
}

/// Why one attempt failed.
enum Failure {
    /// Another attempt may do better.
    Passing(String),
    /// It will not.
    Lasting(String),
}

pub(super) struct Client {
    agent: Agent,
    config: Endpoint,
}

impl Client {
    pub(super) fn new(config: &Endpoint) -> Self {
        let timeout = Duration::from_secs_f64(config.timeout_s);
        let agent = Agent::config_builder().timeout_global(Some(timeout)).http_status_as_error(false).build();
        Self { agent: agent.into(), config: config.clone() }
    }

    /// One vector per text, in order.
    pub(super) fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, SimilarityError> {
        if !cfg!(feature = "https") && self.config.url.starts_with("https:") {
            let reason = format!("POST {}: https needs a build with `--features https`", self.config.url);
            return Err(SimilarityError { measure: "endpoint", reason });
        }
        let mut wait = Duration::from_secs_f64(self.config.retry_wait_s);
        let mut attempt = 1;
        loop {
            let reason = match self.attempt(texts) {
                Ok(vectors) => return Ok(vectors),
                Err(Failure::Passing(_)) if attempt <= self.config.retries => {
                    thread::sleep(wait);
                    (wait, attempt) = (wait * 2, attempt + 1);
                    continue;
                }
                Err(Failure::Passing(reason) | Failure::Lasting(reason)) => reason,
            };
            let tries = if attempt == 1 { "attempt" } else { "attempts" };
            let reason = format!("POST {}: {reason} ({attempt} {tries})", self.config.url);
            return Err(SimilarityError { measure: "endpoint", reason });
        }
    }

    fn attempt(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Failure> {
        let request = Request { model: &self.config.model, input: texts, encoding_format: "float" };
        let body = serde_json::to_string(&request).map_err(|e| Failure::Lasting(e.to_string()))?;
        let mut post = self.agent.post(&self.config.url).header("content-type", "application/json");
        if !self.config.api_key_env.is_empty() {
            let key = std::env::var(&self.config.api_key_env).map_err(|_| {
                Failure::Lasting(format!("the environment variable {} is not set", self.config.api_key_env))
            })?;
            post = post.header("authorization", format!("Bearer {key}"));
        }
        let mut answer = post.send(body).map_err(failure)?;
        let status = answer.status().as_u16();
        let text = answer.body_mut().with_config().limit(ANSWER_LIMIT).read_to_string().map_err(failure)?;
        match status {
            200 => parse(&text, texts.len()).map_err(Failure::Lasting),
            429 | 500.. => Err(Failure::Passing(format!("status {status}: {}", first_line(&text)))),
            _ => Err(Failure::Lasting(format!("status {status}: {}", first_line(&text)))),
        }
    }
}

fn failure(error: ureq::Error) -> Failure {
    match error {
        ureq::Error::Io(e) => Failure::Passing(format!("{e}; hint: is the server running?")),
        ureq::Error::Timeout(_) | ureq::Error::ConnectionFailed | ureq::Error::HostNotFound => {
            Failure::Passing(error.to_string())
        }
        other => Failure::Lasting(other.to_string()),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}

/// The vectors of an answer, put in the order of the texts.
fn parse(text: &str, texts: usize) -> Result<Vec<Vec<f32>>, String> {
    let answer: Answer =
        serde_json::from_str(text).map_err(|e| format!("the answer is not what the protocol says: {e}"))?;
    if answer.data.len() != texts {
        return Err(format!("{} embeddings for {texts} texts", answer.data.len()));
    }
    let width = answer.data.first().map_or(0, |e| e.embedding.len());
    let mut vectors = vec![Vec::new(); texts];
    for Embedding { index, embedding } in answer.data {
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
