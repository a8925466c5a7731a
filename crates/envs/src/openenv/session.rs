//! Plays one trajectory in a session of a server.

use serde_json::Value;
use turnwise_tools::Fault;
use turnwise_trajectory::{CallRecord, OutputStatus, Rewards, ToolCall, ToolOutput, Turn};

use super::action::Form;
use super::protocol::{Answer, Ask, Observed};
use super::server::{Opened, fault};
use crate::outside::permits::Permit;
use crate::session::{Closing, Session, Step};

/// Name of the rewards.
const REWARD: &str = "reward";
/// Sums that fall short of their threshold by rounding reach it.
const ROUNDING: f64 = 1e-9;

/// Holds a session before its first turn.
pub(super) struct Read {
    pub(super) opened: Opened,
    /// The first observation.
    pub(super) observed: Observed,
    pub(super) permit: Permit,
}

/// Holds a trajectory's session.
pub(super) struct OpenEnvSession<'a> {
    opened: Opened,
    _permit: Permit,
    form: &'a Form,
    /// Whether a turn may call tools of others.
    tools_beside: bool,
    /// Sum of rewards from which the trajectory is right.
    right_from: f64,
    sum: f64,
    done: bool,
}

impl<'a> OpenEnvSession<'a> {
    pub(super) fn new(read: Read, form: &'a Form, tools_beside: bool, right_from: f64) -> Self {
        let Read { opened, observed, permit } = read;
        Self { opened, _permit: permit, form, tools_beside, right_from, sum: 0.0, done: observed.done() }
    }

    /// Takes an action. Returns the observation, or the server's message about an invalid action.
    fn act(&mut self, ask: &Ask, step: &mut Step) -> Result<Result<Observed, String>, Fault> {
        match self.opened.ask(ask)? {
            Answer::Observation(observed) => {
                if let Some(reward) = observed.reward.number() {
                    step.rewards.add(REWARD, reward);
                    self.sum += reward;
                }
                self.done |= observed.done();
                Ok(Ok(observed))
            }
            Answer::Error(refusal) if refusal.is_of(ask) => Ok(Err(refusal.message())),
            // The server is well, and so are its other sessions.
            Answer::Error(refusal) => Err(fault(format!("{}: {refusal}", self.opened.at_step()))),
            Answer::State(_) => Err(self.opened.lies("it told its state, and a step was asked for")),
        }
    }

    fn call(&mut self, call: &ToolCall, step: &mut Step) -> Result<ToolOutput, Fault> {
        if self.done {
            return Ok(ToolOutput::fails(OutputStatus::Rejected, "not run: the episode has ended"));
        }
        match self.act(&Ask::call_tool(&call.name, &call.arguments), step)? {
            Ok(observed) => output(&observed),
            Err(refused) => Ok(ToolOutput::fails(OutputStatus::Error, refused)),
        }
    }
}

impl Session for OpenEnvSession<'_> {
    fn step(&mut self, turn: &Turn, own: &[usize]) -> Result<Step, Fault> {
        let mut step = Step::default();
        match self.form {
            Form::Calls => {
                for &position in own {
                    let CallRecord::Executed { call, .. } = &turn.calls[position] else {
                        panic!("a malformed call is never the session's")
                    };
                    let output = self.call(call, &mut step)?;
                    step.outputs.push(output);
                }
            }
            Form::Text(field) => {
                // A turn that asks for a tool isn't the move: its text is for the tool. If no tool is on
                // offer, a text that looks like a call is a text.
                let is_move = turn.calls.is_empty() || !self.tools_beside;
                if !self.done && is_move {
                    let said = self.act(&Ask::text(field, &turn.text), &mut step)?;
                    step.message = Some(said.map_or_else(|refused| refused, |observed| observed.text()));
                }
                // It offers no tools.
                let none = || ToolOutput::fails(OutputStatus::Rejected, "not run: there are no tools");
                step.outputs = own.iter().map(|_| none()).collect();
            }
        }
        step.done = self.done;
        let step =
            step.checked(super::ORIGIN, own.len()).map_err(|fault| self.opened.lies(&fault.message))?;
        self.opened.plays();
        Ok(step)
    }

    fn close(&mut self) -> Result<Closing, Fault> {
        self.opened.listen()?;
        let correct = self.sum >= self.right_from - ROUNDING;
        Ok(Closing { rewards: Rewards::default(), correct: Some(correct) })
    }
}

/// Returns the output of a call.
fn output(observed: &Observed) -> Result<ToolOutput, Fault> {
    let observation = &observed.observation;
    if let Some(error) = observation.get("error").filter(|error| !error.is_null()) {
        let said = error["message"].as_str().map_or_else(|| error.to_string(), String::from);
        return match error["error_type"].as_str() {
            Some("transport_error") => Err(fault(super::protocol::words(&said))),
            Some("timeout") => Ok(ToolOutput::fails(OutputStatus::Timeout, said)),
            _ => Ok(ToolOutput::fails(OutputStatus::Error, said)),
        };
    }
    let Some(result) = observation.get("result").filter(|_| observation.contains_key("tool_name")) else {
        return Ok(ToolOutput::says(observed.text()));
    };
    let text = shown(result);
    if result["is_error"] == true {
        return Ok(ToolOutput::fails(OutputStatus::Error, text));
    }
    Ok(ToolOutput::says(text))
}

/// Returns the text of a tool's result: its text parts, or its JSON.
fn shown(result: &Value) -> String {
    if let Some(text) = result.as_str() {
        return text.into();
    }
    let Some(parts) = result["content"].as_array() else { return result.to_string() };
    let part = |part: &Value| match (part["type"].as_str(), part["text"].as_str()) {
        (_, Some(text)) => text.to_string(),
        (Some(kind), None) => format!("[{kind}]"),
        (None, None) => part.to_string(),
    };
    parts.iter().map(part).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn observed(observation: &Value) -> Observed {
        serde_json::from_value(json!({"observation": observation})).unwrap()
    }

    #[test]
    fn a_tools_result_is_its_text_or_its_failure() {
        let content =
            |text: &str| json!([{"type": "text", "text": text}, {"type": "image", "data": "iVBOR"}]);
        let result = |result: Value| json!({"tool_name": "a", "result": result, "error": null});
        let error = |kind: &str| json!({"tool_name": "a", "error": {"error_type": kind, "message": "no"}});
        for (observation, expect) in [
            (result(json!({"content": content("x"), "is_error": false})), ToolOutput::says("x\n[image]")),
            (result(json!("x")), ToolOutput::says("x")),
            (result(json!({"n": 1})), ToolOutput::says("{\"n\":1}")),
            (result(json!({"content": [{"type": "text", "text": "x"}], "is_error": true})), {
                ToolOutput::fails(OutputStatus::Error, "x")
            }),
            (error("execution_error"), ToolOutput::fails(OutputStatus::Error, "no")),
            (error("timeout"), ToolOutput::fails(OutputStatus::Timeout, "no")),
            (json!({"message": "x"}), ToolOutput::says("x")),
        ] {
            assert_eq!(output(&observed(&observation)).unwrap(), expect, "{observation}");
        }
        let lost = output(&observed(&error("transport_error"))).unwrap_err();
        assert_eq!(lost.to_string(), "env.openenv: no");
    }
}
