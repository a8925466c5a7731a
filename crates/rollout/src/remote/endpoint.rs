//! `POST /v1/chat/completions`, several at a time.

use std::time::Duration;

use serde_json::{Value, json};
use turnwise_trajectory::{Finish, Message, Role};

use super::transcript::Transcript;
use crate::policy::{Completion, Context, Policy, PolicyError};
use crate::turn_end::TurnEnd;
use crate::turns::Turns;

/// Tries of a request that the server is too busy for, or whose connection breaks.
const TRIES: u32 = 4;

/// A server and how it samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// The base, for example `http://127.0.0.1:8000/v1`.
    pub url: String,
    /// The model's name there.
    pub model: String,
    /// Sent as a bearer token.
    pub key: Option<String>,
    /// Temperature; 0 is greedy.
    pub temperature: f64,
    /// Cumulative probability that is kept; 1 keeps all.
    pub top_p: f64,
    /// Seed of the play. Each turn of each trajectory gets its own.
    pub seed: u64,
    /// Requests at once.
    pub parallel: usize,
    /// Longest wait for one turn.
    pub timeout: Duration,
}

/// A policy whose turns a server samples.
pub struct RemotePolicy {
    endpoint: Endpoint,
    transcript: Transcript,
    agent: ureq::Agent,
}

impl RemotePolicy {
    /// A policy for a play whose chat format is `transcript`.
    pub fn new(endpoint: Endpoint, transcript: Transcript) -> Self {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(endpoint.timeout))
            .http_status_as_error(false)
            .build()
            .into();
        Self { endpoint, transcript, agent }
    }

    fn complete_one(&self, context: &Context<'_>) -> Result<Completion, PolicyError> {
        let messages: Vec<Value> = self.transcript.messages(&context.tokens).iter().map(message).collect();
        let body = json!({
            "model": self.endpoint.model,
            "messages": messages,
            "temperature": self.endpoint.temperature,
            "top_p": self.endpoint.top_p,
            "max_tokens": context.max_new,
            "seed": seed(self.endpoint.seed, context),
            "stream": false,
        });
        let answer = self.post(&body)?;
        let choice = &answer["choices"][0];
        let Some(text) = choice["message"]["content"].as_str() else {
            return Err(self.error(&format!(
                "the answer has no choices[0].message.content: {}",
                short(&answer.to_string())
            )));
        };
        let finish = if choice["finish_reason"] == "length" { Finish::Length } else { Finish::EndOfTurn };
        let id = self.transcript.id(Role::Assistant, text);
        Ok(Completion { tokens: vec![id], logprobs: vec![0.0], finish })
    }

    fn post(&self, body: &Value) -> Result<Value, PolicyError> {
        let url = format!("{}/chat/completions", self.endpoint.url.trim_end_matches('/'));
        let mut last = String::new();
        for attempt in 0..TRIES {
            if attempt > 0 {
                std::thread::sleep(Duration::from_millis(250 << attempt));
            }
            let mut request = self.agent.post(&url).header("Content-Type", "application/json");
            if let Some(key) = &self.endpoint.key {
                request = request.header("Authorization", format!("Bearer {key}"));
            }
            let answered = request.send(body.to_string()).and_then(|mut response| {
                let status = response.status().as_u16();
                Ok((status, response.body_mut().with_config().limit(64 << 20).read_to_string()?))
            });
            match answered {
                Ok((200, text)) => {
                    return serde_json::from_str(&text)
                        .map_err(|_| self.error(&format!("the answer is not JSON: {}", short(&text))));
                }
                Ok((status, text)) if status == 429 || status >= 500 => {
                    last = format!("status {status}: {}", short(&text));
                }
                Ok((status, text)) => return Err(self.error(&format!("status {status}: {}", short(&text)))),
                Err(error) => last = error.to_string(),
            }
        }
        Err(self.error(&format!("{last} (after {TRIES} tries)")))
    }

    fn error(&self, message: &str) -> PolicyError {
        let hint = "the endpoint is a base such as http://127.0.0.1:8000/v1 of a server that speaks the OpenAI chat protocol";
        PolicyError(format!("{}: {message}\n  hint: {hint}", self.endpoint.url))
    }
}

/// Tool output is a user message, as in ChatML: the `tool` role needs calls that the server parsed itself.
fn message(message: &Message) -> Value {
    let role = if message.role == Role::Tool { Role::User } else { message.role };
    json!({"role": role.name(), "content": message.content})
}

/// One seed per turn of each trajectory (FNV-1a); 31 bits, which every server takes.
fn seed(seed: u64, context: &Context<'_>) -> u64 {
    let numbers = [seed, u64::from(context.sample), context.turn as u64];
    let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).chain(context.task.bytes());
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    hash >> 33
}

fn short(text: &str) -> String {
    let line = text.replace('\n', " ");
    if line.chars().count() > 200 { line.chars().take(200).chain(['…']).collect() } else { line }
}

impl Policy for RemotePolicy {
    fn serve(&mut self, turns: &Turns<'_>, _end: &TurnEnd<'_>) -> Result<(), PolicyError> {
        let this = &*self;
        let work = || {
            // So that a panic here doesn't leave the other threads waiting.
            let _share = turns.share(0, 1);
            while let Some(context) = turns.take() {
                match this.complete_one(&context) {
                    Ok(completion) => turns.answer(context.index, completion),
                    Err(error) => {
                        // Nobody needs the rest.
                        turns.close();
                        return Err(error);
                    }
                }
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..self.endpoint.parallel.max(1)).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| worker.join().expect("a request thread panicked"))
        })
    }
}
