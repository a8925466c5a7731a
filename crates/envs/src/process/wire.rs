//! Defines the messages over the pipes of an environment's process: JSON lines, one object a line.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use turnwise_json::Unique;
use turnwise_tools::{ToolSpec, observation};
use turnwise_trajectory::{CallRecord, Finish, Message, Rewards, Turn};

use crate::tasks::TaskSplit;

/// Holds a request. Its `id` returns with the answer.
#[derive(Serialize)]
#[serde(tag = "method", rename_all = "snake_case")]
pub(super) enum Request<'a> {
    Describe,
    Reset { session: &'a str, split: &'static str, index: usize, seed: u64 },
    Step(Step<'a>),
    Close { session: &'a str },
}

impl Request<'_> {
    /// Returns the line of the request.
    pub(super) fn line(&self, id: u64) -> String {
        #[derive(Serialize)]
        struct Line<'a> {
            id: u64,
            #[serde(flatten)]
            request: &'a Request<'a>,
        }
        serde_json::to_string(&Line { id, request: self }).expect("a request has string keys") + "\n"
    }

    /// Names it for an error, with the task of its session.
    pub(super) fn at(&self, (split, index): (TaskSplit, usize)) -> String {
        let method = match self {
            Self::Describe => "describe",
            Self::Reset { .. } => "reset",
            Self::Step(_) => "step",
            Self::Close { .. } => "close",
        };
        format!("{method} of {} {index}", split.name())
    }

    /// Returns whether it advances a trajectory: a process that answers it works.
    pub(super) fn plays(&self) -> bool {
        matches!(self, Self::Step(_) | Self::Close { .. })
    }
}

/// Tells the process of a turn.
#[derive(Serialize)]
pub(super) struct Step<'a> {
    session: &'a str,
    text: &'a str,
    calls: Vec<Call<'a>>,
    malformed: usize,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    builtin: Vec<Call<'a>>,
}

#[derive(Serialize)]
struct Call<'a> {
    name: &'a str,
    arguments: &'a Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
}

impl<'a> Step<'a> {
    /// Returns the request for a turn whose calls at `own` the process answers. `tools` are the process's
    /// tools. Calls of all others were answered by turnwise: by its Python, or by servers of the run file.
    pub(super) fn new(session: &'a str, turn: &'a Turn, own: &[usize], tools: &[ToolSpec]) -> Self {
        let mut step = Self {
            session,
            text: &turn.text,
            calls: Vec::new(),
            malformed: 0,
            truncated: turn.finish == Finish::Length,
            builtin: Vec::new(),
        };
        for (position, record) in turn.calls.iter().enumerate() {
            match record {
                CallRecord::Malformed(_) => step.malformed += 1,
                CallRecord::Executed { call, output } => {
                    let (name, arguments) = (call.name.as_str(), &call.arguments);
                    if own.contains(&position) {
                        step.calls.push(Call { name, arguments, output: None });
                    } else if !tools.iter().any(|tool| tool.name == call.name) {
                        step.builtin.push(Call { name, arguments, output: Some(observation(output)) });
                    }
                }
            }
        }
        step
    }
}

/// Holds an answer: a result, or the failure of one session.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    pub(super) id: u64,
    pub(super) result: Option<Unique>,
    pub(super) error: Option<Refusal>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    pub(super) message: String,
}

/// Describes the offer of the environment.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Described {
    pub(super) train: usize,
    pub(super) held_out: usize,
    #[serde(default)]
    pub(super) tools: Vec<ToolSpec>,
    #[serde(default)]
    pub(super) builtin: Vec<String>,
    #[serde(default)]
    pub(super) system: Option<String>,
}

/// Holds a task and its opening.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reset {
    pub(super) task: String,
    #[serde(default)]
    pub(super) level: u32,
    pub(super) messages: Vec<Message>,
}

/// Holds the environment's response to a turn.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stepped {
    #[serde(default)]
    pub(super) outputs: Vec<String>,
    #[serde(default)]
    pub(super) rewards: Rewards,
    #[serde(default)]
    pub(super) done: bool,
    #[serde(default)]
    pub(super) message: Option<String>,
    #[serde(default)]
    pub(super) correct: Option<bool>,
}

/// Holds the response to the end of a session.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Closed {
    #[serde(default)]
    pub(super) rewards: Rewards,
    #[serde(default)]
    pub(super) correct: Option<bool>,
}
