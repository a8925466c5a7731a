//! Speaks with a server in a session: how it begins, and what can be asked of it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use turnwise_envs::outside::stderr::escaped;
use turnwise_tools::ToolSpec;

use crate::message::Refusal;

/// Version of the protocol that sessions ask for.
const NEWEST: &str = "2025-11-25";
/// Versions that a server may answer with.
const VERSIONS: [&str; 4] = [NEWEST, "2025-06-18", "2025-03-26", "2024-11-05"];
/// Tools of one server at most.
const MAX_TOOLS: usize = 1000;
/// Bytes of one message of a server at most.
pub(crate) const MAX_MESSAGE: u64 = 16 << 20;

/// Says why a request has no result.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The server answers with an error, and is well.
    Refused(Refusal),
    /// The server has forgotten the session.
    Forgotten,
    /// No more answers are to be had.
    Broken(String),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(Refusal { code, message }) => write!(f, "{} (error {code})", short(message)),
            Self::Forgotten => f.write_str("the server has forgotten the session"),
            Self::Broken(why) => f.write_str(why),
        }
    }
}

/// Connects to one session of a server. Several threads may ask at a time.
pub(crate) trait Link: Send + Sync {
    /// Asks for a result, and waits for it no longer than `time`.
    fn ask(&self, method: &str, params: &Value, time: Duration) -> Result<Value, Trouble>;

    /// Tells something that has no answer.
    fn tell(&self, method: &str, time: Duration) -> Result<(), Trouble>;

    /// Notes the version that both sides speak.
    fn agree(&self, version: &str);

    /// Ends the session at once.
    fn end(&self, reason: &str);
}

/// Begins the session: both sides tell their versions.
///
/// # Errors
/// If the server doesn't answer, or speaks another version.
pub(crate) fn begin(link: &dyn Link, time: Duration) -> Result<(), Trouble> {
    let client = json!({"name": "turnwise", "version": env!("CARGO_PKG_VERSION")});
    let params = json!({"protocolVersion": NEWEST, "capabilities": {}, "clientInfo": client});
    let answer = link.ask("initialize", &params, time).map_err(|trouble| match trouble {
        Trouble::Broken(why) => Trouble::Broken(why),
        other => Trouble::Broken(format!("`initialize` is refused: {other}\n  hint: {}", spoken())),
    })?;
    let version = answer["protocolVersion"].as_str().unwrap_or_default();
    if !VERSIONS.contains(&version) {
        let told =
            if version.is_empty() { "no version of MCP".into() } else { format!("MCP {}", short(version)) };
        return Err(Trouble::Broken(format!("the server speaks {told}\n  hint: {}", spoken())));
    }
    link.agree(version);
    link.tell("notifications/initialized", time)
}

fn spoken() -> String {
    format!("turnwise speaks MCP {}", VERSIONS.join(", "))
}

/// Returns the tools of a server.
///
/// # Errors
/// If the server doesn't tell them, or one of them is no tool.
pub(crate) fn list(link: &dyn Link, time: Duration) -> Result<Vec<ToolSpec>, String> {
    let (mut tools, mut cursor, mut pages, start) = (Vec::new(), Value::Null, 0, Instant::now());
    loop {
        let params = if cursor.is_null() { json!({}) } else { json!({"cursor": cursor}) };
        let left = time.saturating_sub(start.elapsed());
        let page = link.ask("tools/list", &params, left);
        let mut page = page.map_err(|trouble| format!("`tools/list`: {trouble}"))?;
        let listed = page["tools"].as_array().ok_or("`tools/list`: the answer has no list of tools")?;
        for tool in listed {
            tools.push(spec(tool)?);
        }
        pages += 1;
        if tools.len() > MAX_TOOLS {
            return Err(format!("`tools/list`: more than {MAX_TOOLS} tools"));
        }
        cursor = page["nextCursor"].take();
        // Some servers write an empty text at the end.
        if cursor.is_null() || cursor == "" {
            return Ok(tools);
        }
        if pages > MAX_TOOLS {
            return Err(format!("`tools/list`: more than {MAX_TOOLS} pages"));
        }
    }
}

/// Returns a tool as the model is told about it.
fn spec(tool: &Value) -> Result<ToolSpec, String> {
    let bare = json!({
        "name": tool["name"],
        "description": tool["description"],
        "parameters": tool["inputSchema"],
    });
    turnwise_json::of_value(&bare).map_err(|what| {
        let name = tool["name"].as_str().unwrap_or_default();
        format!("`tools/list`: the tool {:?} can't be offered: {}", short(name), escaped(&what))
    })
}

/// Returns the start of a server's words, on one line.
pub(crate) fn short(text: &str) -> String {
    escaped(&turnwise_http::short(text))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Answers in order, whatever is asked.
    struct Script(Mutex<Vec<Value>>);

    impl Link for Script {
        fn ask(&self, _: &str, _: &Value, _: Duration) -> Result<Value, Trouble> {
            let mut answers = self.0.lock().unwrap();
            if answers.is_empty() { Err(Trouble::Forgotten) } else { Ok(answers.remove(0)) }
        }

        fn tell(&self, _: &str, _: Duration) -> Result<(), Trouble> {
            Ok(())
        }

        fn agree(&self, _: &str) {}

        fn end(&self, _: &str) {}
    }

    fn script(answers: &[Value]) -> Script {
        Script(Mutex::new(answers.to_vec()))
    }

    #[test]
    fn a_server_of_another_version_is_refused() {
        let begins = |version: Value| {
            let answer = json!({"protocolVersion": version});
            begin(&script(&[answer]), Duration::from_secs(1)).map_err(|trouble| trouble.to_string())
        };
        for version in VERSIONS {
            assert_eq!(begins(version.into()), Ok(()));
        }
        let hint = "\n  hint: turnwise speaks MCP 2025-11-25, 2025-06-18, 2025-03-26, 2024-11-05";
        for (version, told) in [(json!("1999-01-01"), "MCP 1999-01-01"), (Value::Null, "no version of MCP")] {
            assert_eq!(begins(version), Err(format!("the server speaks {told}{hint}")));
        }
        let refused = begin(&script(&[]), Duration::from_secs(1)).unwrap_err().to_string();
        assert_eq!(refused, format!("`initialize` is refused: the server has forgotten the session{hint}"));
    }

    #[test]
    fn tools_come_in_pages_and_are_checked() {
        let tool = |name: &str| json!({"name": name, "inputSchema": {"type": "object"}, "title": "t"});
        let lists = |pages: &[Value]| list(&script(pages), Duration::from_secs(1));
        let pages = [json!({"tools": [tool("a")], "nextCursor": "2"}), json!({"tools": [tool("b")]})];
        let names: Vec<String> = lists(&pages).unwrap().into_iter().map(|tool| tool.name).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(lists(&[json!({"tools": []})]), Ok(vec![]));
        for (page, expect) in [
            (json!({}), "the answer has no list of tools"),
            (json!({"tools": [3]}), "the tool \"\" can't be offered"),
            (json!({"tools": [{"name": ""}]}), "every tool has a name"),
            (json!({"tools": [{"name": "f", "inputSchema": []}]}), "parameters: array, not a JSON schema"),
            (
                json!({"tools": [{"name": "f", "inputSchema": {"properties": {"x": {"type": "strng"}}}}]}),
                "parameters.properties.x.type: \"strng\" is no type of JSON schema (did you mean",
            ),
        ] {
            let error = lists(&[page]).unwrap_err();
            assert!(error.starts_with("`tools/list`: ") && error.contains(expect), "{error}");
        }
        let endless: Vec<Value> = (0..2000).map(|n| json!({"tools": [tool("a")], "nextCursor": n})).collect();
        assert_eq!(lists(&endless).unwrap_err(), "`tools/list`: more than 1000 tools");
        let empty: Vec<Value> = (0..2000).map(|n| json!({"tools": [], "nextCursor": n})).collect();
        assert_eq!(lists(&empty).unwrap_err(), "`tools/list`: more than 1000 pages");
        let ended = [json!({"tools": [tool("a")], "nextCursor": ""})];
        assert_eq!(lists(&ended).unwrap().len(), 1);
    }
}
