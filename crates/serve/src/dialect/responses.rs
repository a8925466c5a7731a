//! OpenAI's responses, without storage: a request holds its whole conversation.

mod input;

use std::sync::Arc;

use serde_json::{Value, json};
use turnwise_tools::ToolSpec;

use super::detail::{detail, form};
use super::openai::refusal;
use super::sampling::{INERT, likeliest, limit, sampling, seed, stop};
use super::tools::{Form, tools};
use super::{Dialect, Stream};
use crate::answer::{Answer, Call, Choice, End, Head, Piece};
use crate::ask::{Ask, Chat, Prompt, ToolChoice};
use crate::dialect::events::named;
use crate::dialect::fields::{Fields, wrong};
use crate::dialect::messages;
use crate::refusal::Refusal;

/// Speaks the dialect of `/v1/responses`.
pub(super) struct Responses;

const OWN: &[&str] = &[
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "max_output_tokens",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "seed",
    "stop",
    "stream",
    "logprobs",
    "return_token_ids",
    "include",
    "text",
    "truncation",
    "reasoning",
    "background",
    "top_logprobs",
    "stream_options",
    "prompt_cache_retention",
];

/// How a tool is written.
const TOOL: Form = Form {
    kind: "function",
    wrapper: None,
    schema: "parameters",
    inert: &[],
    absent: || Some(json!({"type": "object", "properties": {}})),
};

/// Parts that `include` may name: one that is told, and one that no answer of this server has.
const INCLUDED: [&str; 2] = ["message.output_text.logprobs", "reasoning.encrypted_content"];

impl Dialect for Responses {
    fn path(&self) -> &'static str {
        "/v1/responses"
    }

    fn read(&self, request: &Value) -> Result<Ask, Refusal> {
        let request = Fields::of(request, "")?;
        request.only(&[OWN, INERT])?;
        neutral(&request)?;
        let tools = tools(&request, &TOOL)?;
        let choice = tool_choice(&request, &tools)?;
        let parallel = request.get("parallel_tool_calls").is_none() || request.flag("parallel_tool_calls")?;
        let conversation = input::conversation(&request)?;
        let mut form = form(&request)?;
        let included = included(&request)?;
        form.logprobs |= included;
        form.likeliest = likeliest(&request, form.logprobs)?;
        Ok(Ask {
            prompt: Prompt::Chat(Chat {
                messages: messages::read(&conversation, "input")?,
                tools,
                choice,
                parallel,
            }),
            sampling: sampling(&request)?,
            seed: seed(&request)?,
            max_new: limit(&request, "max_output_tokens")?,
            stop: stop(&request, "stop")?,
            choices: 1,
            form,
            echo: echo(&request, parallel),
        })
    }

    fn refuse(&self, refused: &Refusal) -> Value {
        refusal(refused)
    }

    fn whole(&self, answer: &Answer) -> Value {
        let choice = &answer.choices[0];
        let mut response = begun(&answer.head);
        let cut = choice.end == End::Length;
        let status = if cut { "incomplete" } else { "completed" };
        let mut output = Vec::new();
        if !choice.text.is_empty() || choice.calls.is_empty() {
            output.push(message(&answer.head, choice, status));
        }
        output.extend(choice.calls.iter().map(|call| called(call, &call.arguments, "completed")));
        response["status"] = status.into();
        response["output"] = output.into();
        if cut {
            response["incomplete_details"] = json!({"reason": "max_output_tokens"});
        }
        let (prompt, sampled) = (answer.head.prompt.len(), answer.sampled());
        response["usage"] = json!({
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": sampled,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": prompt + sampled,
        });
        detail(answer, &mut response);
        response
    }

    fn stream(&self, head: Arc<Head>) -> Box<dyn Stream> {
        Box::new(Items { head, sequence: 0, next: 0, open: false })
    }
}

/// Refuses values that ask for what isn't there.
fn neutral(request: &Fields<'_>) -> Result<(), Refusal> {
    request.text("model")?;
    request.neutral("store", &[json!(false)])?;
    request.neutral("service_tier", &[json!("auto"), json!("default")])?;
    request.neutral("text", &[json!({}), json!({"format": {"type": "text"}})])?;
    request.neutral("truncation", &[json!("disabled")])?;
    request.neutral("reasoning", &[json!({})])?;
    request.neutral("background", &[json!(false)])?;
    request.neutral("stream_options", &[json!({}), json!({"include_obfuscation": false})])
}

/// Returns whether `include` asks for log-probabilities.
fn included(request: &Fields<'_>) -> Result<bool, Refusal> {
    let all = request.list("include")?.unwrap_or_default();
    let other = |part: &&Value| !part.as_str().is_some_and(|part| INCLUDED.contains(&part));
    match all.iter().find(other) {
        Some(_) => Err(Refusal::unsupported("include", &format!("{} are", INCLUDED.join(" and ")))),
        None => Ok(all.iter().any(|part| part == INCLUDED[0])),
    }
}

/// Returns what an answer repeats of its request.
fn echo(request: &Fields<'_>, parallel: bool) -> Value {
    let or = |key: &str, absent: Value| request.get(key).cloned().unwrap_or(absent);
    json!({
        "instructions": or("instructions", Value::Null),
        "tools": or("tools", json!([])),
        "tool_choice": or("tool_choice", json!("auto")),
        "parallel_tool_calls": parallel,
        "temperature": or("temperature", json!(1.0)),
        "top_p": or("top_p", json!(1.0)),
        "max_output_tokens": or("max_output_tokens", Value::Null),
        "metadata": or("metadata", json!({})),
    })
}

/// Reads whether the model calls a tool.
fn tool_choice(request: &Fields<'_>, tools: &[ToolSpec]) -> Result<ToolChoice, Refusal> {
    let choice = match request.get("tool_choice") {
        None => return Ok(ToolChoice::Auto),
        Some(Value::String(name)) => match name.as_str() {
            "auto" => return Ok(ToolChoice::Auto),
            "none" => return Ok(ToolChoice::None),
            "required" => ToolChoice::Required,
            _ => return Err(Refusal::unsupported("tool_choice", "auto, none, required and a function are")),
        },
        Some(Value::Object(_)) => {
            let choice = request.object("tool_choice")?.expect("it is an object");
            choice.only(&[&["type", "name"]])?;
            choice.neutral("type", &[json!("function")])?;
            ToolChoice::Named(choice.needed("name")?.into())
        }
        Some(other) => return Err(wrong("tool_choice", other, "a text or an object")),
    };
    if tools.is_empty() { Err(Refusal::at("tool_choice", "there are no tools")) } else { Ok(choice) }
}

/// Writes a response without output yet.
fn begun(head: &Head) -> Value {
    let mut response = json!({
        "id": format!("resp_{}", head.id),
        "object": "response",
        "created_at": head.created,
        "status": "in_progress",
        "background": false,
        "error": null,
        "incomplete_details": null,
        "model": head.model(),
        "output": [],
        "previous_response_id": null,
        "reasoning": {"effort": null, "summary": null},
        "store": false,
        "text": {"format": {"type": "text"}},
        "truncation": "disabled",
        "usage": null,
    });
    for (key, value) in head.echo.as_object().into_iter().flatten() {
        response[key] = value.clone();
    }
    response
}

fn message(head: &Head, choice: &Choice, status: &str) -> Value {
    let mut part = json!({"type": "output_text", "text": choice.text, "annotations": [], "logprobs": []});
    if head.form.logprobs {
        part["logprobs"] = head.logprobs(&choice.tokens, &choice.logprobs, &choice.likeliest);
    }
    item(head, &json!([part]), status)
}

fn item(head: &Head, content: &Value, status: &str) -> Value {
    let id = format!("msg_{}", head.id);
    json!({"type": "message", "id": id, "status": status, "role": "assistant", "content": content})
}

fn called(call: &Call, arguments: &str, status: &str) -> Value {
    json!({
        "type": "function_call",
        "id": format!("fc_{}", call.id),
        "call_id": call.id,
        "name": call.name,
        "arguments": arguments,
        "status": status,
    })
}

/// Writes events of output items.
struct Items {
    head: Arc<Head>,
    /// The number of the next event.
    sequence: u64,
    /// The index of the next item.
    next: usize,
    /// Whether the message is open.
    open: bool,
}

impl Items {
    fn tell(&mut self, kind: &str, mut event: Value, out: &mut String) {
        event["type"] = kind.into();
        event["sequence_number"] = self.sequence.into();
        self.sequence += 1;
        named(out, &event);
    }

    fn open(&mut self, out: &mut String) {
        self.open = true;
        self.next = 1;
        let added = item(&self.head, &json!([]), "in_progress");
        self.tell("response.output_item.added", json!({"output_index": 0, "item": added}), out);
        let part = json!({"type": "output_text", "text": "", "annotations": [], "logprobs": []});
        let event = self.in_message(json!({"part": part}));
        self.tell("response.content_part.added", event, out);
    }

    /// Adds the place of the message's text to an event.
    fn in_message(&self, mut event: Value) -> Value {
        event["item_id"] = format!("msg_{}", self.head.id).into();
        event["output_index"] = 0.into();
        event["content_index"] = 0.into();
        event
    }

    fn call(&mut self, call: &Call, out: &mut String) {
        let (index, id) = (self.next, format!("fc_{}", call.id));
        self.next += 1;
        let added = json!({"output_index": index, "item": called(call, "", "in_progress")});
        self.tell("response.output_item.added", added, out);
        let delta = json!({"item_id": id, "output_index": index, "delta": call.arguments});
        self.tell("response.function_call_arguments.delta", delta, out);
        let done =
            json!({"item_id": id, "output_index": index, "name": call.name, "arguments": call.arguments});
        self.tell("response.function_call_arguments.done", done, out);
        let item = called(call, &call.arguments, "completed");
        self.tell("response.output_item.done", json!({"output_index": index, "item": item}), out);
    }
}

impl Stream for Items {
    fn begin(&mut self, out: &mut String) {
        for kind in ["response.created", "response.in_progress"] {
            let response = begun(&self.head);
            self.tell(kind, json!({"response": response}), out);
        }
    }

    fn piece(&mut self, piece: &Piece<'_>, out: &mut String) {
        if piece.text.is_empty() {
            return;
        }
        if !self.open {
            self.open(out);
        }
        let event = self.in_message(json!({"delta": piece.text, "logprobs": []}));
        self.tell("response.output_text.delta", event, out);
    }

    fn ended(&mut self, choice: &Choice, out: &mut String) {
        if !self.open && choice.calls.is_empty() {
            self.open(out);
        }
        if self.open {
            let status = if choice.end == End::Length { "incomplete" } else { "completed" };
            let item = message(&self.head, choice, status);
            let part = item["content"][0].clone();
            let event = self.in_message(json!({"text": choice.text, "logprobs": part["logprobs"]}));
            self.tell("response.output_text.done", event, out);
            let event = self.in_message(json!({"part": part}));
            self.tell("response.content_part.done", event, out);
            self.tell("response.output_item.done", json!({"output_index": 0, "item": item}), out);
        }
        for call in &choice.calls {
            self.call(call, out);
        }
    }

    fn done(&mut self, answer: &Answer, out: &mut String) {
        let response = Responses.whole(answer);
        let kind =
            if response["status"] == "completed" { "response.completed" } else { "response.incomplete" };
        self.tell(kind, json!({"response": response}), out);
    }

    fn failed(&mut self, refused: &Refusal, out: &mut String) {
        let event =
            json!({"code": refused.code.unwrap_or("server_error"), "message": refused.line(), "param": null});
        self.tell("error", event, out);
    }
}
