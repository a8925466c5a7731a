//! Checks completions for the tests of the formats.

use turnwise_trajectory::ViolationKind;

use super::CallFormat;

/// Checks the calls of a completion: `name {arguments as JSON}`, or the kind of violation.
pub(super) fn check(format: &dyn CallFormat, text: &str, expect: &[Result<&str, ViolationKind>]) {
    let calls = format.parse(text);
    let found: Vec<Result<String, ViolationKind>> = calls
        .iter()
        .map(|call| match call {
            Ok(call) => Ok(format!("{} {}", call.name, serde_json::to_string(&call.arguments).unwrap())),
            Err(call) => Err(call.kind),
        })
        .collect();
    let expect: Vec<Result<String, ViolationKind>> = expect.iter().map(|e| e.map(str::to_string)).collect();
    assert_eq!(found, expect, "{text}\n{calls:?}");
}
