//! Starts one Python executor at a time, and checks what a program gives.

use std::sync::{Mutex, MutexGuard, PoisonError};

use turnwise_tools::Executor;
use turnwise_tools::executor::{PythonConfig, PythonExecutor};
use turnwise_trajectory::OutputStatus;

pub(crate) fn start() -> PythonExecutor {
    PythonExecutor::new(PythonConfig { cpu_seconds: 0.3, wall_seconds: 2.0, ..PythonConfig::default() })
        .unwrap()
}

/// Some tests count this process's children, so only one at a time may have any.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn check(
    executor: &PythonExecutor,
    code: &str,
    status: OutputStatus,
    stdout: &str,
    value: Option<&str>,
    error: Option<&str>,
) {
    let output = executor.run(code).unwrap();
    let found = (output.status, output.stdout.as_str(), output.value.as_deref(), output.error.as_deref());
    assert_eq!(found, (status, stdout, value, error), "{code}");
}
