//! Makes a tool of a function of this process.

use turnwise_trajectory::ToolOutput;

use super::{Arguments, CallContext, Tool};
use crate::fault::Fault;
use crate::spec::ToolSpec;

type Function<'a> = Box<dyn Fn(&Arguments) -> ToolOutput + Send + Sync + 'a>;

/// Answers calls by a function that can't have faults.
pub struct FunctionTool<'a> {
    spec: &'a ToolSpec,
    function: Function<'a>,
}

impl<'a> FunctionTool<'a> {
    /// Returns the tool `spec` whose outputs `function` makes of the arguments.
    pub fn new(spec: &'a ToolSpec, function: impl Fn(&Arguments) -> ToolOutput + Send + Sync + 'a) -> Self {
        Self { spec, function: Box::new(function) }
    }
}

impl Tool for FunctionTool<'_> {
    fn spec(&self) -> &ToolSpec {
        self.spec
    }

    fn call(&self, arguments: &Arguments, _: CallContext) -> Result<ToolOutput, Fault> {
        Ok((self.function)(arguments))
    }
}
