//! Defines the messages over the WebSocket of an OpenEnv session: a JSON object a message, questions and
//! answers in turn.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use turnwise_tools::ToolSpec;

use crate::outside::stderr::escaped;

/// Characters of a server's message that are kept.
const MAX_WORDS: usize = 2000;

/// Holds a question.
#[derive(Debug, Serialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub(super) enum Ask {
    /// Begins the episode of a seed.
    Reset { seed: u64 },
    /// Takes an action.
    Step(Value),
    /// Asks for the state. It changes nothing, and needs no episode.
    State,
    /// Ends the session. It has no answer.
    Close,
}

impl Ask {
    /// Returns the action that asks for the tools.
    pub(super) fn list_tools() -> Self {
        Self::Step(json!({"type": "list_tools"}))
    }

    /// Returns the action that calls a tool.
    pub(super) fn call_tool(name: &str, arguments: &Map<String, Value>) -> Self {
        Self::Step(json!({"type": "call_tool", "tool_name": name, "arguments": arguments}))
    }

    /// Returns the action of an environment whose action is a text.
    pub(super) fn text(field: &str, text: &str) -> Self {
        Self::Step(json!({field: text}))
    }

    pub(super) fn line(&self) -> String {
        serde_json::to_string(self).expect("a question has string keys")
    }
}

/// Holds an answer.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub(super) enum Answer {
    /// The response to a reset or a step.
    Observation(Observed),
    /// The state.
    State(serde::de::IgnoredAny),
    /// The failure in place of another answer.
    Error(Refusal),
}

/// Holds the response to a reset or a step.
#[derive(Debug, Deserialize)]
pub(super) struct Observed {
    pub(super) observation: Map<String, Value>,
    #[serde(default)]
    pub(super) reward: Reward,
    #[serde(default)]
    done: Option<bool>,
}

/// Holds the reward of a step: a number, a truth value, or none.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(untagged, expecting = "a reward is a number, true, false or null")]
pub(super) enum Reward {
    Number(f64),
    Truth(bool),
    #[default]
    None,
}

impl Reward {
    /// Returns the number, if there is one.
    pub(super) fn number(self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(number),
            Self::Truth(truth) => Some(f64::from(u8::from(truth))),
            Self::None => None,
        }
    }
}

impl Observed {
    pub(super) fn done(&self) -> bool {
        self.done.unwrap_or_default()
    }

    /// Returns the text of an observation: its `prompt`, `message` or `text`, else its JSON.
    pub(super) fn text(&self) -> String {
        let said = |name| self.observation.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        if let Some(text) = ["prompt", "message", "text"].into_iter().find_map(said) {
            return text.into();
        }
        let mut shown = self.observation.clone();
        // Every observation has it, most of them an empty one.
        if shown.get("metadata").and_then(Value::as_object).is_some_and(Map::is_empty) {
            shown.remove("metadata");
        }
        Value::Object(shown).to_string()
    }

    /// Returns the tools that it lists.
    ///
    /// # Errors
    /// If it lists none, or an entry isn't a tool.
    pub(super) fn tools(&self) -> Result<Vec<ToolSpec>, String> {
        let listed = self.observation.get("tools").and_then(Value::as_array);
        let listed = listed.ok_or("the answer has no list of tools")?;
        if listed.is_empty() {
            let why = self.observation.get("metadata").and_then(|metadata| metadata["error"].as_str());
            return Err(why.map_or("the environment offers no tools".into(), words));
        }
        listed.iter().map(tool).collect()
    }
}

/// Returns a tool as the model is told about it.
fn tool(tool: &Value) -> Result<ToolSpec, String> {
    let bare = json!({
        "name": tool["name"],
        "description": tool["description"],
        "parameters": tool["input_schema"],
    });
    turnwise_json::of_value(&bare).map_err(|what| {
        let name = words(tool["name"].as_str().unwrap_or_default());
        format!("the tool {name:?} can't be offered: {}", words(&what))
    })
}

/// Holds the failure that stands in place of another answer.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Refusal {
    #[serde(default)]
    message: String,
    code: String,
    #[serde(default)]
    errors: Vec<Value>,
}

impl Refusal {
    /// Returns whether the server has no room for the session.
    pub(super) fn is_full(&self) -> bool {
        self.code == "CAPACITY_REACHED"
    }

    /// Returns whether it refuses this question. If that is an action, the policy has made the mistake.
    ///
    /// Servers also say `VALIDATION_ERROR` when the environment's observation isn't valid. Their errors name
    /// the key and the value that were refused, which are then no part of the question.
    pub(super) fn is_of(&self, ask: &Ask) -> bool {
        if self.code != "VALIDATION_ERROR" {
            return false;
        }
        let Ask::Step(sent) = ask else { return true };
        let is_key = |part: &Value| part.as_str().is_some_and(|part| sent.get(part).is_some());
        let of_it = |error: &Value| {
            let (loc, input) = (error["loc"].as_array(), error.get("input"));
            match loc.filter(|loc| !loc.is_empty()) {
                // A check of the whole action: it may hold more than was sent.
                None => input.and_then(Value::as_object).is_none_or(|input| covers(input, sent)),
                Some(_) if error["type"] == "missing" && input == Some(sent) => true,
                // A check may change a text before it refuses it. An observation is seldom wrong by a text.
                Some(loc) => {
                    loc.iter().any(is_key)
                        && input.is_none_or(|input| input.is_string() || holds(sent, input))
                }
            }
        };
        self.errors.is_empty() || self.errors.iter().any(of_it)
    }

    /// Returns the server's message for a reader who doesn't know the codes.
    pub(super) fn message(&self) -> String {
        let said = |error: &Value| {
            let message = error["msg"].as_str()?;
            let place: Vec<String> = error["loc"].as_array().into_iter().flatten().map(step).collect();
            Some(if place.is_empty() { message.into() } else { format!("{}: {message}", place.join(".")) })
        };
        let errors: Vec<String> = self.errors.iter().filter_map(said).collect();
        let all = [self.message.clone(), errors.join("; ")];
        let message = all.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(": ");
        message.chars().take(MAX_WORDS).collect()
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", words(&self.code), words(&self.message()))
    }
}

/// Returns a step of the place of an error: a key or an index.
fn step(part: &Value) -> String {
    part.as_str().map_or_else(|| part.to_string(), String::from)
}

/// Returns whether an object has all keys of what was sent.
fn covers(object: &Map<String, Value>, sent: &Value) -> bool {
    sent.as_object().is_some_and(|sent| sent.keys().all(|key| object.contains_key(key)))
}

/// Returns whether a value is a part of another one, or the whole.
fn holds(whole: &Value, part: &Value) -> bool {
    whole == part
        || match whole {
            Value::Array(items) => items.iter().any(|item| holds(item, part)),
            Value::Object(fields) => fields.values().any(|field| holds(field, part)),
            _ => false,
        }
}

/// Returns the message of a server on one line.
pub(super) fn words(text: &str) -> String {
    let kept: String = text.trim().chars().take(MAX_WORDS).collect();
    escaped(&kept.lines().map(str::trim_end).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(data: &Value) -> Result<Answer, serde_json::Error> {
        serde_json::from_str(&json!({"type": "observation", "data": data}).to_string())
    }

    fn observed(data: &Value) -> Observed {
        match answer(data) {
            Ok(Answer::Observation(observed)) => observed,
            other => panic!("{data}: {other:?}"),
        }
    }

    #[test]
    fn what_is_observed_is_a_text_or_the_json() {
        let text = |observation: Value| observed(&json!({"observation": observation})).text();
        assert_eq!(text(json!({"text": "c", "message": "b", "prompt": "a"})), "a");
        assert_eq!(text(json!({"text": "c", "message": "b", "prompt": null})), "b");
        assert_eq!(text(json!({"text": "c", "message": "", "metadata": {"a": 1}})), "c");
        assert_eq!(text(json!({"board": [1, 2], "metadata": {}})), r#"{"board":[1,2]}"#);
        assert_eq!(text(json!({"metadata": {"said": "x"}})), r#"{"metadata":{"said":"x"}}"#);
        assert_eq!(text(json!({})), "{}");
    }

    #[test]
    fn a_reward_is_a_number_a_truth_value_or_none() {
        let reward = |reward: Value| {
            let observed = observed(&json!({"observation": {}, "reward": reward, "done": true}));
            (observed.reward.number(), observed.done())
        };
        assert_eq!(reward(json!(0.25)), (Some(0.25), true));
        assert_eq!(reward(json!(-1)), (Some(-1.0), true));
        assert_eq!(reward(json!(true)), (Some(1.0), true));
        assert_eq!(reward(Value::Null), (None, true));
        let bare = observed(&json!({"observation": {}, "metadata": {}}));
        assert!(bare.reward.number().is_none() && !bare.done());
        for wrong in [json!("much"), json!([1.0])] {
            assert!(answer(&json!({"observation": {}, "reward": wrong})).is_err(), "{wrong}");
        }
        assert!(answer(&json!({"reward": 1.0})).is_err());
    }

    #[test]
    fn tools_are_those_of_the_list() {
        let tools = |observation: Value| {
            let tools = observed(&json!({"observation": observation})).tools();
            tools.map(|tools| tools.into_iter().map(|tool| tool.name).collect::<Vec<_>>())
        };
        let tool = |name: Value| json!({"name": name, "description": "", "input_schema": {"type": "object"}});
        assert_eq!(tools(json!({"tools": [tool(json!("b")), tool(json!("a"))]})).unwrap(), ["b", "a"]);
        for (observation, expect) in [
            (json!({}), "the answer has no list of tools"),
            (json!({"tools": []}), "the environment offers no tools"),
            (json!({"tools": [], "metadata": {"error": "no\nserver"}}), "no server"),
            (json!({"tools": [tool(json!(3))]}), "the tool \"\" can't be offered"),
            (json!({"tools": [{"name": "a", "input_schema": []}]}), "the tool \"a\" can't be offered"),
        ] {
            let error = tools(observation).unwrap_err();
            assert!(error.starts_with(expect), "{error}");
        }
    }

    #[test]
    fn a_refusal_says_whose_fault_it_is() {
        let text = r#"{"type":"error","data":{"message":"Invalid message","code":"VALIDATION_ERROR",
            "errors":[{"type":"missing","msg":"Field required"}]}}"#;
        let read = |text: &str| match serde_json::from_str(text).unwrap() {
            Answer::Error(refusal) => refusal,
            other => panic!("{other:?}"),
        };
        let refusal = read(text);
        assert!(refusal.is_of(&Ask::State) && !refusal.is_full());
        assert_eq!(refusal.to_string(), "VALIDATION_ERROR: Invalid message: Field required");
        let at = |place: &str, input: Value| {
            let errors = json!([{"loc": [place], "msg": "wrong", "input": input}]);
            let data = json!({"message": "Invalid message", "code": "VALIDATION_ERROR", "errors": errors});
            read(&json!({"type": "error", "data": data}).to_string())
        };
        let said = Ask::text("text", "up");
        assert!(at("text", json!("up")).is_of(&said) && at("text", json!({"text": "up"})).is_of(&said));
        assert!(!at("text", json!(["a board"])).is_of(&said) && !at("level", json!("up")).is_of(&said));
        let of_type = |kind: &str, loc: Value, input: Value| {
            let errors = json!([{"type": kind, "loc": loc, "msg": "wrong", "input": input}]);
            let data = json!({"message": "", "code": "VALIDATION_ERROR", "errors": errors});
            read(&json!({"type": "error", "data": data}).to_string())
        };
        assert!(of_type("missing", json!(["mode"]), json!({"text": "up"})).is_of(&said));
        assert!(of_type("value_error", json!([]), json!({"text": "UP", "metadata": {}})).is_of(&said));
        assert!(!of_type("missing", json!(["board"]), json!({"prompt": "x"})).is_of(&said));
        assert!(!of_type("value_error", json!([]), json!({"prompt": "x"})).is_of(&said));
        assert_eq!(at("level", json!("up")).message(), "Invalid message: level: wrong");
        let called = Ask::call_tool("look", json!({"n": "many"}).as_object().unwrap());
        assert!(at("arguments", json!("many")).is_of(&called) && !at("n", json!("many")).is_of(&called));
        assert!(!at("arguments", json!(["few"])).is_of(&called) && at("text", json!("UP")).is_of(&said));
        assert_eq!(Ask::State.line(), r#"{"type":"state"}"#);
        assert_eq!(Ask::Reset { seed: 3 }.line(), r#"{"type":"reset","data":{"seed":3}}"#);
    }
}
