//! The text that the model sees after a call. Made here and nowhere else, so that every format shows the
//! same.

use turnwise_trajectory::{MalformedCall, OutputStatus, ToolOutput};

/// Stands for "ran, and printed nothing". Public stacks show a time-out text here, which teaches nonsense.
pub const NO_OUTPUT: &str = "[no output]";

/// Returns the text that the model sees of an execution: the output, the last expression's value, then the
/// error line.
///
/// Bounded by the executor's limit of output bytes; cutting by tokens is the rollout's business.
pub fn observation(output: &ToolOutput) -> String {
    let mut lines: Vec<&str> = Vec::new();
    let stdout = output.stdout.trim_end_matches('\n');
    if !stdout.is_empty() {
        lines.push(stdout);
    }
    lines.extend(output.value.as_deref());
    lines.extend(output.error.as_deref());
    if lines.is_empty() {
        return match output.status {
            OutputStatus::Ok => NO_OUTPUT.into(),
            // Every other status carries its line; this keeps a hand-made output readable.
            status => format!("[{status:?}]").to_lowercase(),
        };
    }
    lines.join("\n")
}

/// Returns the text that the model sees of a call that could not be run.
pub fn malformed_observation(call: &MalformedCall) -> String {
    format!("Invalid tool call: {}", call.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: OutputStatus, stdout: &str, value: Option<&str>, error: Option<&str>, expect: &str) {
        let output = ToolOutput {
            status,
            stdout: stdout.into(),
            value: value.map(Into::into),
            error: error.map(Into::into),
            truncated: false,
            wall_ms: 1.0,
            cpu_ms: 1.0,
        };
        assert_eq!(observation(&output), expect);
    }

    #[test]
    fn every_outcome_has_its_text() {
        use OutputStatus::{Error, Ok, Timeout};
        check(Ok, "42\n", None, None, "42");
        check(Ok, "", None, None, "[no output]");
        check(Ok, "\n", None, None, "[no output]");
        check(Ok, "", Some("7"), None, "7");
        check(Ok, "a\nb\n", Some("7"), None, "a\nb\n7");
        check(
            Error,
            "",
            None,
            Some("NameError: name 'x' is not defined"),
            "NameError: name 'x' is not defined",
        );
        check(
            Error,
            "1\n",
            None,
            Some("ZeroDivisionError: division by zero"),
            "1\nZeroDivisionError: division by zero",
        );
        check(
            Timeout,
            "",
            None,
            Some("Timed out: more than 2 s of CPU time"),
            "Timed out: more than 2 s of CPU time",
        );
    }
}
