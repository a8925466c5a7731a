//! Extracts the code of a trajectory from its tool calls, in any call format.

use serde_json::Value;
use turnwise_trajectory::{CallRecord, Trajectory};

/// Returns the code of all turns in order, normalised by [`normalised_code`]: the paper's `code_i`
/// (arXiv:2511.14846 §3.4).
///
/// It reads parsed calls, so it doesn't depend on the call format. A call with a text argument `code`
/// contributes that; any other call contributes its name and arguments as JSON. Malformed calls contribute
/// nothing.
pub fn code_of(trajectory: &Trajectory) -> String {
    let calls = trajectory.turns.iter().flat_map(|turn| &turn.calls);
    let pieces: Vec<String> = calls
        .filter_map(|record| match record {
            CallRecord::Executed { call, .. } => Some(call),
            CallRecord::Malformed(_) => None,
        })
        .map(|call| match call.code() {
            Some(code) => normalised_code(code),
            None => format!("{}({})", call.name, Value::Object(call.arguments.clone())),
        })
        .filter(|code| !code.is_empty())
        .collect();
    pieces.join("\n")
}

/// Returns Python code without comments, blank lines and trailing white space. A `#` inside a string stays.
pub fn normalised_code(code: &str) -> String {
    let bare = without_comments(code);
    bare.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

fn without_comments(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(c) = rest.chars().next() {
        let taken = match c {
            '#' => {
                rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
                continue;
            }
            '"' | '\'' => string_len(rest, c),
            _ => c.len_utf8(),
        };
        kept.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    kept
}

/// Returns the length in bytes of the string literal that `text` opens with, closing quotes included. A
/// string of one line that is never closed ends with its line, so that broken code can't swallow the rest.
fn string_len(text: &str, quote: char) -> usize {
    let triple: String = std::iter::repeat_n(quote, 3).collect();
    let long = text.starts_with(&triple);
    let opening = if long { 3 } else { 1 };
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(opening) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if long && text[at..].starts_with(&triple) {
            return at + 3;
        } else if !long && (c == quote || c == '\n') {
            return at + 1;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use turnwise_trajectory::{
        Finish, MalformedCall, OutputStatus, Stop, ToolCall, ToolOutput, Turn, ViolationKind,
    };

    use super::*;

    #[test]
    fn comments_and_blank_lines_go_strings_stay() {
        let check = |code: &str, expect: &str| assert_eq!(normalised_code(code), expect);
        check("x = 1  # one\n\n\n# two\nprint(x)\n", "x = 1\nprint(x)");
        check("print('# not a comment')  # one", "print('# not a comment')");
        check("s = \"it's # here\"", "s = \"it's # here\"");
        check("'''a\n# b\n'''  # c", "'''a\n# b\n'''");
        check("s = 'a\\'# b'", "s = 'a\\'# b'");
        check("s = 'never closed # x\ny = 1 # z", "s = 'never closed # x\ny = 1");
        check("\"\"  # after an empty string", "\"\"");
        check("", "");
        check("'''", "'''");
    }

    #[test]
    fn calls_of_all_turns_in_order_and_malformed_ones_not() {
        let output = || ToolOutput {
            status: OutputStatus::Error,
            stdout: String::new(),
            value: None,
            error: None,
            truncated: false,
            wall_ms: 0.0,
            cpu_ms: 0.0,
        };
        let call = |name: &str, arguments: Value| CallRecord::Executed {
            call: ToolCall {
                name: name.into(),
                arguments: arguments.as_object().expect("an object").clone(),
                span: 0..0,
            },
            output: output(),
        };
        let malformed = CallRecord::Malformed(MalformedCall {
            kind: ViolationKind::InvalidJson,
            message: String::new(),
            span: 0..0,
        });
        let turn = |calls| Turn {
            tokens: vec![],
            logprobs: vec![],
            text: String::new(),
            finish: Finish::EndOfTurn,
            calls,
            observation: vec![],
            ..Turn::default()
        };
        let trajectory = Trajectory {
            task: "t".into(),
            sample: 0,
            prompt: vec![],
            turns: vec![
                turn(vec![call("python", json!({"code": "a = 1 # x"})), malformed]),
                turn(vec![call("python", json!({"code": "\n"})), call("search", json!({"query": "q"}))]),
            ],
            stop: Stop::Answer,
        };
        assert_eq!(code_of(&trajectory), "a = 1\nsearch({\"query\":\"q\"})");
    }
}
