//! Anthropic's messages.

use std::sync::Arc;

use serde_json::{Value, json};
use turnwise_tools::ToolSpec;

use super::detail::{detail, form};
use super::sampling::{INERT, limit, sampling, seed, stop};
use super::tools::{Form, tools};
use super::{Dialect, Stream};
use crate::answer::{Answer, Call, Choice, End, Head, Piece};
use crate::ask::{Ask, Chat, Prompt, ToolChoice};
use crate::dialect::events::named;
use crate::dialect::fields::{Fields, wrong};
use crate::dialect::messages::{self, parts_text};
use crate::refusal::Refusal;

/// Speaks the dialect of `/v1/messages`.
pub(super) struct Messages;

const OWN: &[&str] = &[
    "messages",
    "system",
    "max_tokens",
    "stop_sequences",
    "tools",
    "tool_choice",
    "thinking",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "seed",
    "stream",
    "logprobs",
    "return_token_ids",
];

/// How a tool is written.
const TOOL: Form = Form {
    kind: "custom",
    wrapper: None,
    schema: "input_schema",
    inert: &["cache_control"],
    absent: || None,
};

impl Dialect for Messages {
    fn path(&self) -> &'static str {
        "/v1/messages"
    }

    fn read(&self, request: &Value) -> Result<Ask, Refusal> {
        let request = Fields::of(request, "")?;
        request.only(&[OWN, INERT])?;
        request.text("model")?;
        request.neutral("store", &[json!(false)])?;
        request.neutral("service_tier", &[json!("auto"), json!("standard_only")])?;
        request.neutral("thinking", &[json!({"type": "disabled"})])?;
        let max_new = limit(&request, "max_tokens")?;
        let tools = tools(&request, &TOOL)?;
        let (choice, parallel) = tool_choice(&request, &tools)?;
        let list = request.list("messages")?.ok_or_else(|| Refusal::at("messages", "is missing"))?;
        let messages = messages::read(&conversation(&request, list)?, "messages")?;
        if messages.last().is_some_and(|last| last["role"] == "assistant") {
            let hint = "the last message is the assistant's, which isn't continued";
            return Err(Refusal::unsupported("messages", hint));
        }
        Ok(Ask {
            prompt: Prompt::Chat(Chat { messages, tools, choice, parallel }),
            sampling: sampling(&request)?,
            seed: seed(&request)?,
            max_new: Some(max_new.ok_or_else(|| Refusal::at("max_tokens", "is missing"))?),
            stop: stop(&request, "stop_sequences")?,
            choices: 1,
            form: form(&request)?,
            echo: Value::Null,
        })
    }

    fn refuse(&self, refusal: &Refusal) -> Value {
        let kind = match refusal.status {
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            503 => "overloaded_error",
            504 => "timeout_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        };
        json!({"type": "error", "error": {"type": kind, "message": refusal.line()}})
    }

    fn whole(&self, answer: &Answer) -> Value {
        let choice = &answer.choices[0];
        let mut content = Vec::new();
        if !choice.text.is_empty() {
            content.push(json!({"type": "text", "text": choice.text}));
        }
        content.extend(choice.calls.iter().map(|call| {
            let input: Value = serde_json::from_str(&call.arguments).expect("arguments are an object");
            json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input})
        }));
        let mut message = begun(&answer.head);
        message["content"] = content.into();
        message["stop_reason"] = stop_reason(&choice.end).into();
        message["stop_sequence"] = stop_sequence(&choice.end);
        message["usage"]["output_tokens"] = answer.sampled().into();
        detail(answer, &mut message);
        message
    }

    fn stream(&self, head: Arc<Head>) -> Box<dyn Stream> {
        Box::new(Blocks { head, next: 0, open: false })
    }
}

/// Reads whether the model calls a tool, and whether it may call several.
fn tool_choice(request: &Fields<'_>, tools: &[ToolSpec]) -> Result<(ToolChoice, bool), Refusal> {
    let Some(choice) = request.object("tool_choice")? else { return Ok((ToolChoice::Auto, true)) };
    choice.only(&[&["type", "name", "disable_parallel_tool_use"]])?;
    let parallel = !choice.flag("disable_parallel_tool_use")?;
    let read = match choice.needed("type")? {
        "auto" => ToolChoice::Auto,
        "none" => ToolChoice::None,
        "any" => ToolChoice::Required,
        "tool" => ToolChoice::Named(choice.needed("name")?.into()),
        _ => return Err(Refusal::unsupported("tool_choice.type", "auto, any, tool and none are")),
    };
    if tools.is_empty() && read != ToolChoice::None {
        return Err(Refusal::at("tool_choice", "there are no tools"));
    }
    Ok((read, parallel))
}

/// Writes a conversation in OpenAI's form.
fn conversation(request: &Fields<'_>, list: &[Value]) -> Result<Vec<Value>, Refusal> {
    let mut all = Vec::with_capacity(list.len() + 1);
    if list.is_empty() {
        return Err(Refusal::at("messages", "holds no message"));
    }
    if let Some(system) = text_of(request, "system")? {
        all.push(json!({"role": "system", "content": system}));
    }
    for (at, message) in list.iter().enumerate() {
        let message = Fields::of(message, format!("messages[{at}]"))?;
        message.only(&[&["role", "content"]])?;
        let place = message.place("content");
        let blocks = match message.get("content") {
            None => return Err(Refusal::at(place, "is missing")),
            Some(Value::String(text)) => &[json!({"type": "text", "text": text})][..],
            Some(Value::Array(blocks)) => blocks,
            Some(other) => return Err(wrong(&place, other, "a text or a list of blocks")),
        };
        match message.needed("role")? {
            "user" => user(blocks, &place, &mut all)?,
            "assistant" => all.push(assistant(blocks, &place)?),
            _ => return Err(Refusal::unsupported(message.place("role"), "user and assistant are")),
        }
    }
    Ok(all)
}

/// Returns a text, or the text of a list of blocks.
fn text_of(fields: &Fields<'_>, key: &str) -> Result<Option<String>, Refusal> {
    match fields.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Array(blocks)) => parts_text(blocks, &fields.place(key), &["text"]).map(Some),
        Some(other) => Err(wrong(&fields.place(key), other, "a text or a list of blocks")),
    }
}

/// Adds a user's message, whose outputs of tools are messages by themselves.
fn user(blocks: &[Value], place: &str, all: &mut Vec<Value>) -> Result<(), Refusal> {
    let mut texts = Vec::new();
    if blocks.is_empty() {
        return Err(Refusal::at(place, "holds no block"));
    }
    for (at, block) in blocks.iter().enumerate() {
        let block = Fields::of(block, format!("{place}[{at}]"))?;
        match block.needed("type")? {
            "text" => {
                block.only(&[&["type", "text", "cache_control", "citations"]])?;
                block.neutral("citations", &[json!([])])?;
                texts.push(block.needed("text")?);
            }
            "tool_result" => {
                block.only(&[&["type", "tool_use_id", "content", "is_error", "cache_control"]])?;
                if !texts.is_empty() {
                    all.push(json!({"role": "user", "content": texts.join("\n")}));
                    texts.clear();
                }
                let content = text_of(&block, "content")?.unwrap_or_default();
                let failed = block.flag("is_error")? && !content.starts_with("Error");
                let content = if failed { format!("Error: {content}") } else { content };
                let id = block.needed("tool_use_id")?;
                all.push(json!({"role": "tool", "tool_call_id": id, "content": content}));
            }
            _ => return Err(Refusal::unsupported(block.place("type"), "text and tool_result are")),
        }
    }
    if !texts.is_empty() {
        all.push(json!({"role": "user", "content": texts.join("\n")}));
    }
    Ok(())
}

/// Returns an assistant's message.
fn assistant(blocks: &[Value], place: &str) -> Result<Value, Refusal> {
    let (mut texts, mut calls) = (Vec::new(), Vec::new());
    for (at, block) in blocks.iter().enumerate() {
        let block = Fields::of(block, format!("{place}[{at}]"))?;
        match block.needed("type")? {
            "text" => {
                block.only(&[&["type", "text", "cache_control", "citations"]])?;
                block.neutral("citations", &[json!([])])?;
                texts.push(block.needed("text")?);
            }
            "tool_use" => {
                block.only(&[&["type", "id", "name", "input", "cache_control", "caller"]])?;
                block.neutral("caller", &[json!({"type": "direct"})])?;
                let (id, name) = (block.needed("id")?, block.needed("name")?);
                if block.object("input")?.is_none() {
                    return Err(Refusal::at(block.place("input"), "is missing"));
                }
                let function = json!({"name": name, "arguments": block.get("input")});
                calls.push(json!({"id": id, "type": "function", "function": function}));
            }
            _ => return Err(Refusal::unsupported(block.place("type"), "text and tool_use are")),
        }
    }
    let mut message = json!({"role": "assistant", "content": texts.join("\n")});
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    Ok(message)
}

/// Writes a message without content yet.
fn begun(head: &Head) -> Value {
    json!({
        "id": format!("msg_{}", head.id),
        "type": "message",
        "role": "assistant",
        "model": head.model(),
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
        "usage": {"input_tokens": head.prompt.len(), "output_tokens": 0},
    })
}

fn stop_reason(end: &End) -> &'static str {
    match end {
        End::Turn => "end_turn",
        End::Calls => "tool_use",
        End::Text(_) => "stop_sequence",
        End::Length => "max_tokens",
    }
}

fn stop_sequence(end: &End) -> Value {
    if let End::Text(text) = end { text.as_str().into() } else { Value::Null }
}

/// Writes events of content blocks.
struct Blocks {
    head: Arc<Head>,
    /// The index of the next block.
    next: usize,
    /// Whether a block of text is open.
    open: bool,
}

impl Blocks {
    fn start(&mut self, block: &Value, out: &mut String) -> usize {
        let index = self.next;
        self.next += 1;
        named(out, &json!({"type": "content_block_start", "index": index, "content_block": block}));
        index
    }

    fn call(&mut self, call: &Call, out: &mut String) {
        let block = json!({"type": "tool_use", "id": call.id, "name": call.name, "input": {}});
        let index = self.start(&block, out);
        let delta = json!({"type": "input_json_delta", "partial_json": call.arguments});
        named(out, &json!({"type": "content_block_delta", "index": index, "delta": delta}));
        named(out, &json!({"type": "content_block_stop", "index": index}));
    }
}

impl Stream for Blocks {
    fn begin(&mut self, out: &mut String) {
        named(out, &json!({"type": "message_start", "message": begun(&self.head)}));
    }

    fn piece(&mut self, piece: &Piece<'_>, out: &mut String) {
        if piece.text.is_empty() {
            return;
        }
        if !self.open {
            self.open = true;
            self.start(&json!({"type": "text", "text": ""}), out);
        }
        let delta = json!({"type": "text_delta", "text": piece.text});
        named(out, &json!({"type": "content_block_delta", "index": self.next - 1, "delta": delta}));
    }

    fn ended(&mut self, choice: &Choice, out: &mut String) {
        if std::mem::take(&mut self.open) {
            named(out, &json!({"type": "content_block_stop", "index": self.next - 1}));
        }
        for call in &choice.calls {
            self.call(call, out);
        }
    }

    fn done(&mut self, answer: &Answer, out: &mut String) {
        let end = &answer.choices[0].end;
        let delta = json!({"stop_reason": stop_reason(end), "stop_sequence": stop_sequence(end)});
        let usage = json!({"input_tokens": self.head.prompt.len(), "output_tokens": answer.sampled()});
        let mut event = json!({"type": "message_delta", "delta": delta, "usage": usage});
        detail(answer, &mut event);
        named(out, &event);
        named(out, &json!({"type": "message_stop"}));
    }

    fn failed(&mut self, refusal: &Refusal, out: &mut String) {
        named(out, &Messages.refuse(refusal));
    }
}
