//! Reads the calls of a turn.

use turnwise_tools::format::Opening;
use turnwise_tools::{CallFormat, ToolSpec};
use turnwise_trajectory::{MalformedCall, ToolCall};

/// Returns the calls in the text of a turn. Without tools on offer, a text that looks like a call is a text.
pub(crate) fn calls(
    format: &dyn CallFormat,
    opening: Opening,
    text: &str,
    tools: &[ToolSpec],
) -> Vec<Result<ToolCall, MalformedCall>> {
    if tools.is_empty() { Vec::new() } else { format.parse_checked_from(opening, text, tools) }
}

#[cfg(test)]
mod tests {
    use turnwise_tools::FormatName;

    use super::*;

    #[test]
    fn a_block_of_code_is_a_call_only_where_a_tool_is_on_offer() {
        let format = FormatName::FencedPython.build();
        let text = "```python\nprint(1)\n```";
        assert_eq!(calls(&*format, Opening::Answer, text, &[]), []);
        assert!(calls(&*format, Opening::Answer, text, &[ToolSpec::python()])[0].is_ok());
    }
}
