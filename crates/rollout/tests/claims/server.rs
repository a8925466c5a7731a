//! Properties of every answer of a server. The fuzz target and the replay of its corpus check the same.

// Only the crate itself reads answers, so the test includes its source.
#[allow(dead_code)]
#[path = "../../src/remote/answer.rs"]
mod answer;
#[path = "../../src/remote/call_text.rs"]
mod call_text;

use turnwise_http::Reply;
use turnwise_tools::FormatName;

/// Reads the bytes as the body of an answer. Fails if that panics, or if a turn exceeds its limit.
pub(crate) fn hold(bytes: &[u8]) {
    for status in [200, 429] {
        let text = String::from_utf8_lossy(bytes).into_owned();
        match (Reply { status, retry_after: None, text }).read() {
            Ok(Ok(found)) => {
                for format in FormatName::ALL {
                    if let Ok(said) = answer::read(&found, &*format.build()) {
                        assert!(said.text.len() <= 1 << 20, "{} bytes", said.text.len());
                    }
                }
            }
            Ok(Err(refusal)) => assert!(!refusal.is_too_long() || refusal.failure().reason().len() < 4096),
            Err(failure) => assert!(!failure.reason().contains('\n'), "{}", failure.reason()),
        }
    }
}
