#![doc = include_str!("../README.md")]
//!
//! # Modules
//! - [`mod@format`]: how a model writes a call. Every format describes the tools, parses, renders calls and
//!   results.
//! - [`tool`]: what answers a call. The model's failures are data ([`turnwise_trajectory::ToolOutput`]), and
//!   only a [`Fault`] is an `Err`.
//! - [`executor`]: what runs the programs of the tool `python`.
//! - [`spec`]: tool schemas, and the one place where a call is checked against them.
//! - [`spec_file`]: files of such schemas.
//! - [`mod@observation`]: the one place where the text that the model sees is made.
//! - [`report`]: the JSON of `turnwise parse`.

pub mod executor;
mod fault;
pub mod format;
pub mod observation;
pub mod report;
mod schema;
pub mod spec;
pub mod spec_file;
pub mod tool;

pub use executor::{
    CodeSession, Executor, ExecutorError, ExecutorFault, ExecutorInfo, ExecutorStats, bounded,
};
pub use fault::{Cause, Fault};
pub use format::{CallFormat, FormatName};
pub use observation::observation;
pub use spec::{ToolSpec, check_calls};
pub use tool::{Arguments, CallContext, FunctionTool, PythonTool, Sandbox, Tool};
