//! OpenAI's completions of a text or of token ids.

use std::sync::Arc;

use serde_json::{Value, json};
use turnwise_trajectory::TokenId;

use super::openai::{self, FORM, finish_reason, form, refusal, usage};
use super::sampling::{INERT, NEUTRAL, SAMPLING, choices, limit, neutral, sampling, seed, stop};
use super::{Dialect, Stream};
use crate::answer::{Answer, Choice, Head, Piece};
use crate::ask::{Ask, Prompt};
use crate::dialect::events::data;
use crate::dialect::fields::{Fields, wrong};
use crate::refusal::Refusal;

/// Speaks the dialect of `/v1/completions`.
pub(super) struct Completions;

const OWN: &[&str] = &["prompt", "max_tokens", "stop", "echo", "best_of", "suffix"];

/// The protocol's limit of tokens where a request names none.
const MAX_NEW: usize = 16;

impl Dialect for Completions {
    fn path(&self) -> &'static str {
        "/v1/completions"
    }

    fn read(&self, request: &Value) -> Result<Ask, Refusal> {
        let request = Fields::of(request, "")?;
        request.only(&[OWN, FORM, SAMPLING, INERT, NEUTRAL])?;
        neutral(&request)?;
        request.neutral("echo", &[json!(false)])?;
        request.neutral("suffix", &[json!("")])?;
        let choices = choices(&request)?;
        request.neutral("best_of", &[json!(choices)])?;
        let mut form = form(&request)?;
        // The protocol counts likeliest tokens; the sampled one is told at 0.
        request.neutral("logprobs", &[json!(true), json!(false), json!(0)])?;
        form.logprobs = request.get("logprobs").is_some_and(|asked| *asked != json!(false));
        Ok(Ask {
            prompt: prompt(&request)?,
            sampling: sampling(&request)?,
            seed: seed(&request)?,
            max_new: Some(limit(&request, "max_tokens")?.unwrap_or(MAX_NEW)),
            stop: stop(&request, "stop")?,
            choices,
            form,
            echo: Value::Null,
        })
    }

    fn refuse(&self, refused: &Refusal) -> Value {
        refusal(refused)
    }

    fn whole(&self, answer: &Answer) -> Value {
        let head = &answer.head;
        let choice = |choice: &Choice| {
            let mut written = json!({
                "index": choice.index,
                "text": choice.text,
                "logprobs": null,
                "finish_reason": finish_reason(&choice.end),
            });
            detail(head, &mut written, &choice.tokens, &choice.logprobs, &mut 0);
            if head.form.token_ids {
                written["prompt_token_ids"] = head.prompt.as_slice().into();
            }
            written
        };
        let mut written = json!({
            "id": format!("cmpl-{}", head.id),
            "object": "text_completion",
            "created": head.created,
            "model": head.model(),
            "choices": answer.choices.iter().map(choice).collect::<Vec<_>>(),
            "usage": usage(answer),
        });
        if head.form.token_ids {
            written["prompt_token_ids"] = head.prompt.as_slice().into();
        }
        written
    }

    fn stream(&self, head: Arc<Head>) -> Box<dyn Stream> {
        Box::new(Chunks { head, offsets: Vec::new() })
    }
}

/// Reads the prompt: a text, token ids, or a list of one of them.
fn prompt(request: &Fields<'_>) -> Result<Prompt, Refusal> {
    let id = |value: &Value| value.as_u64().and_then(|id| TokenId::try_from(id).ok());
    let one = |value: &Value, place: &str| match value {
        Value::String(text) => Ok(Prompt::Text(text.clone())),
        Value::Array(ids) => {
            let mut tokens = Vec::with_capacity(ids.len());
            for (at, value) in ids.iter().enumerate() {
                tokens.push(id(value).ok_or_else(|| wrong(&format!("{place}[{at}]"), value, "a token id"))?);
            }
            Ok(Prompt::Tokens(tokens))
        }
        other => Err(wrong(place, other, "a text or a list of token ids")),
    };
    match request.get("prompt") {
        None => Err(Refusal::at("prompt", "is missing")),
        Some(Value::Array(items)) if items.iter().any(|item| item.is_string() || item.is_array()) => {
            match items.as_slice() {
                [only] => one(only, "prompt[0]"),
                _ => Err(Refusal::unsupported("prompt", "one prompt is; send a request for each")),
            }
        }
        Some(value) => one(value, "prompt"),
    }
}

/// Adds log-probabilities and token ids to a choice, if the request asked for them. `offset`: where its next
/// token begins in the text.
fn detail(head: &Head, written: &mut Value, tokens: &[TokenId], logprobs: &[f32], offset: &mut usize) {
    if head.form.logprobs {
        let texts: Vec<String> = tokens.iter().map(|token| head.spelled(*token).0).collect();
        let mut offsets = Vec::with_capacity(texts.len());
        for text in &texts {
            offsets.push(*offset);
            *offset += text.chars().count();
        }
        written["logprobs"] = json!({
            "tokens": texts,
            "token_logprobs": logprobs,
            "top_logprobs": null,
            "text_offset": offsets,
        });
    }
    if head.form.token_ids {
        written["token_ids"] = tokens.into();
    }
}

/// Writes chunks.
struct Chunks {
    head: Arc<Head>,
    /// The characters of each choice's text so far.
    offsets: Vec<usize>,
}

impl Chunks {
    fn chunk(&self, choices: &Value) -> Value {
        openai::chunk(&self.head, "cmpl", "text_completion", choices)
    }
}

impl Stream for Chunks {
    fn begin(&mut self, out: &mut String) {
        if self.head.form.token_ids {
            let first = json!({"index": 0, "text": "", "logprobs": null, "finish_reason": null});
            let mut chunk = self.chunk(&json!([first]));
            chunk["prompt_token_ids"] = self.head.prompt.as_slice().into();
            data(out, &chunk);
        }
    }

    fn piece(&mut self, piece: &Piece<'_>, out: &mut String) {
        let tells = self.head.form.token_ids || self.head.form.logprobs;
        if piece.text.is_empty() && (piece.tokens.is_empty() || !tells) {
            return;
        }
        let mut choice =
            json!({"index": piece.choice, "text": piece.text, "logprobs": null, "finish_reason": null});
        let at = piece.choice as usize;
        self.offsets.resize(self.offsets.len().max(at + 1), 0);
        detail(&self.head, &mut choice, piece.tokens, piece.logprobs, &mut self.offsets[at]);
        data(out, &self.chunk(&json!([choice])));
    }

    fn ended(&mut self, choice: &Choice, out: &mut String) {
        let reason = finish_reason(&choice.end);
        let last = json!({"index": choice.index, "text": "", "logprobs": null, "finish_reason": reason});
        data(out, &self.chunk(&json!([last])));
    }

    fn done(&mut self, answer: &Answer, out: &mut String) {
        openai::done(&self.head, self.chunk(&json!([])), answer, out);
    }

    fn failed(&mut self, refused: &Refusal, out: &mut String) {
        data(out, &refusal(refused));
    }
}
