//! Runs code of the model in the sandbox: the tool `python`.

use std::sync::{LazyLock, Mutex, PoisonError};

use turnwise_trajectory::{ToolCall, ToolOutput};

use super::state::State;
use super::{Arguments, CallContext, Tool, text};
use crate::executor::Executor;
use crate::fault::Fault;
use crate::spec::ToolSpec;

static SPEC: LazyLock<ToolSpec> = LazyLock::new(ToolSpec::python);

/// Holds the parts that the Python tools of all trajectories share.
#[derive(Clone, Copy)]
pub struct Sandbox<'a> {
    /// Runs programs. It may [remember](crate::executor::Remembering) the outputs of equal ones.
    pub executor: &'a dyn Executor,
    /// Whether the calls of a trajectory share one interpreter state, as in a notebook.
    pub keep_state: bool,
}

type Program<'a> = Box<dyn Fn(&str) -> String + Send + Sync + 'a>;

/// Runs the argument `code`, or the program that an environment makes of it.
pub struct PythonTool<'a> {
    executor: &'a dyn Executor,
    program: Option<Program<'a>>,
    state: Option<Mutex<State>>,
}

impl<'a> PythonTool<'a> {
    /// Returns a tool that runs code as it is written.
    pub fn new(sandbox: Sandbox<'a>) -> Self {
        let Sandbox { executor, keep_state } = sandbox;
        Self { executor, program: None, state: keep_state.then(Mutex::default) }
    }

    /// Returns a tool that runs the program that `program` makes of the code.
    pub fn running(sandbox: Sandbox<'a>, program: impl Fn(&str) -> String + Send + Sync + 'a) -> Self {
        Self { program: Some(Box::new(program)), ..Self::new(sandbox) }
    }
}

impl Tool for PythonTool<'_> {
    fn spec(&self) -> &ToolSpec {
        &SPEC
    }

    fn call(&self, arguments: &Arguments, _: CallContext) -> Result<ToolOutput, Fault> {
        let code = text(arguments, ToolCall::CODE);
        let wrapped = self.program.as_ref().map(|program| program(code));
        let program = wrapped.as_deref().unwrap_or(code);
        let output = match &self.state {
            Some(state) => {
                // Calls run one after the other. After a panic in an earlier one, the next can replace the
                // state.
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                state.run(self.executor, program)
            }
            None => self.executor.run(program),
        };
        Ok(output?)
    }

    fn in_order(&self) -> bool {
        self.state.is_some()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::executor::{ExecutorFault, Scripted};

    fn call(tool: &dyn Tool, code: &str) -> Result<ToolOutput, Fault> {
        tool.call(json!({"code": code}).as_object().unwrap(), CallContext::default())
    }

    #[test]
    fn the_program_is_the_code_or_what_the_environment_makes_of_it() {
        let fault = ExecutorFault { backend: "scripted", message: "gone".into() };
        let executor = Scripted::new().prints("1", "bare").prints("print(1)", "made").gives("2", Err(fault));
        for keep_state in [false, true] {
            let sandbox = Sandbox { executor: &executor, keep_state };
            let bare = PythonTool::new(sandbox);
            let made = PythonTool::running(sandbox, |code| format!("print({code})"));
            assert_eq!(call(&bare, "1").unwrap().stdout, "bare");
            assert_eq!(call(&made, "1").unwrap().stdout, "made");
            assert_eq!(call(&bare, "2").unwrap_err().to_string(), "executor scripted: gone");
            assert_eq!(bare.in_order(), keep_state);
        }
    }
}
