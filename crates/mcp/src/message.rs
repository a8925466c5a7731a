//! Reads and writes JSON-RPC messages.

use serde_json::{Map, Value};
use turnwise_json::words;

/// Holds a message of a server.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// The answer to the request of this number.
    Answer(u64, Result<Value, Refusal>),
    /// A request of the server. It gets an answer under its id.
    Request(Value, String),
    /// Something that needs no answer.
    Notice,
}

/// Holds an error that a server gives instead of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its number in JSON-RPC.
    pub code: i64,
    /// The server's words.
    pub message: String,
}

/// JSON-RPC's number for arguments that a method doesn't take.
pub(crate) const INVALID_PARAMS: i64 = -32_602;
/// JSON-RPC's number for a method that isn't there.
const METHOD_NOT_FOUND: i64 = -32_601;

/// Reads a line or an event: one message, or a list of them as in MCP 2025-03-26. Half surrogate pairs,
/// control characters and invalid UTF-8 in a message are repaired: they are in what tools show.
///
/// # Errors
/// Says what is no message. Text that isn't JSON gives none, unless it names its version of JSON-RPC: servers
/// print such things by mistake.
pub fn read(text: &[u8]) -> Result<Option<Vec<Message>>, String> {
    if holds_more_than(MAX_VALUES, text) {
        return Err(format!("a message of more than {MAX_VALUES} values"));
    }
    match parsed(text) {
        Ok(Value::Array(messages)) => messages.into_iter().map(message).collect::<Result<_, _>>().map(Some),
        Ok(object @ Value::Object(_)) => Ok(Some(vec![message(object)?])),
        Err(error) if is_meant(text) => Err(format!("a message that is no JSON: {}", words(&error))),
        Ok(_) | Err(_) => Ok(None),
    }
}

/// Values of a message at most. In memory a small value takes a hundred times the bytes of its text.
const MAX_VALUES: usize = 1 << 18;

/// Returns whether a JSON text holds more than `most` values and keys.
fn holds_more_than(most: usize, text: &[u8]) -> bool {
    let (mut inside, mut escaped, mut values) = (false, false, 0);
    for &byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = inside,
            b'"' => inside = !inside,
            b'[' | b'{' | b',' | b':' if !inside => values += 1,
            _ => {}
        }
    }
    values > most
}

/// Returns whether a text that isn't JSON was to be a message.
fn is_meant(text: &[u8]) -> bool {
    let start = &text[..text.len().min(2000)];
    let start = start.strip_prefix("\u{feff}".as_bytes()).unwrap_or(start);
    start.trim_ascii_start().starts_with(b"{") && String::from_utf8_lossy(start).contains("\"jsonrpc\"")
}

fn parsed(text: &[u8]) -> serde_json::Result<Value> {
    // Text that a program prints by mistake needs no repair.
    match serde_json::from_slice(text) {
        Err(_) if is_meant(text) => turnwise_http::json::read(&String::from_utf8_lossy(text)),
        strict => strict,
    }
}

fn message(value: Value) -> Result<Message, String> {
    let Value::Object(mut keys) = value else { return Err("a message that is no object".into()) };
    let id = keys.remove("id").filter(|id| !id.is_null());
    if let Some(method) = keys.get("method") {
        let method = method.as_str().ok_or("a message whose method is no text")?;
        return Ok(match id {
            Some(id) => Message::Request(id, method.into()),
            None => Message::Notice,
        });
    }
    let outcome = match (keys.remove("result"), keys.remove("error")) {
        (Some(result), None | Some(Value::Null)) => Ok(result),
        (None | Some(Value::Null), Some(error)) => Err(refusal(&error)?),
        _ => return Err("a message with neither a method, a result nor an error".into()),
    };
    let Some(id) = id else {
        // The server couldn't read the request whose error this is.
        let why = outcome.err().map(|refusal| refusal.message).unwrap_or_default();
        return Err(format!("an answer without an id: {why}"));
    };
    let number = id.as_u64().ok_or_else(|| format!("an answer to {id}, which was never asked"))?;
    Ok(Message::Answer(number, outcome))
}

fn refusal(error: &Value) -> Result<Refusal, String> {
    let code = error["code"].as_i64().ok_or("an error without a code")?;
    let message = error["message"].as_str().unwrap_or_default();
    Ok(Refusal { code, message: message.into() })
}

/// Returns a request as a line.
pub(crate) fn request(id: u64, method: &str, params: &Value) -> String {
    envelope(&[("id", id.into()), ("method", method.into()), ("params", params.clone())])
}

/// Returns a notification as a line.
pub(crate) fn notice(method: &str, params: &Value) -> String {
    envelope(&[("method", method.into()), ("params", params.clone())])
}

/// Returns the answer to a request of the server: it may ask whether we are there, and nothing else.
pub(crate) fn reply(id: &Value, method: &str) -> String {
    let outcome = match method {
        "ping" => ("result", Value::Object(Map::new())),
        _ => {
            ("error", serde_json::json!({"code": METHOD_NOT_FOUND, "message": "not offered by this client"}))
        }
    };
    envelope(&[("id", id.clone()), outcome])
}

fn envelope(keys: &[(&str, Value)]) -> String {
    let version = ("jsonrpc", Value::from("2.0"));
    let keys = std::iter::once(&version).chain(keys);
    let message: Map<String, Value> = keys.map(|(key, value)| ((*key).to_string(), value.clone())).collect();
    format!("{}\n", Value::Object(message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn messages_are_read_or_refused() {
        let one = |text: &str| read(text.as_bytes()).map(|messages| messages.unwrap().remove(0));
        let refusal = Refusal { code: -32602, message: "no".into() };
        for (text, expect) in [
            (r#"{"jsonrpc":"2.0","id":3,"result":{}}"#, Message::Answer(3, Ok(json!({})))),
            (r#"{"id":3,"result":null}"#, Message::Answer(3, Ok(Value::Null))),
            (r#"{"id":3,"result":1,"error":null}"#, Message::Answer(3, Ok(json!(1)))),
            (r#"{"id":3,"error":{"code":-32602,"message":"no"}}"#, Message::Answer(3, Err(refusal))),
            (r#"{"id":"a","method":"ping"}"#, Message::Request(json!("a"), "ping".into())),
            (r#"{"method":"notifications/message","params":{}}"#, Message::Notice),
        ] {
            assert_eq!(one(text), Ok(expect), "{text}");
        }
        for (text, expect) in [
            ("{}", "neither a method, a result nor an error"),
            (r#"{"id":3,"result":1,"error":{"code":1}}"#, "neither a method, a result nor an error"),
            (r#"{"id":3,"error":{}}"#, "an error without a code"),
            (r#"{"id":"3","result":1}"#, "an answer to \"3\", which was never asked"),
            (r#"{"id":-3,"result":1}"#, "an answer to -3, which was never asked"),
            (r#"{"error":{"code":-32700,"message":"odd"}}"#, "an answer without an id: odd"),
            (r#"{"method":3}"#, "whose method is no text"),
            ("[3]", "no object"),
        ] {
            let error = one(text).unwrap_err();
            assert!(error.contains(expect), "{text}: {error}");
        }
        for text in ["Server ready", "", "3", "\"text\"", "{\"id\":"] {
            assert_eq!(read(text.as_bytes()), Ok(None), "{text}");
        }
        assert_eq!(read(br#"[{"method":"a"},{"method":"b"}]"#).unwrap().unwrap().len(), 2);
        // A program prints its dictionaries.
        for text in ["{'jsonrpc': 2}", "{\"a\": 1}{", "INFO {\"jsonrpc\": "] {
            assert_eq!(read(text.as_bytes()), Ok(None), "{text}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(read(deep.as_bytes()), Ok(None));
    }

    /// A result of many small parts took a hundred times its bytes.
    #[test]
    fn a_message_has_a_bounded_number_of_values() {
        let parts = |n: usize, part: &str| {
            let parts = vec![part; n].join(",");
            read(format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":[{parts}]}}}}"#).as_bytes())
        };
        let part = r#"{"type":"text","text":"[,{:\",:"}"#;
        let refused = Err("a message of more than 262144 values".into());
        assert!(parts(50_000, part).unwrap().is_some());
        assert_eq!(parts(60_000, part), refused);
        assert_eq!(parts(262_144, "0"), refused);
        let long = format!(r#""{}""#, "[".repeat(1_000_000));
        assert!(parts(1, &long).unwrap().is_some(), "text is one value");
    }

    #[test]
    fn what_tools_show_costs_no_answer() {
        let mut latin1 = br#"{"jsonrpc":"2.0","id":3,"result":"caf?"}"#.to_vec();
        latin1[37] = 0xe9;
        for (text, expect) in [
            (br#"{"jsonrpc":"2.0","id":3,"result":"cut \ud83d"}"#.to_vec(), json!("cut \u{fffd}")),
            (b"{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":\"a\x1b\x00b\"}".to_vec(), json!("a\u{1b}\0b")),
            (br#"{"jsonrpc":"2.0","id":3,"result":{"time":NaN}}"#.to_vec(), json!({"time": null})),
            ("\u{feff}{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":1}".into(), json!(1)),
            (latin1, json!("caf\u{fffd}")),
        ] {
            let shown = String::from_utf8_lossy(&text).into_owned();
            assert_eq!(read(&text), Ok(Some(vec![Message::Answer(3, Ok(expect))])), "{shown}");
        }
        let deep = format!(r#"{{"jsonrpc":"2.0","id":3,"result":{}"#, "[".repeat(100_000));
        for text in [r#"{"jsonrpc":"2.0","id":3,"result":{"cut":"#, &deep] {
            let error = read(text.as_bytes()).unwrap_err();
            assert!(error.starts_with("a message that is no JSON: "), "{error}");
        }
    }

    #[test]
    fn a_server_may_ping_and_nothing_else() {
        let pong: Value = serde_json::from_str(&reply(&json!("a"), "ping")).unwrap();
        assert_eq!(pong, json!({"jsonrpc": "2.0", "id": "a", "result": {}}));
        assert!(reply(&json!(1), "sampling/createMessage").contains("-32601"));
    }
}
