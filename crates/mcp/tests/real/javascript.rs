//! The official server that has everything, of npm.

use serde_json::json;
use turnwise_mcp::McpConfig;
use turnwise_trajectory::OutputStatus::{Error, Ok};

use crate::{calls, free_port, install, listening, on_http, on_stdio, open, skip};

fn answers(config: &McpConfig) {
    let server = open(config);
    let answers = calls(
        &server,
        &[
            ("echo", json!({"message": "hello"})),
            ("get-sum", json!({"a": 3, "b": 4})),
            ("get-sum", json!({"a": "three"})),
            ("get-tiny-image", json!({})),
            ("get-structured-content", json!({"location": "Chicago"})),
        ],
    );
    let statuses: Vec<_> = answers.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [Ok, Ok, Error, Ok, Ok], "{answers:?}");
    let texts: Vec<&str> = answers.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!((texts[0], texts[1]), ("Echo: hello", "The sum of 3 and 4 is 7."));
    assert!(texts[3].contains("[image: image/png, ") && !texts[3].contains("iVBOR"), "{}", texts[3]);
    assert!(texts[4].contains("temperature"), "{}", texts[4]);
}

#[test]
fn everything_is_spoken_to_on_stdio() {
    match install::everything() {
        Result::Ok(program) => answers(&on_stdio(&[program, "stdio".into()])),
        Err(reason) => skip("everything_is_spoken_to_on_stdio", &reason),
    }
}

#[test]
fn everything_is_spoken_to_over_http() {
    match install::everything() {
        Result::Ok(program) => {
            let port = free_port();
            let _server = listening(&[program, "streamableHttp".into()], port);
            answers(&on_http(port));
        }
        Err(reason) => skip("everything_is_spoken_to_over_http", &reason),
    }
}
