//! Parts of both completion dialects of OpenAI: refusals, ends, usage, the keys of streams.

use serde_json::{Value, json};

use crate::answer::{Answer, End, Head};
use crate::ask::{Delivery, Form};
use crate::dialect::events::data;
use crate::dialect::fields::Fields;
use crate::refusal::Refusal;

/// Writes a refusal.
pub(crate) fn refusal(refusal: &Refusal) -> Value {
    let kind = if refusal.status < 500 { "invalid_request_error" } else { "server_error" };
    json!({"error": {
        "message": refusal.line(),
        "type": kind,
        "param": refusal.place,
        "code": refusal.code,
    }})
}

/// Returns OpenAI's name of an end.
pub(super) fn finish_reason(end: &End) -> &'static str {
    match end {
        End::Turn | End::Text(_) => "stop",
        End::Calls => "tool_calls",
        End::Length => "length",
    }
}

/// Counts tokens.
pub(super) fn usage(answer: &Answer) -> Value {
    let (prompt, sampled) = (answer.head.prompt.len(), answer.sampled());
    json!({"prompt_tokens": prompt, "completion_tokens": sampled, "total_tokens": prompt + sampled})
}

/// Keys of the answer's form.
pub(super) const FORM: &[&str] = &["stream", "stream_options", "return_token_ids", "logprobs"];

/// Reads the answer's form, without `logprobs`.
pub(super) fn form(request: &Fields<'_>) -> Result<Form, Refusal> {
    let stream = request.flag("stream")?;
    let mut delivery = if stream { Delivery::Stream } else { Delivery::Whole };
    if let Some(options) = request.object("stream_options")? {
        if !stream {
            return Err(Refusal::at("stream_options", "only a stream has options"));
        }
        options.only(&[&["include_usage", "include_obfuscation"]])?;
        options.neutral("include_obfuscation", &[json!(false)])?;
        if options.flag("include_usage")? {
            delivery = Delivery::Counted;
        }
    }
    Ok(Form { delivery, token_ids: request.flag("return_token_ids")?, ..Form::default() })
}

/// Returns a chunk of a stream. `prefix` begins its id, and `object` names its kind.
pub(super) fn chunk(head: &Head, prefix: &str, object: &str, choices: &Value) -> Value {
    let mut chunk = json!({
        "id": format!("{prefix}-{}", head.id),
        "object": object,
        "created": head.created,
        "model": head.model(),
        "choices": choices,
    });
    if head.form.delivery == Delivery::Counted {
        chunk["usage"] = Value::Null;
    }
    chunk
}

/// Ends a stream. `empty`: a chunk without choices, which tells the usage if the request asked for it.
pub(super) fn done(head: &Head, mut empty: Value, answer: &Answer, out: &mut String) {
    if head.form.delivery == Delivery::Counted {
        empty["usage"] = usage(answer);
        data(out, &empty);
    }
    out.push_str("data: [DONE]\n\n");
}
