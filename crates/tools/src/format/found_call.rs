//! Holds a call as it was found in a text.

use std::ops::Range;

use turnwise_trajectory::{MalformedCall, ToolCall, ViolationKind};

/// Holds a call with its strict verdict, and the call that a lenient reader would have understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The call, or its fault.
    pub verdict: Result<ToolCall, MalformedCall>,
    /// For a malformed call, the call that was evidently meant, if any.
    pub recovered: Option<ToolCall>,
}

impl Found {
    /// Returns the byte range of the whole call.
    pub fn span(&self) -> Range<usize> {
        match &self.verdict {
            Ok(call) => call.span.clone(),
            Err(call) => call.span.clone(),
        }
    }
}

/// Returns a malformed call without a recovery.
pub(super) fn malformed(kind: ViolationKind, message: impl Into<String>, span: Range<usize>) -> Found {
    Found { verdict: Err(MalformedCall { kind, message: message.into(), span }), recovered: None }
}
