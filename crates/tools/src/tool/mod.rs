//! Answers calls: one trait, and a file per kind of tool.
//!
//! ```text
//! text of a turn ─format─▶ calls ─check_calls─▶ checked calls ─Tool::call─▶ outputs ─observation─▶ text
//! ```
//! A tool serves one trajectory. It owns its state between calls, its memory of equal calls and the program
//! that it makes of its arguments. A tool that needs none of these borrows what all trajectories share.

mod function;
mod python;
mod state;

use serde_json::{Map, Value};
use turnwise_trajectory::ToolOutput;

pub use function::FunctionTool;
pub use python::{PythonTool, Sandbox};

use crate::fault::Fault;
use crate::spec::ToolSpec;

/// Maps the names of a call's arguments to their values.
pub type Arguments = Map<String, Value>;

/// Returns a text argument, or an empty text. A checked call has all required arguments.
pub fn text<'a>(arguments: &'a Arguments, name: &str) -> &'a str {
    arguments.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Names the place of a call in its trajectory. Equal places of equal trajectories get equal outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallContext {
    /// Index of the turn, from 0.
    pub turn: usize,
    /// Index of the call in its turn, from 0.
    pub position: usize,
}

/// Answers calls of one trajectory.
///
/// Calls arrive from several threads, and those of one turn may run at the same time.
pub trait Tool: Send + Sync {
    /// Returns the name and the schema that the model is told.
    fn spec(&self) -> &ToolSpec;

    /// Answers a call whose arguments match the schema.
    ///
    /// A call that fails because of its arguments is an output with a status other than
    /// [`Ok`](turnwise_trajectory::OutputStatus::Ok), and the model reads it.
    ///
    /// # Errors
    /// If the tool itself fails: a broken sandbox, a dead server, no answer in time.
    fn call(&self, arguments: &Arguments, context: CallContext) -> Result<ToolOutput, Fault>;

    /// Returns whether the calls of a turn must run one after the other, in the order written.
    fn in_order(&self) -> bool {
        false
    }
}
