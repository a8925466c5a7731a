//! Writes the result of a call as the model reads it.

use serde::Deserialize;
use serde_json::Value;
use turnwise_tools::bounded;
use turnwise_trajectory::{OutputStatus, ToolOutput};

/// The result of `tools/call`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CallResult {
    #[serde(default)]
    content: Vec<Part>,
    #[serde(default)]
    is_error: Option<bool>,
    #[serde(default)]
    structured_content: Option<Value>,
}

/// A part of a result.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part {
    Text {
        text: String,
    },
    #[serde(rename_all = "camelCase")]
    Image {
        data: String,
        mime_type: String,
    },
    #[serde(rename_all = "camelCase")]
    Audio {
        data: String,
        mime_type: String,
    },
    ResourceLink {
        uri: String,
    },
    Resource {
        resource: Resource,
    },
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
struct Resource {
    uri: String,
    text: Option<String>,
    blob: Option<String>,
}

impl Part {
    fn text(self) -> String {
        match self {
            Self::Text { text } | Self::Resource { resource: Resource { text: Some(text), .. } } => text,
            Self::Image { data, mime_type } => format!("[image: {mime_type}, {} bytes]", decoded(&data)),
            Self::Audio { data, mime_type } => format!("[audio: {mime_type}, {} bytes]", decoded(&data)),
            Self::ResourceLink { uri } => format!("[resource: {uri}]"),
            Self::Resource { resource: Resource { uri, text: None, blob } } => {
                format!("[resource: {uri}, {} bytes]", decoded(&blob.unwrap_or_default()))
            }
            Self::Other => "[content of another kind]".into(),
        }
    }
}

/// Returns how many bytes a text in base64 stands for.
fn decoded(base64: &str) -> usize {
    base64.trim_end_matches('=').len() * 3 / 4
}

/// Returns the output of a call, at most `bytes` long.
///
/// Text parts of `result` have line ends between them, and other parts are named. A result without parts
/// shows its structured content.
///
/// # Errors
/// If it is no result of a call.
pub fn output(result: &Value, bytes: usize) -> Result<ToolOutput, String> {
    let result: CallResult =
        turnwise_json::of_value(result).map_err(|what| format!("a result that makes no sense: {what}"))?;
    let structured = result.structured_content.filter(|_| result.content.is_empty());
    let parts = result.content.into_iter().map(Part::text).chain(structured.map(|value| value.to_string()));
    let text = parts.collect::<Vec<_>>().join("\n");
    let status = if result.is_error == Some(true) { OutputStatus::Error } else { OutputStatus::Ok };
    Ok(said(status, &text, bytes))
}

/// Returns an output of this status that says `text`, of which at most `bytes` are kept.
pub(crate) fn said(status: OutputStatus, text: &str, bytes: usize) -> ToolOutput {
    let (stdout, truncated) = bounded(text, bytes);
    ToolOutput { stdout, truncated, ..ToolOutput::of(status) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use OutputStatus::{Error, Ok};
    use serde_json::json;
    use turnwise_tools::observation;

    #[test]
    fn text_is_shown_and_everything_else_is_named() {
        let check = |result: Value, status: OutputStatus, expect: &str| {
            let output = output(&result, 1000).unwrap_or_else(|error| panic!("{result}: {error}"));
            assert_eq!((output.status, observation(&output).as_str()), (status, expect), "{result}");
        };
        let text = |text: &str| json!({"type": "text", "text": text});
        check(json!({"content": [text("a"), text("b\n")]}), Ok, "a\nb");
        check(json!({"content": [text("no")], "isError": true}), Error, "no");
        check(json!({"content": [], "isError": true}), Error, "[error]");
        check(json!({"content": []}), Ok, "[no output]");
        check(json!({}), Ok, "[no output]");
        check(json!({"content": [text("4")], "structuredContent": {"result": 4}, "isError": null}), Ok, "4");
        check(json!({"structuredContent": {"result": 4}}), Ok, "{\"result\":4}");
        let image = json!({"type": "image", "data": "AAAA", "mimeType": "image/png"});
        let audio = json!({"type": "audio", "data": "AAA=", "mimeType": "audio/wav", "annotations": {}});
        let link = json!({"type": "resource_link", "uri": "file:///a", "name": "a"});
        let held = json!({"type": "resource", "resource": {"uri": "u", "text": "inside"}});
        let blob = json!({"type": "resource", "resource": {"uri": "u", "blob": "AAAAAAAA"}});
        check(
            json!({"content": [image, audio]}),
            Ok,
            "[image: image/png, 3 bytes]\n[audio: audio/wav, 2 bytes]",
        );
        check(
            json!({"content": [link, held, blob]}),
            Ok,
            "[resource: file:///a]\ninside\n[resource: u, 6 bytes]",
        );
        check(json!({"content": [{"type": "hologram", "x": 1}]}), Ok, "[content of another kind]");
    }

    #[test]
    fn what_is_no_result_is_said() {
        for result in [json!(3), json!(null), json!({"content": 3}), json!({"content": [{"type": "text"}]})] {
            let error = output(&result, 10).unwrap_err();
            assert!(error.starts_with("a result that makes no sense: "), "{error}");
        }
    }

    #[test]
    fn long_text_is_cut_as_pythons_is() {
        let long = json!({"content": [{"type": "text", "text": "é".repeat(5000)}]});
        let output = output(&long, 100).unwrap();
        assert!(output.truncated && output.stdout.contains("[... ") && output.stdout.len() < 150);
    }
}
