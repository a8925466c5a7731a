//! Tool calls as the policy wrote them, and what came back. Malformed calls and failed executions are data.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A call that could be parsed.
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
    /// The name of the argument that holds a program, as the Python tool has it.
    pub const CODE: &str = "code";

    /// Returns the program that the call asks to run; none for a call of another kind.
    pub fn code(&self) -> Option<&str> {
        self.arguments.get(Self::CODE)?.as_str()
    }
}

/// Why a call is invalid (arXiv:2511.14846: an invalid call costs the turn its format reward).
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

/// A call that is invalid: data on the trajectory, never an `Err` of the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MalformedCall {
    /// What is wrong.
    pub kind: ViolationKind,
    /// One line for the model and for the reader.
    pub message: String,
    /// Byte offsets of the whole call in the turn's text.
    pub span: Range<usize>,
}

/// How an execution ended. These are the model's doing; a fault of ours is an error of the executor instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputStatus {
    /// Ran to its end.
    Ok,
    /// Raised, or ended with a non-zero exit status.
    Error,
    /// Used up its CPU time or its wall time.
    Timeout,
    /// Asked for more memory than allowed.
    OutOfMemory,
    /// Ended by a signal.
    Killed,
    /// Not run at all.
    Rejected,
}

/// What a tool call gave back. Its times are not part of a written record: they differ each time the same happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolOutput {
    /// How the execution ended.
    pub status: OutputStatus,
    /// Captured output (stdout and stderr in the order written), bounded.
    pub stdout: String,
    /// `repr` of the last expression, if there was one and it is not `None`.
    pub value: Option<String>,
    /// One readable line (the last of a traceback, or the limit that was hit).
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
    /// Returns the output of a call that went well and said `text`.
    pub fn says(text: impl Into<String>) -> Self {
        Self { stdout: text.into(), ..Self::of(OutputStatus::Ok) }
    }

    /// Returns the output of a call that failed with the line `error`.
    pub fn fails(status: OutputStatus, error: impl Into<String>) -> Self {
        Self { error: Some(error.into()), ..Self::of(status) }
    }

    /// An output that says how it ended and nothing else.
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

/// One call of a turn with its fate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallRecord {
    /// Parsed and executed.
    Executed {
        /// The call.
        call: ToolCall,
        /// Its output.
        output: ToolOutput,
    },
    /// Could not be parsed or checked.
    Malformed(MalformedCall),
}

impl CallRecord {
    /// Whether the call itself was valid (its execution may still have failed).
    pub fn is_valid(&self) -> bool {
        matches!(self, CallRecord::Executed { .. })
    }

    /// Returns the program that the call ran; none for a call of another kind or one that never ran.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Executed { call, .. } => call.code(),
            Self::Malformed(_) => None,
        }
    }
}
