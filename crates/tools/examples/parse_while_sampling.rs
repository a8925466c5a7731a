//! Feeds a completion to a lexer token by token, as a sampler would, and stops at the first complete call.
//!
//! ```text
//! cargo run -p turnwise-tools --example parse_while_sampling
//! ```

use turnwise_tools::format::TokenSpans;
use turnwise_tools::{FormatName, ToolSpec, check_calls};

fn main() {
    let format = FormatName::Hermes.build();
    println!("{}\n", format.describe(&[ToolSpec::python()]));

    // The closing tag inside the string doesn't count, and no token boundary matters.
    let completion = "Let me compute.\n<tool_call>\n{\"name\": \"python\", \"arguments\": {\"code\": \
                      \"print('</tool_call>', '😀')\"}}\n</tool_call>\nand what it would have gone on with";
    let mut lexer = format.lexer();
    let mut spans = TokenSpans::new();
    for (token, bytes) in completion.as_bytes().chunks(3).enumerate() {
        spans.push(bytes.len());
        let found = lexer.push(bytes);
        if found.is_empty() {
            continue;
        }
        println!("token {token} completes a call; sampling stops here");
        for found in found {
            println!("tokens {:?} hold it", spans.of(&found.span()));
            match check_calls(vec![found.verdict], &[ToolSpec::python()]).remove(0) {
                Ok(call) => println!("valid: {} {:?}", call.name, call.arguments),
                Err(call) => println!("invalid, {:?}: {}", call.kind, call.message),
            }
        }
        return;
    }
}
