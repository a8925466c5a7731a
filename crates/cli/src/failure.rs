//! Failures: their exit status, and the one or two lines that a user sees.

use std::fmt;
use std::io;
use std::process::ExitCode;

use anyhow::Error;
use clap::error::{ContextKind, ContextValue};
use turnwise_mcp::McpError;
use turnwise_ranks::LaunchError;
use turnwise_trainer::TrainError;
use turnwise_trainer::backend::DeviceError;
use turnwise_trainer::config::ConfigError;

use crate::terminal;

/// Reports a wrong use of a command: exit status 2.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Writes the failure to stderr and returns its exit status. A reader that closes our stdout isn't a failure.
pub(crate) fn report(error: &Error) -> u8 {
    if error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe) {
        return 0;
    }
    terminal::conclude(&format!("{}\n", text(error)));
    if is_usage(error) { 2 } else { 1 }
}

/// Writes a command line's error to stderr, or the requested help to stdout. An argument with a wrong value
/// gets one line.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let Some(line) = wrong_value(error) else { error.exit() };
    terminal::conclude(&format!("{line}\n"));
    ExitCode::from(2)
}

/// Returns `--name value: EXPECTED`.
fn wrong_value(error: &clap::Error) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let expected = std::error::Error::source(error)?;
    let name = text(ContextKind::InvalidArg)?.split(' ').next()?;
    Some(format!("{name} {}: {expected}", text(ContextKind::InvalidValue)?))
}

fn is_usage(error: &Error) -> bool {
    // A server that can't be used as the run file says, or a number of steps or ranks that the run can't
    // have.
    let is_config = |error: &TrainError| match error {
        TrainError::Tools(error) => !error.failed,
        error => matches!(error, TrainError::Shorter { .. } | TrainError::Launch(_)),
    };
    error.is::<Usage>()
        || error.is::<ConfigError>()
        || error.is::<DeviceError>()
        || error.is::<LaunchError>()
        || error.downcast_ref().is_some_and(|error: &McpError| !error.failed)
        || error.downcast_ref().is_some_and(is_config)
}

/// Returns one line, and a second one with the hint. Libraries with single-line errors write hints after `;
/// hint: `. A cause that the line above already names isn't repeated.
fn text(error: &Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text.replace("; hint: ", "\n  hint: ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_and_config_are_told_from_work() {
        assert!(is_usage(&Usage("x".into()).into()));
        assert!(!is_usage(&anyhow::anyhow!("x")));
        assert_eq!(text(&anyhow::anyhow!("a: b; hint: c")), "a: b\n  hint: c");
        assert_eq!(text(&anyhow::anyhow!("gone").context("file: gone\n  hint: c")), "file: gone\n  hint: c");
        assert_eq!(text(&anyhow::anyhow!("gone").context("file")), "file: gone");
    }
}
