//! Writes a trajectory of ATIF.

use serde::Serialize;
use serde_json::{Value, json};
use turnwise_trajectory::{CallRecord, TokenId, ToolOutput};

use crate::note::{CallNote, TraceNote};
use crate::trace::{Call, Trace};

/// The newest version with keys that are written. Version 1.8 adds sound.
const VERSION: &str = "ATIF-v1.7";

/// Holds a trace in this format.
#[derive(Serialize)]
pub(crate) struct Written<'t> {
    schema_version: &'static str,
    session_id: String,
    trajectory_id: String,
    agent: Value,
    steps: Vec<Step<'t>>,
    final_metrics: Value,
    extra: Extra<TraceNote>,
}

#[derive(Serialize)]
struct Extra<N> {
    turnwise: N,
}

#[derive(Serialize)]
struct Step<'t> {
    #[serde(rename = "step_id")]
    number: usize,
    source: &'static str,
    message: &'t str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observation: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<Metrics<'t>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    llm_call_count: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra: Option<Extra<CallNote>>,
}

#[derive(Serialize)]
struct Metrics<'t> {
    prompt_tokens: usize,
    completion_tokens: usize,
    prompt_token_ids: &'t [TokenId],
    completion_token_ids: &'t [TokenId],
    logprobs: &'t [f32],
}

impl<'t> Written<'t> {
    /// Returns a trace that is the given attempt of its name.
    pub(crate) fn of(trace: &'t Trace, attempt: u32) -> Self {
        let mut steps: Vec<Step<'t>> = Vec::new();
        for (place, call) in trace.calls.iter().enumerate() {
            let before = place.checked_sub(1);
            if !call.said.is_empty() {
                let follows = before.is_some() && call.parent == before;
                match steps.last_mut().filter(|_| follows) {
                    // The outputs of its tools are there already.
                    Some(step) if step.observation.is_some() => {}
                    Some(step) => step.observation = Some(json!({"results": [{"content": call.said}]})),
                    None => steps.push(said(&call.said)),
                }
            }
            steps.push(step(trace, call));
        }
        for (nth, step) in steps.iter_mut().enumerate() {
            step.number = nth + 1;
        }
        let name = &trace.name;
        let session_id = if attempt == 0 { name.clone() } else { format!("{name}#{attempt}") };
        let sum = |count: fn(&Call) -> usize| trace.calls.iter().map(count).sum::<usize>();
        Self {
            schema_version: VERSION,
            trajectory_id: session_id.clone(),
            session_id,
            agent: json!({"name": "turnwise", "version": env!("CARGO_PKG_VERSION")}),
            final_metrics: json!({
                "total_prompt_tokens": sum(|call| call.prompt.len()),
                "total_completion_tokens": sum(|call| call.tokens.len()),
                "total_steps": steps.len(),
            }),
            steps,
            extra: Extra { turnwise: TraceNote::of(trace, attempt) },
        }
    }
}

/// Returns a step of the user, whose text begins a conversation or changes its history.
fn said(text: &str) -> Step<'_> {
    let (tool_calls, observation, metrics) = (Vec::new(), None, None);
    let (llm_call_count, extra) = (None, None);
    Step { number: 0, source: "user", message: text, tool_calls, observation, metrics, llm_call_count, extra }
}

fn step<'t>(trace: &Trace, call: &'t Call) -> Step<'t> {
    let id = |nth: usize| format!("call_{}_{nth}", call.number);
    let tool = |(nth, record): (usize, &CallRecord)| match record {
        CallRecord::Executed { call: tool, .. } => {
            Some(json!({"tool_call_id": id(nth), "function_name": tool.name, "arguments": tool.arguments}))
        }
        CallRecord::Malformed(_) => None,
    };
    let result = |(nth, record): (usize, &CallRecord)| match record {
        CallRecord::Executed { output, .. } => {
            let shown = Some(shown(output)).filter(|shown| !shown.is_empty())?;
            Some(json!({"source_call_id": id(nth), "content": shown}))
        }
        CallRecord::Malformed(_) => None,
    };
    let tool_calls: Vec<Value> = call.tools.iter().enumerate().filter_map(tool).collect();
    let results: Vec<Value> = call.tools.iter().enumerate().filter_map(result).collect();
    Step {
        number: 0,
        source: "agent",
        message: &call.text,
        observation: (!results.is_empty()).then(|| json!({"results": results})),
        tool_calls,
        metrics: Some(Metrics {
            prompt_tokens: call.prompt.len(),
            completion_tokens: call.tokens.len(),
            prompt_token_ids: &call.prompt,
            completion_token_ids: &call.tokens,
            logprobs: &call.logprobs,
        }),
        llm_call_count: Some(1),
        extra: Some(Extra { turnwise: CallNote::of(trace, call) }),
    }
}

/// Returns the text of an output.
fn shown(output: &ToolOutput) -> String {
    let parts =
        [Some(&output.stdout).filter(|text| !text.is_empty()), output.value.as_ref(), output.error.as_ref()];
    parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join("\n")
}
