//! Lines of `turnwise rollout`: a conversation as a policy wrote it, back in OpenAI's form.
//!
//! A line with `tools` holds the tools of its environment. Its system message may describe them by a call
//! format, its outputs may be wrapped by one, and its calls are in the assistant's text. All of that is
//! undone here, so that a conversation of one model can be written by the template of another. A line without
//! tools is text and stays text.

use serde_json::{Map, Value as Json, json};
use turnwise_tools::format::FormatName;
use turnwise_tools::observation::malformed_observation;
use turnwise_tools::{CallFormat, ToolSpec, observation, spec_file};
use turnwise_trajectory::{CallRecord, ToolCall};

use crate::left_out::LeftOut;
use crate::row::{Row, not_one};

/// Stands for an output, where only what a call format puts around it is of interest.
const HOLE: &str = "what-the-tool-said";

/// Takes a line apart.
pub(crate) fn read(keys: &Map<String, Json>, tools: Vec<Json>) -> Result<Row, LeftOut> {
    let shown = keys.get("messages").and_then(Json::as_array).ok_or_else(|| {
        not_one(
            "a run's rollouts hold no messages; hint: `turnwise rollout --right --out` writes demonstrations",
        )
    })?;
    if tools.is_empty() {
        return Ok(Row { messages: shown.iter().map(as_text).collect(), ..Row::default() });
    }
    let turns = keys["trajectories"][0]["played"]["turns"].as_array().map(Vec::as_slice).unwrap_or_default();
    let calls = |turn: usize| -> Vec<CallRecord> {
        let calls = turns.get(turn).map(|turn| turn["calls"].clone()).unwrap_or_default();
        serde_json::from_value(calls).unwrap_or_default()
    };
    let formats = FormatName::ALL.map(FormatName::build);
    let specs = spec_file::recorded(&Json::from(tools.clone())).unwrap_or_default();
    let (mut messages, mut said) = (Vec::new(), Vec::new());
    // Calls of the turn before, and how many of their outputs were seen.
    let (mut turn, mut open, mut seen) = (0, Vec::new(), 0);
    for message in shown {
        let content = message["content"].as_str().unwrap_or_default();
        let mut own = None;
        match message["role"].as_str() {
            Some("assistant") => {
                (open, seen) = (calls(turn), 0);
                turn += 1;
                messages.push(structured(content, &open, &formats));
                own = Some(content.to_string());
            }
            Some("tool") => {
                let output = unwrapped(content, open.get(seen), &formats);
                messages.push(json!({"role": "tool", "content": output}));
                if let (Some(call), Some(message)) = (open.get(seen), messages.last_mut()) {
                    answer(message, call, turn, seen);
                }
                seen += 1;
            }
            Some("system") => messages.extend(undescribed(content, &specs, &formats)),
            _ => messages.push(message.clone()),
        }
        said.resize(messages.len(), None);
        if let Some(last) = said.last_mut().filter(|_| own.is_some()) {
            *last = own;
        }
    }
    name_calls(&mut messages);
    Ok(Row { messages, tools, said, ..Row::default() })
}

/// Returns a message of a line without tools: an output is something that the user says.
fn as_text(message: &Json) -> Json {
    let mut message = message.clone();
    if message["role"] == "tool" {
        message["role"] = "user".into();
    }
    message
}

/// Returns a turn with its calls as a list. A turn with a malformed call stays text and isn't trained.
fn structured(text: &str, calls: &[CallRecord], formats: &[Box<dyn CallFormat>]) -> Json {
    let run: Option<Vec<&ToolCall>> = calls
        .iter()
        .map(|call| match call {
            CallRecord::Executed { call, .. } => Some(call),
            CallRecord::Malformed(_) => None,
        })
        .collect();
    let Some(run) = run else {
        return json!({"role": "assistant", "content": text, "train": false});
    };
    let Some(before) = run.first().and_then(|call| text.get(..call.span.start)) else {
        return json!({"role": "assistant", "content": text});
    };
    let listed: Vec<Json> = run
        .iter()
        .map(|call| json!({"type": "function", "function": {"name": call.name, "arguments": call.arguments}}))
        .collect();
    // Some formats open a list of calls, which is part of no call.
    let opened = |format: &dyn CallFormat| {
        let call = run.first()?;
        let spelled = format.render(call);
        let read = format.parse(&spelled).into_iter().next()?.ok()?;
        let mark = spelled.get(..read.span.start)?.trim_end();
        before.trim_end().strip_suffix(mark).filter(|_| !mark.is_empty())
    };
    let content = formats.iter().find_map(|format| opened(&**format)).unwrap_or(before).trim_end();
    json!({"role": "assistant", "content": content, "tool_calls": listed})
}

/// Gives an output the name of its call.
fn answer(message: &mut Json, call: &CallRecord, turn: usize, place: usize) {
    if let CallRecord::Executed { call, .. } = call {
        message["name"] = call.name.as_str().into();
        message["tool_call_id"] = id(turn - 1, place).into();
    }
}

/// Gives every call an id, which strict templates ask for.
fn name_calls(messages: &mut [Json]) {
    let turns = messages.iter_mut().filter(|message| message["role"] == "assistant");
    for (turn, message) in turns.enumerate() {
        let calls = message.get_mut("tool_calls").and_then(Json::as_array_mut);
        for (place, call) in calls.into_iter().flatten().enumerate() {
            call["id"] = id(turn, place).into();
        }
    }
}

/// Returns nine letters and digits, as the strictest template asks for.
fn id(turn: usize, place: usize) -> String {
    format!("call{:02}{place:03}", turn % 100)
}

/// Returns a tool's output without what the call format put around it.
fn unwrapped(shown: &str, call: Option<&CallRecord>, formats: &[Box<dyn CallFormat>]) -> String {
    let told = call.map(|call| match call {
        CallRecord::Executed { output, .. } => observation(output),
        CallRecord::Malformed(call) => malformed_observation(call),
    });
    if let Some(told) = told
        && (shown == told || formats.iter().any(|format| format.render_output(&told) == shown))
    {
        return told;
    }
    // An output that was cut in its middle is in no record.
    let inner = |format: &dyn CallFormat| {
        let around = format.render_output(HOLE);
        let (before, behind) = around.split_once(HOLE).filter(|(before, _)| !before.is_empty())?;
        shown.strip_prefix(before)?.strip_suffix(behind).map(str::to_string)
    };
    formats.iter().find_map(|format| inner(&**format)).unwrap_or_else(|| shown.into())
}

/// Returns the system message without a description of the tools; none if it said nothing else.
fn undescribed(text: &str, specs: &[ToolSpec], formats: &[Box<dyn CallFormat>]) -> Option<Json> {
    let rest = formats.iter().find_map(|format| text.strip_suffix(format.describe(specs).as_str()));
    let rest = rest.map_or(text, str::trim_end);
    (!rest.is_empty()).then(|| json!({"role": "system", "content": rest}))
}

#[cfg(test)]
mod tests {
    use turnwise_trajectory::ToolOutput;

    use super::*;

    fn call() -> ToolCall {
        let arguments = json!({"code": "print(6 * 7)"});
        ToolCall {
            name: "python".into(),
            arguments: arguments.as_object().cloned().expect("an object"),
            span: 0..0,
        }
    }

    /// A line as `turnwise rollout` writes it for a policy that speaks this format.
    fn line(format: &dyn CallFormat, describe: bool, cut: bool) -> Json {
        let specs = [ToolSpec::python()];
        let text = format!("Let me see.\n{}", format.render(&call()));
        let read = format.parse(&text).remove(0).expect("a call");
        let output = ToolOutput::says(if cut { "4 and much more than fits, 2" } else { "42" });
        let shown = if cut { "4 [cut] 2".to_string() } else { observation(&output) };
        let record = CallRecord::Executed { call: read, output };
        let system =
            if describe { format!("Be brief.\n\n{}", format.describe(&specs)) } else { "Be brief.".into() };
        json!({
            "group": "a",
            "trajectories": [{"played": {"turns": [{"calls": [record]}, {"calls": []}]}}],
            "tools": specs,
            "messages": [
                {"role": "system", "content": system},
                {"role": "user", "content": "6 * 7?"},
                {"role": "assistant", "content": text},
                {"role": "tool", "content": format.render_output(&shown)},
                {"role": "assistant", "content": "Answer: 42"},
            ],
        })
    }

    #[test]
    fn a_line_of_every_call_format_is_the_same_conversation() {
        for name in FormatName::ALL {
            for (describe, cut) in [(false, false), (true, false), (true, true)] {
                let format = name.build();
                let line = line(&*format, describe, cut);
                let row = read(line.as_object().unwrap(), line["tools"].as_array().unwrap().clone()).unwrap();
                let output = if cut && name == FormatName::Mistral {
                    // Its JSON is read where the whole output is known.
                    row.messages[3]["content"].as_str().unwrap().to_string()
                } else if cut {
                    "4 [cut] 2".into()
                } else {
                    "42".into()
                };
                let expect = json!([
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": "6 * 7?"},
                    {"role": "assistant", "content": "Let me see.", "tool_calls": [{
                        "type": "function",
                        "function": {"name": "python", "arguments": {"code": "print(6 * 7)"}},
                        "id": "call00000",
                    }]},
                    {"role": "tool", "content": output, "name": "python", "tool_call_id": "call00000"},
                    {"role": "assistant", "content": "Answer: 42"},
                ]);
                assert_eq!(Json::from(row.messages), expect, "{name}");
                assert_eq!(row.said[4].as_deref(), Some("Answer: 42"));
                assert_eq!(row.said[2].as_deref(), line["messages"][2]["content"].as_str());
            }
        }
    }
}
