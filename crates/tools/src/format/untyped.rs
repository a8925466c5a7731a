//! Reads and writes values that stand between tags as raw text, without a type.

use serde_json::{Map, Value};
use turnwise_trajectory::{MalformedCall, ToolCall};

use super::json::{json_or_text, spaced};
use super::python_literal::to_json;
use crate::schema;
use crate::spec::{ToolSpec, check_call};

/// Lists the tags of a format. Text that holds one is written as JSON.
pub(super) struct Tags(pub &'static [&'static str]);

impl Tags {
    /// Returns a value as its schema asks: JSON, the Python literal of such a value, or text.
    fn typed(&self, raw: &str, schema: Option<&Value>, root: &Value) -> Value {
        let guessed = json_or_text(raw);
        let Some(wanted) = schema.filter(|schema| !schema::is_open(schema)) else { return guessed };
        let python = to_json(raw.trim()).ok();
        let text = Some(Value::from(self.unquoted(raw)));
        // Text comes after the others: a schema that asks for text alone refuses them.
        let others = [Some(guessed.clone()), python].into_iter().flatten().filter(|value| !value.is_string());
        let mut readings = others.chain(text).chain([guessed.clone()]);
        readings.find(|value| schema::is_of_kind(value, wanted, root)).unwrap_or(guessed)
    }

    /// Gives the arguments of a call the types of its tool, and checks the call. `pairs`: its keys and values
    /// as they're written, if it has such.
    pub(super) fn retyped(
        &self,
        call: ToolCall,
        pairs: Option<Vec<(&str, &str)>>,
        tools: &[ToolSpec],
    ) -> Result<ToolCall, MalformedCall> {
        let tool = tools.iter().find(|tool| tool.name == call.name);
        let (Some(tool), Some(pairs)) = (tool, pairs) else { return check_call(call, tools) };
        let property = |key: &str| tool.parameters.get("properties")?.get(key);
        let typed =
            |(key, raw): (&str, &str)| (key.to_string(), self.typed(raw, property(key), &tool.parameters));
        let arguments: Map<String, Value> = pairs.into_iter().map(typed).collect();
        check_call(ToolCall { arguments, ..call }, tools)
    }

    /// Returns a value as it stands between the tags. Text that would be read as another value is quoted, and
    /// tags are escaped.
    pub(super) fn written(&self, value: &Value) -> String {
        match value {
            Value::String(text) if !is_json(text) && !self.are_in(text) => text.clone(),
            value => self.escaped(spaced(value)),
        }
    }

    /// Returns JSON with its tags escaped.
    pub(super) fn escaped(&self, json: String) -> String {
        if self.are_in(&json) { json.replace('<', "\\u003c") } else { json }
    }

    /// Returns the text that [`Tags::written`] quoted, and other text unchanged.
    fn unquoted(&self, raw: &str) -> String {
        match serde_json::from_str(raw) {
            Ok(Value::String(text)) if is_json(&text) || self.are_in(&text) && !self.are_in(raw) => text,
            _ => raw.into(),
        }
    }

    fn are_in(&self, text: &str) -> bool {
        self.0.iter().any(|tag| text.contains(tag))
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok()
}
