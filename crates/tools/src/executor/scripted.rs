//! Answers from a table and runs nothing: an executor for tests.

use std::collections::HashMap;

use turnwise_trajectory::{OutputStatus, ToolOutput};

use super::{CodeSession, Executor, ExecutorFault, ExecutorInfo};

/// Answers known code from a table and all other code with a `NameError`.
#[derive(Debug, Clone, Default)]
pub struct Scripted {
    answers: HashMap<String, Result<ToolOutput, ExecutorFault>>,
}

impl Scripted {
    /// Returns an executor that knows no code.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes `code` print `stdout`.
    #[must_use]
    pub fn prints(self, code: &str, stdout: &str) -> Self {
        self.gives(code, Ok(output(OutputStatus::Ok, stdout, None)))
    }

    /// Makes `code` raise. `error` is the last line of its traceback.
    #[must_use]
    pub fn raises(self, code: &str, error: &str) -> Self {
        self.gives(code, Ok(output(OutputStatus::Error, "", Some(error.into()))))
    }

    /// Makes `code` give exactly this result, a fault included.
    #[must_use]
    pub fn gives(mut self, code: &str, answer: Result<ToolOutput, ExecutorFault>) -> Self {
        self.answers.insert(code.into(), answer);
        self
    }
}

/// Prints the program that it is given: what a tool makes of a call, for tests.
#[derive(Debug, Clone, Copy, Default)]
pub struct Echo;

impl Executor for Echo {
    fn run(&self, code: &str) -> Result<ToolOutput, ExecutorFault> {
        Ok(ToolOutput::says(code))
    }

    fn session(&self) -> Result<Box<dyn CodeSession>, ExecutorFault> {
        Ok(Box::new(*self))
    }

    fn describe(&self) -> ExecutorInfo {
        Scripted::new().describe()
    }
}

impl CodeSession for Echo {
    fn run(&mut self, code: &str) -> Result<ToolOutput, ExecutorFault> {
        Executor::run(self, code)
    }
}

fn output(status: OutputStatus, stdout: &str, error: Option<String>) -> ToolOutput {
    ToolOutput { stdout: stdout.into(), error, ..ToolOutput::of(status) }
}

impl Executor for Scripted {
    fn run(&self, code: &str) -> Result<ToolOutput, ExecutorFault> {
        self.answers.get(code).cloned().unwrap_or_else(|| {
            Ok(output(OutputStatus::Error, "", Some("NameError: this code is not in the script".into())))
        })
    }

    fn session(&self) -> Result<Box<dyn CodeSession>, ExecutorFault> {
        Ok(Box::new(self.clone()))
    }

    fn describe(&self) -> ExecutorInfo {
        ExecutorInfo {
            backend: "scripted".into(),
            python_version: None,
            level: None,
            isolation: vec![],
            missing: vec![],
        }
    }
}

impl CodeSession for Scripted {
    fn run(&mut self, code: &str) -> Result<ToolOutput, ExecutorFault> {
        Executor::run(self, code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_from_the_script() {
        let fault = ExecutorFault { backend: "scripted", message: "gone".into() };
        let executor = Scripted::new()
            .prints("print(1)", "1\n")
            .raises("x", "NameError: x")
            .gives("y", Err(fault.clone()));
        assert_eq!(Executor::run(&executor, "print(1)").unwrap().stdout, "1\n");
        assert_eq!(Executor::run(&executor, "x").unwrap().status, OutputStatus::Error);
        assert_eq!(Executor::run(&executor, "y"), Err(fault));
        assert_eq!(Executor::run(&executor, "?").unwrap().status, OutputStatus::Error);
    }
}
