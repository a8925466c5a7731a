//! Makes the text that the model sees after a call. It is the only place that does, so every format shows the
//! same.

use turnwise_trajectory::{MalformedCall, OutputStatus, ToolOutput};

/// The text of a program that ran and printed nothing. Public stacks show a time-out text here, which
/// misleads.
pub const NO_OUTPUT: &str = "[no output]";

/// Returns the text that the model sees of an execution: the output, the last expression's value, then the
/// error line.
///
/// The executor's limit of output bytes bounds it. The rollout cuts by tokens.
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
            // Every other status carries its line. This keeps an output built by hand readable.
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
