//! Reads the steps of a trajectory of ATIF as calls.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value};
use turnwise_trajectory::{CallRecord, OutputStatus, TokenId, ToolCall, ToolOutput};

use crate::error::Wrong;
use crate::exact::Columns;
use crate::note::{CallNote, TraceNote};
use crate::trace::{Call, Trace};

/// Holds a trajectory.
#[derive(Deserialize)]
pub(super) struct Trajectory {
    schema_version: String,
    pub(super) session_id: Option<String>,
    #[serde(rename = "trajectory_id")]
    pub(super) id: Option<String>,
    steps: Vec<Step>,
    pub(super) continued_trajectory_ref: Option<String>,
    #[serde(default)]
    pub(super) extra: Option<Extra<TraceNote>>,
    #[serde(default)]
    subagent_trajectories: Option<Vec<Trajectory>>,
}

/// Holds what turnwise has written for itself.
#[derive(Deserialize)]
pub(super) struct Extra<N> {
    pub(super) turnwise: Option<N>,
}

#[derive(Deserialize)]
struct Step {
    source: String,
    #[serde(default)]
    message: Value,
    tool_calls: Option<Vec<Tool>>,
    observation: Option<Observation>,
    metrics: Option<Metrics>,
    is_copied_context: Option<bool>,
    llm_call_count: Option<u64>,
    extra: Option<Extra<CallNote>>,
}

#[derive(Deserialize)]
struct Metrics {
    prompt_token_ids: Option<Vec<TokenId>>,
    completion_token_ids: Option<Vec<TokenId>>,
    logprobs: Option<Vec<f32>>,
}

#[derive(Deserialize)]
struct Tool {
    #[serde(rename = "tool_call_id")]
    id: String,
    function_name: String,
    #[serde(default)]
    arguments: Map<String, Value>,
}

#[derive(Deserialize)]
struct Observation {
    #[serde(default)]
    results: Vec<Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    source_call_id: Option<String>,
    #[serde(default)]
    content: Value,
    subagent_trajectory_ref: Option<Vec<Reference>>,
}

#[derive(Deserialize)]
struct Reference {
    trajectory_id: Option<String>,
}

/// Returns a text, which may be in parts.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    }
}

impl Trajectory {
    /// Adds the calls of the trajectory and of its sub-agents to a trace. `at` is the path of its keys.
    pub(super) fn calls(self, at: &str, trace: &mut Trace) -> Result<(), Wrong> {
        let Self { schema_version, steps, subagent_trajectories, .. } = self;
        if !schema_version.starts_with("ATIF-v1.") {
            let message = format!("is {schema_version:?}, and ATIF-v1.0 to ATIF-v1.8 are read");
            return Err(Wrong::at(format!("{at}schema_version"), message));
        }
        let named: BTreeSet<&str> = steps.iter().flat_map(Step::agents).collect();
        let mut agents = BTreeMap::new();
        for (nth, agent) in subagent_trajectories.into_iter().flatten().enumerate() {
            let at = format!("{at}subagent_trajectories[{nth}].");
            match agent.id.clone() {
                Some(name) if named.contains(name.as_str()) => {
                    if agents.contains_key(&name) {
                        let message = format!("{name:?} is the name of an earlier sub-agent");
                        return Err(Wrong::at(format!("{at}trajectory_id"), message));
                    }
                    agents.insert(name, (at, agent));
                }
                // Rewards of a trajectory belong to its last call, which is the agent's own.
                _ => agent.calls(&at, trace)?,
            }
        }
        for (nth, step) in steps.into_iter().enumerate() {
            let called: Vec<_> = step.agents().filter_map(|name| agents.remove(name)).collect();
            step.call(&format!("{at}steps[{nth}]"), trace)?;
            for (at, agent) in called {
                agent.calls(&at, trace)?;
            }
        }
        Ok(())
    }
}

impl Step {
    /// Returns the names of the sub-agents that a step calls.
    fn agents(&self) -> impl Iterator<Item = &str> {
        let outcomes = self.observation.iter().flat_map(|observation| &observation.results);
        let references = outcomes.flat_map(|outcome| outcome.subagent_trajectory_ref.iter().flatten());
        references.filter_map(|reference| reference.trajectory_id.as_deref())
    }

    /// Adds the call of a step to a trace, if it is one.
    fn call(self, at: &str, trace: &mut Trace) -> Result<(), Wrong> {
        let is_copy = self.is_copied_context == Some(true);
        if self.source != "agent" || is_copy || self.llm_call_count == Some(0) {
            return Ok(());
        }
        if let Some(count) = self.llm_call_count.filter(|count| *count > 1) {
            let message =
                format!("is {count}: the step holds several calls, whose tokens can't be told apart");
            return Err(Wrong::at(format!("{at}.llm_call_count"), message));
        }
        let tools = self.tools();
        let none = Metrics { prompt_token_ids: None, completion_token_ids: None, logprobs: None };
        let Metrics { prompt_token_ids, completion_token_ids, logprobs } = self.metrics.unwrap_or(none);
        let columns = Columns { prompt: prompt_token_ids, sampled: completion_token_ids, logprobs };
        let keys = ["prompt_token_ids", "completion_token_ids", "logprobs"];
        let exact = columns.exact(&format!("{at}.metrics"), keys)?;
        let call = Call { text: text(&self.message), tools, ..Call::of(trace.calls.len() as u32, exact) };
        CallNote::push(self.extra.and_then(|extra| extra.turnwise), call, trace);
        Ok(())
    }

    /// Returns the calls of tools with their outputs.
    fn tools(&self) -> Vec<CallRecord> {
        let outcomes = self.observation.iter().flat_map(|observation| &observation.results);
        let record = |tool: &Tool| {
            let is_its = |outcome: &&Outcome| outcome.source_call_id.as_ref() == Some(&tool.id);
            let output = match outcomes.clone().find(is_its) {
                Some(outcome) => ToolOutput::says(text(&outcome.content)),
                None => ToolOutput::of(OutputStatus::Ok),
            };
            let (name, arguments) = (tool.function_name.clone(), tool.arguments.clone());
            CallRecord::Executed { call: ToolCall { name, arguments, span: 0..0 }, output }
        };
        self.tool_calls.iter().flatten().map(record).collect()
    }
}
