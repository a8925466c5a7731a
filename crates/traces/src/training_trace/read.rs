//! Reads a `TrainingTrace`.

use std::ops::Range;

use serde::Deserialize;
use serde_json::Value;
use turnwise_trajectory::{CallRecord, Finish, OutputStatus, TokenId, ToolCall, ToolOutput};

use super::VERSION;
use crate::document::Document;
use crate::error::Wrong;
use crate::exact::{Columns, Exact};
use crate::note::{CallNote, TraceNote};
use crate::trace::{Call, Trace};

#[derive(Deserialize)]
struct File {
    #[serde(default = "version")]
    schema_version: u64,
    turns: Vec<Turn>,
}

fn version() -> u64 {
    VERSION
}

#[derive(Deserialize)]
struct Turn {
    prompt_token_ids: Option<Vec<TokenId>>,
    completion_token_ids: Option<Vec<TokenId>>,
    per_token_logps: Option<Vec<f32>>,
    loss_mask: Option<Vec<u8>>,
    #[serde(default)]
    response: Value,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Deserialize, Default)]
struct Metadata {
    turnwise: Option<Note>,
}

/// Holds what the metadata of a turn say for turnwise.
#[derive(Deserialize)]
struct Note {
    #[serde(flatten)]
    call: CallNote,
    trace: Option<TraceNote>,
}

/// Reads a trace. `name` is its name if it doesn't say one.
pub(crate) fn read(document: &Document<'_>, name: &str, place: &str) -> Result<Trace, Wrong> {
    let File { schema_version, turns } = document.read()?;
    if schema_version != VERSION {
        return Err(Wrong::at(
            "schema_version",
            format!("is {schema_version}, and version {VERSION} is read"),
        ));
    }
    let mut trace = Trace::new(name, place);
    for (nth, turn) in turns.into_iter().enumerate() {
        let at = format!("turns[{nth}]");
        let Turn { prompt_token_ids, completion_token_ids, per_token_logps, .. } = turn;
        let columns =
            Columns { prompt: prompt_token_ids, sampled: completion_token_ids, logprobs: per_token_logps };
        let exact = columns.exact(&at, ["prompt_token_ids", "completion_token_ids", "per_token_logps"])?;
        let trained = trained(&exact, turn.loss_mask, &at)?;
        let note = match turn.metadata.turnwise {
            None => None,
            Some(Note { call, trace: of_trace }) => {
                if let Some(of_trace) = of_trace {
                    of_trace.tell(&mut trace);
                }
                Some(call)
            }
        };
        // The prompts of later calls have its tokens.
        if trained.is_empty() && !exact.sampled.is_empty() {
            continue;
        }
        let choice = &turn.response["choices"][0];
        let mut call = Call::of(nth as u32, only(exact, trained));
        if choice["finish_reason"] == "length" {
            call.finish = Finish::Length;
        }
        call.text = choice["message"]["content"].as_str().unwrap_or_default().into();
        call.tools = tools(&choice["message"]["tool_calls"]);
        CallNote::push(note, call, &mut trace);
    }
    if trace.calls.is_empty() {
        return Err(Wrong::at("turns", "none has a token that is trained on"));
    }
    Ok(trace)
}

/// Returns the calls of tools of a message. Their outputs are in the next prompt. Calls whose arguments are
/// no JSON object are left out.
fn tools(calls: &Value) -> Vec<CallRecord> {
    let record = |call: &Value| {
        let (name, arguments) = (&call["function"]["name"], &call["function"]["arguments"]);
        let arguments = serde_json::from_str(arguments.as_str()?).ok()?;
        let call = ToolCall { name: name.as_str()?.into(), arguments, span: 0..0 };
        Some(CallRecord::Executed { call, output: ToolOutput::of(OutputStatus::Ok) })
    };
    calls.as_array().into_iter().flatten().filter_map(record).collect()
}

/// Returns the range of sampled tokens that the mask trains.
fn trained(exact: &Exact, mask: Option<Vec<u8>>, at: &str) -> Result<Range<usize>, Wrong> {
    let at = format!("{at}.loss_mask");
    let (prompt, all) = (exact.prompt.len(), exact.prompt.len() + exact.sampled.len());
    let mask = mask.ok_or_else(|| Wrong::at(&at, "is missing, and says which tokens are trained on"))?;
    if mask.len() != all {
        let message = format!("has {} entries for the {all} tokens of prompt and completion", mask.len());
        return Err(Wrong::at(at, message));
    }
    if let Some(place) = mask.iter().position(|entry| *entry > 1) {
        return Err(Wrong::at(format!("{at}[{place}]"), format!("is {}, expected 0 or 1", mask[place])));
    }
    if let Some(place) = mask[..prompt].iter().position(|entry| *entry == 1) {
        return Err(Wrong::at(
            format!("{at}[{place}]"),
            "trains a token of the prompt, which wasn't sampled",
        ));
    }
    let sampled = &mask[prompt..];
    let Some(first) = sampled.iter().position(|entry| *entry == 1) else { return Ok(0..0) };
    let count = sampled[first..].iter().take_while(|entry| **entry == 1).count();
    if sampled[first + count..].contains(&1) {
        let message =
            "trains a turn in several pieces, and a turn of turnwise is one piece of sampled tokens";
        return Err(Wrong::at(at, message));
    }
    Ok(first..first + count)
}

/// Returns a call whose masked tokens are context: those in front become a part of the prompt.
fn only(exact: Exact, trained: Range<usize>) -> Exact {
    let Exact { mut prompt, sampled, logprobs } = exact;
    prompt.extend_from_slice(&sampled[..trained.start]);
    Exact { prompt, sampled: sampled[trained.clone()].to_vec(), logprobs: logprobs[trained].to_vec() }
}
