//! Keeps the interpreter state of one trajectory from call to call.

use turnwise_trajectory::{OutputStatus, ToolOutput};

use crate::executor::{CodeSession, Executor, ExecutorFault};

/// Holds a session, opened by the first call, and the cells that ran in it.
#[derive(Default)]
pub(super) struct State {
    session: Option<Box<dyn CodeSession>>,
    cells: Vec<String>,
}

impl State {
    /// Runs a cell.
    ///
    /// A fault costs the state, and the retry rebuilds it from the cells before. After a cell that ended its
    /// session the next cell is rejected, and the one after that begins with an empty state.
    pub(super) fn run(&mut self, executor: &dyn Executor, code: &str) -> Result<ToolOutput, ExecutorFault> {
        let output = self.try_run(executor, code).or_else(|_| {
            self.session = None;
            self.try_run(executor, code)
        })?;
        if output.status == OutputStatus::Rejected {
            *self = Self::default();
        } else {
            self.cells.push(code.into());
        }
        Ok(output)
    }

    fn try_run(&mut self, executor: &dyn Executor, code: &str) -> Result<ToolOutput, ExecutorFault> {
        let session = match &mut self.session {
            Some(session) => session,
            empty => {
                let session = empty.insert(executor.session()?);
                for cell in &self.cells {
                    session.run(cell)?;
                }
                session
            }
        };
        session.run(code)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::executor::{ExecutorInfo, PythonConfig, PythonExecutor, Scripted};

    /// Python whose sessions have `faults` faults, each at a second cell.
    struct Faulty {
        python: PythonExecutor,
        faults: AtomicU32,
    }

    struct FaultySession<'a>(Box<dyn CodeSession>, u32, &'a AtomicU32);

    impl Executor for &'static Faulty {
        fn run(&self, code: &str) -> Result<ToolOutput, ExecutorFault> {
            self.python.run(code)
        }

        fn session(&self) -> Result<Box<dyn CodeSession>, ExecutorFault> {
            Ok(Box::new(FaultySession(self.python.session()?, 0, &self.faults)))
        }

        fn describe(&self) -> ExecutorInfo {
            self.python.describe()
        }
    }

    impl CodeSession for FaultySession<'_> {
        fn run(&mut self, code: &str) -> Result<ToolOutput, ExecutorFault> {
            self.1 += 1;
            let left = self.2.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
            if self.1 > 1 && left.is_ok() {
                return Err(ExecutorFault { backend: "faulty", message: "gone".into() });
            }
            self.0.run(code)
        }
    }

    fn python() -> PythonExecutor {
        PythonExecutor::new(PythonConfig { workers: Some(1), ..PythonConfig::default() }).unwrap()
    }

    fn value(state: &mut State, executor: &dyn Executor, code: &str) -> Option<String> {
        state.run(executor, code).unwrap().value
    }

    #[test]
    fn state_lives_on_and_survives_a_fault() {
        // The first call of each session takes one from the count as well.
        let faulty: &'static Faulty = Box::leak(Box::new(Faulty { python: python(), faults: 2.into() }));
        let (mut one, mut other) = (State::default(), State::default());
        assert_eq!(value(&mut one, &faulty, "x = 1"), None);
        assert_eq!(value(&mut one, &faulty, "x += 1; x").as_deref(), Some("2"), "after one fault");
        assert_eq!(value(&mut one, &faulty, "x").as_deref(), Some("2"));
        assert_eq!(value(&mut other, &faulty, "'x' in globals()").as_deref(), Some("False"));
        faulty.faults.store(9, Ordering::Relaxed);
        assert!(one.run(&faulty, "x").is_err(), "a second fault is one");
    }

    #[test]
    fn after_a_killed_cell_a_trajectory_starts_anew() {
        let (python, mut state) = (python(), State::default());
        value(&mut state, &python, "x = 1");
        let killed = state.run(&python, "import os; os._exit(3)").unwrap();
        assert_eq!(killed.status, OutputStatus::Error);
        assert_eq!(state.run(&python, "x").unwrap().status, OutputStatus::Rejected);
        assert_eq!(value(&mut state, &python, "'x' in globals()").as_deref(), Some("False"));
        assert!(State::default().run(&Scripted::new().prints("1", "1"), "1").is_ok());
    }
}
