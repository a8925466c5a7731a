//! Tool calls that the policy wrote, and their outputs. Malformed calls and failed executions are data.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Holds a call that could be parsed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The tool's name.
    pub name: String,
    /// The arguments, as a JSON object.
    pub arguments: Map<String, Value>,
    /// Byte offsets of the whole call in the turn's text.
    pub span: Range<usize>,
}

impl ToolCall {
    /// The name of the argument that holds a program, as in the Python tool.
    pub const CODE: &str = "code";

    /// Returns the program that the call asks to run; none without the argument [`ToolCall::CODE`].
    pub fn code(&self) -> Option<&str> {
        self.arguments.get(Self::CODE)?.as_str()
    }
}

/// Says why a call is invalid. An invalid call costs the turn its format reward (arXiv:2511.14846).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ViolationKind {
    /// The body is not the JSON object that the format asks for.
    InvalidJson,
    /// No tool of this name is offered.
    UnknownTool,
    /// A required argument is absent.
    MissingArgument,
    /// An argument has a type other than its schema's.
    WrongType,
    /// The call was opened and never closed.
    Unterminated,
    /// The call has no content.
    Empty,
    /// The model wrote an observation, which only the environment may write.
    ForgedObservation,
}

/// Holds an invalid call: data on the trajectory, never an `Err` of the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MalformedCall {
    /// The kind of fault.
    pub kind: ViolationKind,
    /// One line for the model and for the reader.
    pub message: String,
    /// Byte offsets of the whole call in the turn's text.
    pub span: Range<usize>,
}

/// Says how an execution ended. A fault that isn't the model's is an error of the executor instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputStatus {
    /// The program ran to its end.
    Ok,
    /// The program raised, or ended with a non-zero exit status.
    Error,
    /// The program used up its CPU time or its wall time.
    Timeout,
    /// The program asked for more memory than allowed.
    OutOfMemory,
    /// A signal ended the program.
    Killed,
    /// The call was not run.
    Rejected,
}

/// Holds the output of a tool call. A written record has no times, because they differ in every run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolOutput {
    /// How the execution ended.
    pub status: OutputStatus,
    /// Captured output, stdout and stderr in the order of writing, up to a limit.
    pub stdout: String,
    /// `repr` of the last expression, if there was one and it is not `None`.
    pub value: Option<String>,
    /// One readable line: the last of a traceback, or the limit that was hit.
    pub error: Option<String>,
    /// Whether `stdout` was cut.
    pub truncated: bool,
    /// Wall time in milliseconds.
    #[serde(default, skip_serializing)]
    pub wall_ms: f64,
    /// CPU time in milliseconds.
    #[serde(default, skip_serializing)]
    pub cpu_ms: f64,
}

impl ToolOutput {
    /// Returns the output of a successful call: the text `text`.
    pub fn says(text: impl Into<String>) -> Self {
        Self { stdout: text.into(), ..Self::of(OutputStatus::Ok) }
    }

    /// Returns the output of a failed call: the line `error`.
    pub fn fails(status: OutputStatus, error: impl Into<String>) -> Self {
        Self { error: Some(error.into()), ..Self::of(status) }
    }

    /// Returns an output with a status and nothing else.
    pub fn of(status: OutputStatus) -> Self {
        Self {
            status,
            stdout: String::new(),
            value: None,
            error: None,
            truncated: false,
            wall_ms: 0.0,
            cpu_ms: 0.0,
        }
    }
}

/// Holds one call of a turn with its outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallRecord {
    /// The call was parsed and executed.
    Executed {
        /// The call.
        call: ToolCall,
        /// Its output.
        output: ToolOutput,
    },
    /// The call could not be parsed or checked.
    Malformed(MalformedCall),
}

impl CallRecord {
    /// Returns whether the call was valid. Its execution may still have failed.
    pub fn is_valid(&self) -> bool {
        matches!(self, CallRecord::Executed { .. })
    }

    /// Returns the program that the call ran; none if it ran none.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Executed { call, .. } => call.code(),
            Self::Malformed(_) => None,
        }
    }
}
