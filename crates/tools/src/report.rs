//! Makes the JSON of `turnwise parse`. (`turnwise exec` writes a [`turnwise_trajectory::ToolOutput`] and its
//! times.)

use serde::Serialize;
use serde_json::{Map, Value};
use turnwise_trajectory::{MalformedCall, ToolCall, ViolationKind};

use crate::format::CallFormat;
use crate::spec::ToolSpec;

/// Reports on one completion.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ParseReport {
    /// The calls in the order written, valid or not.
    pub calls: Vec<ReportedCall>,
    /// False if the text ends inside a call.
    pub complete: bool,
}

/// Reports one call: `{"ok":true,"name":…}` or `{"ok":false,"kind":…}`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ReportedCall {
    /// A call that can be executed.
    Valid {
        /// Always true.
        ok: bool,
        /// The tool's name.
        name: String,
        /// The arguments.
        arguments: Map<String, Value>,
        /// Byte offsets of the whole call.
        span: [usize; 2],
    },
    /// A call that can't be executed.
    Invalid {
        /// Always false.
        ok: bool,
        /// The fault.
        kind: ViolationKind,
        /// The fault in one readable line.
        message: String,
        /// Byte offsets of the whole call.
        span: [usize; 2],
    },
}

impl From<Result<ToolCall, MalformedCall>> for ReportedCall {
    fn from(call: Result<ToolCall, MalformedCall>) -> Self {
        match call {
            Ok(ToolCall { name, arguments, span }) => {
                Self::Valid { ok: true, name, arguments, span: [span.start, span.end] }
            }
            Err(MalformedCall { kind, message, span }) => {
                Self::Invalid { ok: false, kind, message, span: [span.start, span.end] }
            }
        }
    }
}

impl ParseReport {
    /// Parses `completion`, and with `tools` checks the calls against them.
    pub fn new(format: &dyn CallFormat, completion: &str, tools: Option<&[ToolSpec]>) -> Self {
        let calls = match tools {
            Some(tools) => format.parse_checked(completion, tools),
            None => format.parse(completion),
        };
        // A call that another call cuts off doesn't end with the text.
        let ends_inside = |call: &Result<_, MalformedCall>| matches!(call, Err(e) if e.kind == ViolationKind::Unterminated && e.span.end == completion.len());
        let complete = !calls.iter().any(ends_inside);
        Self { calls: calls.into_iter().map(ReportedCall::from).collect(), complete }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Hermes;

    #[test]
    fn the_json_is_the_documented_one() {
        let text = "<tool_call>{\"name\":\"python\",\"arguments\":{\"code\":\"1\"}}</tool_call> <tool_call>";
        let report = ParseReport::new(&Hermes, text, Some(&[ToolSpec::python()]));
        assert_eq!(
            serde_json::to_string(&report).unwrap(),
            "{\"calls\":[{\"ok\":true,\"name\":\"python\",\"arguments\":{\"code\":\"1\"},\"span\":[0,65]},\
             {\"ok\":false,\"kind\":\"unterminated\",\"message\":\"the call is never closed with </tool_call>\",\
             \"span\":[66,77]}],\"complete\":false}"
        );
    }
}
