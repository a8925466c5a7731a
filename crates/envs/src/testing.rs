//! Calls tools without a play, for the tests of environments.

use turnwise_tools::executor::Echo;
use turnwise_tools::{CallContext, Executor};
use turnwise_trajectory::{ToolCall, ToolOutput};

use crate::env::Env;
use crate::session::Start;
use crate::tasks::Task;

/// Returns the output of a call in the first trajectory of `task`.
pub(crate) fn called(env: &dyn Env, executor: &dyn Executor, task: &Task, call: &ToolCall) -> ToolOutput {
    let opened = env.session(Start::first(task, executor)).expect("the environment opens a session");
    let tool = opened.tool(&call.name).expect("the call names a tool");
    tool.call(&call.arguments, CallContext::default()).expect("no fault")
}

/// Returns the program that a call of Python runs.
pub(crate) fn program(env: &dyn Env, task: &Task, call: &ToolCall) -> String {
    called(env, &Echo, task, call).stdout
}
