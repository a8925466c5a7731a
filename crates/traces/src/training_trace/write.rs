//! Writes a `TrainingTrace`.

use serde::Serialize;
use serde_json::{Value, json};
use turnwise_trajectory::{CallRecord, Finish, TokenId};

use super::VERSION;
use crate::note::{CallNote, TraceNote};
use crate::trace::{Call, Trace};

/// Holds a trace in this format.
#[derive(Serialize)]
pub(crate) struct Written<'t> {
    schema_version: u64,
    turns: Vec<Turn<'t>>,
}

#[derive(Serialize)]
struct Turn<'t> {
    node_id: String,
    prompt_token_ids: &'t [TokenId],
    completion_token_ids: &'t [TokenId],
    per_token_logps: &'t [f32],
    loss_mask: Vec<u8>,
    response: Value,
    metadata: Metadata,
}

#[derive(Serialize)]
struct Metadata {
    turnwise: Note,
}

#[derive(Serialize)]
struct Note {
    trace: TraceNote,
    #[serde(flatten)]
    call: CallNote,
}

impl<'t> Written<'t> {
    /// Returns a trace that is the given attempt of its name.
    pub(crate) fn of(trace: &'t Trace, attempt: u32) -> Self {
        let turn = |call: &'t Call| Turn {
            node_id: call.number.to_string(),
            prompt_token_ids: &call.prompt,
            completion_token_ids: &call.tokens,
            per_token_logps: &call.logprobs,
            loss_mask: [vec![0; call.prompt.len()], vec![1; call.tokens.len()]].concat(),
            response: json!({"choices": [{"message": message(call), "finish_reason": finish(call)}]}),
            metadata: Metadata {
                turnwise: Note { trace: TraceNote::of(trace, attempt), call: CallNote::of(trace, call) },
            },
        };
        Self { schema_version: VERSION, turns: trace.calls.iter().map(turn).collect() }
    }
}

fn message(call: &Call) -> Value {
    let mut message = json!({"role": "assistant", "content": call.text});
    let tool = |(nth, record): (usize, &CallRecord)| match record {
        CallRecord::Executed { call: tool, .. } => {
            let arguments = Value::from(tool.arguments.clone()).to_string();
            let function = json!({"name": tool.name, "arguments": arguments});
            Some(
                json!({"id": format!("call_{}_{nth}", call.number), "type": "function", "function": function}),
            )
        }
        CallRecord::Malformed(_) => None,
    };
    let tools: Vec<Value> = call.tools.iter().enumerate().filter_map(tool).collect();
    if !tools.is_empty() {
        message["tool_calls"] = tools.into();
    }
    message
}

fn finish(call: &Call) -> &'static str {
    match call.finish {
        Finish::Length | Finish::Asked => "length",
        _ if call.tools.iter().any(CallRecord::is_valid) => "tool_calls",
        Finish::EndOfTurn | Finish::StopString => "stop",
    }
}
