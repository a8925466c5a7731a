//! OpenAI's chat completions.

use std::sync::Arc;

use serde_json::{Value, json};
use turnwise_tools::ToolSpec;
use turnwise_trajectory::TokenId;

use super::openai::{self, FORM, finish_reason, form, refusal, usage};
use super::sampling::{INERT, NEUTRAL, SAMPLING, choices, likeliest, limit, neutral, sampling, seed, stop};
use super::tools::{Form, tools};
use super::{Dialect, Stream};
use crate::answer::{Answer, Call, Choice, Head, Piece};
use crate::ask::{Ask, Chat, Prompt, ToolChoice};
use crate::dialect::events::data;
use crate::dialect::fields::{Fields, wrong};
use crate::dialect::messages;
use crate::refusal::Refusal;

/// Speaks the dialect of `/v1/chat/completions`.
pub(super) struct ChatCompletions;

const OWN: &[&str] = &[
    "messages",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "top_logprobs",
    "response_format",
    "modalities",
];

/// How a tool is written.
const TOOL: Form = Form {
    kind: "function",
    wrapper: Some("function"),
    schema: "parameters",
    inert: &[],
    absent: || Some(Value::Null),
};

impl Dialect for ChatCompletions {
    fn path(&self) -> &'static str {
        "/v1/chat/completions"
    }

    fn read(&self, request: &Value) -> Result<Ask, Refusal> {
        let request = Fields::of(request, "")?;
        request.only(&[OWN, FORM, SAMPLING, INERT, NEUTRAL])?;
        neutral(&request)?;
        request.neutral("response_format", &[json!({"type": "text"})])?;
        request.neutral("modalities", &[json!(["text"])])?;
        let messages = request.list("messages")?.ok_or_else(|| Refusal::at("messages", "is missing"))?;
        let tools = tools(&request, &TOOL)?;
        let choice = tool_choice(&request, &tools)?;
        let parallel = request.get("parallel_tool_calls").is_none() || request.flag("parallel_tool_calls")?;
        let chat = Chat { messages: messages::read(messages, "messages")?, tools, choice, parallel };
        let mut form = form(&request)?;
        form.logprobs = request.flag("logprobs")?;
        form.likeliest = likeliest(&request, form.logprobs)?;
        Ok(Ask {
            prompt: Prompt::Chat(chat),
            sampling: sampling(&request)?,
            seed: seed(&request)?,
            max_new: max_new(&request)?,
            stop: stop(&request, "stop")?,
            choices: choices(&request)?,
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
                "message": message(choice),
                "logprobs": null,
                "finish_reason": finish_reason(&choice.end),
            });
            detail(head, &mut written, &choice.tokens, &choice.logprobs, &choice.likeliest);
            written
        };
        let mut written = json!({
            "id": format!("chatcmpl-{}", head.id),
            "object": "chat.completion",
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
        Box::new(Chunks { head, begun: Vec::new() })
    }
}

/// Reads the limit of tokens, which has two names.
fn max_new(request: &Fields<'_>) -> Result<Option<usize>, Refusal> {
    let (newer, older) = (limit(request, "max_completion_tokens")?, limit(request, "max_tokens")?);
    if newer.is_some() && older.is_some() && newer != older {
        return Err(Refusal::at("max_tokens", "differs from max_completion_tokens; one of them is enough"));
    }
    Ok(newer.or(older))
}

/// Reads whether the model calls a tool.
fn tool_choice(request: &Fields<'_>, tools: &[ToolSpec]) -> Result<ToolChoice, Refusal> {
    let choice = match request.get("tool_choice") {
        None => return Ok(ToolChoice::Auto),
        Some(Value::String(name)) => match name.as_str() {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            "required" => ToolChoice::Required,
            _ => return Err(Refusal::unsupported("tool_choice", "auto, none, required and a function are")),
        },
        Some(Value::Object(_)) => {
            let choice = request.object("tool_choice")?.expect("it is an object");
            choice.only(&[&["type", "function"]])?;
            choice.neutral("type", &[json!("function")])?;
            let missing = || Refusal::at("tool_choice.function", "is missing");
            let function = choice.object("function")?.ok_or_else(missing)?;
            function.only(&[&["name"]])?;
            ToolChoice::Named(function.needed("name")?.into())
        }
        Some(other) => return Err(wrong("tool_choice", other, "a text or an object")),
    };
    if tools.is_empty() && choice != ToolChoice::None {
        return Err(Refusal::at("tool_choice", "there are no tools"));
    }
    Ok(choice)
}

/// Writes a choice as a message.
fn message(choice: &Choice) -> Value {
    let mut written = json!({"role": "assistant", "content": choice.text});
    if !choice.calls.is_empty() {
        if choice.text.is_empty() {
            written["content"] = Value::Null;
        }
        written["tool_calls"] = choice.calls.iter().map(call).collect();
    }
    written
}

fn call(call: &Call) -> Value {
    let function = json!({"name": call.name, "arguments": call.arguments});
    json!({"id": call.id, "type": "function", "function": function})
}

/// Adds log-probabilities and token ids to a choice, if the request asked for them.
fn detail(
    head: &Head,
    written: &mut Value,
    tokens: &[TokenId],
    logprobs: &[f32],
    likeliest: &[Vec<(TokenId, f32)>],
) {
    if head.form.logprobs {
        let content = head.logprobs(tokens, logprobs, likeliest);
        written["logprobs"] = json!({"content": content, "refusal": null});
    }
    if head.form.token_ids {
        written["token_ids"] = tokens.into();
    }
}

/// Writes chunks.
struct Chunks {
    head: Arc<Head>,
    /// Choices whose role was told.
    begun: Vec<u32>,
}

impl Chunks {
    fn chunk(&self, choices: &Value) -> Value {
        openai::chunk(&self.head, "chatcmpl", "chat.completion.chunk", choices)
    }

    fn delta(&mut self, choice: u32, mut delta: Value, finish: Option<&str>) -> Value {
        if !self.begun.contains(&choice) {
            self.begun.push(choice);
            delta["role"] = "assistant".into();
        }
        json!({"index": choice, "delta": delta, "logprobs": null, "finish_reason": finish})
    }
}

impl Stream for Chunks {
    fn begin(&mut self, out: &mut String) {
        let first = self.delta(0, json!({"content": ""}), None);
        let mut chunk = self.chunk(&json!([first]));
        if self.head.form.token_ids {
            chunk["prompt_token_ids"] = self.head.prompt.as_slice().into();
        }
        data(out, &chunk);
    }

    fn piece(&mut self, piece: &Piece<'_>, out: &mut String) {
        let tells = self.head.form.token_ids || self.head.form.logprobs;
        if piece.text.is_empty() && (piece.tokens.is_empty() || !tells) {
            return;
        }
        let mut choice = self.delta(piece.choice, json!({"content": piece.text}), None);
        detail(&self.head, &mut choice, piece.tokens, piece.logprobs, piece.likeliest);
        data(out, &self.chunk(&json!([choice])));
    }

    fn ended(&mut self, choice: &Choice, out: &mut String) {
        if !choice.calls.is_empty() {
            let indexed = |(index, use_of): (usize, &Call)| {
                let mut written = call(use_of);
                written["index"] = index.into();
                written
            };
            let calls: Vec<Value> = choice.calls.iter().enumerate().map(indexed).collect();
            let delta = self.delta(choice.index, json!({"tool_calls": calls}), None);
            data(out, &self.chunk(&json!([delta])));
        }
        let last = self.delta(choice.index, json!({}), Some(finish_reason(&choice.end)));
        data(out, &self.chunk(&json!([last])));
    }

    fn done(&mut self, answer: &Answer, out: &mut String) {
        openai::done(&self.head, self.chunk(&json!([])), answer, out);
    }

    fn failed(&mut self, refused: &Refusal, out: &mut String) {
        data(out, &refusal(refused));
    }
}
