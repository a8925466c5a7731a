//! Reads the form of an environment's actions off their schema.

use serde_json::Value;

use super::protocol::words;

/// Names the form of an environment's actions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    /// Calls of its tools.
    Calls,
    /// A text in the field of this name.
    Text(String),
}

impl Form {
    /// Reads the form off the JSON schema of an action.
    ///
    /// # Errors
    /// If the action has neither a call nor exactly one text, or needs more than a text.
    pub(super) fn read(schema: &Value) -> Result<Self, String> {
        let empty = serde_json::Map::new();
        let fields = schema["properties"].as_object().unwrap_or(&empty);
        // Every action has `metadata`. The base class of all actions takes calls.
        let own: Vec<(&String, &Value)> = fields.iter().filter(|(name, _)| *name != "metadata").collect();
        let takes_calls = fields.contains_key("tool_name") && fields.contains_key("arguments");
        if takes_calls || (own.is_empty() && schema["title"] == "Action") {
            return Ok(Self::Calls);
        }
        let (free, chosen): (Vec<_>, Vec<_>) = own
            .iter()
            .filter(|(_, field)| is_text(field, schema))
            .partition(|(_, field)| !is_choice(field, schema));
        let texts = if free.is_empty() { chosen } else { free };
        let text = match texts[..] {
            [(name, _)] => name,
            [] => {
                let names = names(own.iter().map(|(name, _)| name.as_str()));
                return Err(format!("the action has no text field among {names}\n  hint: {HINT}"));
            }
            _ => {
                let names = names(texts.iter().map(|(name, _)| name.as_str()));
                return Err(format!("the action has several text fields: {names}\n  hint: {HINT}"));
            }
        };
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let needed: Vec<&str> = required.filter(|name| name != text && *name != "metadata").collect();
        if needed.is_empty() {
            return Ok(Self::Text(text.clone()));
        }
        let (text, needed) = (words(text), names(needed.into_iter()));
        Err(format!("the action needs {needed} beside its text field {text}\n  hint: {HINT}"))
    }
}

const HINT: &str = "turnwise calls an environment's tools, or says the turn's text in the only text field of \
                    its action; a subclass of the action with one field helps";

/// Returns the schemas that a field may follow: itself, its alternatives, and those they refer to.
fn alternatives<'s>(field: &'s Value, schema: &'s Value) -> impl Iterator<Item = &'s Value> {
    let any = field["anyOf"].as_array().or_else(|| field["allOf"].as_array());
    let any = any.map_or(std::slice::from_ref(field), Vec::as_slice);
    any.iter().map(|one| {
        let name = one["$ref"].as_str().and_then(|place| place.strip_prefix("#/$defs/"));
        name.map_or(one, |name| &schema["$defs"][name])
    })
}

fn is_text(field: &Value, schema: &Value) -> bool {
    alternatives(field, schema).any(|one| one["type"] == "string" && one.get("const").is_none())
}

/// Returns whether a text is an enumeration.
fn is_choice(field: &Value, schema: &Value) -> bool {
    alternatives(field, schema).any(|one| one.get("enum").is_some())
}

fn names<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{}`", words(name))).collect();
    if names.is_empty() { "no fields".into() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_action_is_a_call_or_one_text() {
        let text = |name: &str| Ok(Form::Text(name.into()));
        let string = json!({"type": "string"});
        let choice = json!({"type": "string", "enum": ["up", "down"]});
        let constant = json!({"type": "string", "const": "move"});
        let maybe = json!({"anyOf": [{"type": "string"}, {"type": "null"}]});
        let number = json!({"type": "integer"});
        let read = |fields: &[(&str, &Value)], required: &[&str]| {
            let mut properties: serde_json::Map<String, Value> =
                fields.iter().map(|(name, field)| ((*name).to_string(), (*field).clone())).collect();
            properties.insert("metadata".into(), json!({"type": "object"}));
            let defs = json!({"Side": {"enum": ["left", "right"], "type": "string"}});
            let schema = json!({
                "title": "MyAction", "properties": properties, "required": required, "$defs": defs
            });
            Form::read(&schema).map_err(|error| error.lines().next().unwrap().to_string())
        };
        let reference = json!({"$ref": "#/$defs/Side"});
        let object = json!({"type": "object"});
        assert_eq!(read(&[("message", &string)], &["message"]), text("message"));
        assert_eq!(read(&[("message", &maybe), ("times", &number)], &[]), text("message"));
        assert_eq!(read(&[("message", &string), ("mode", &choice)], &["message"]), text("message"));
        assert_eq!(read(&[("type", &constant), ("side", &reference)], &["side"]), text("side"));
        assert_eq!(read(&[("tool_name", &string), ("arguments", &object)], &["tool_name"]), Ok(Form::Calls));
        for (fields, required, expect) in [
            (vec![("a", &string), ("b", &maybe)], vec![], "the action has several text fields: `a`, `b`"),
            (vec![("n", &number)], vec![], "the action has no text field among `n`"),
            (vec![], vec![], "the action has no text field among no fields"),
            (
                vec![("a", &string), ("n", &number)],
                vec!["a", "n"],
                "the action needs `n` beside its text field a",
            ),
        ] {
            assert_eq!(read(&fields, &required), Err(expect.into()));
        }
        assert_eq!(Form::read(&json!({"title": "Action", "properties": {"metadata": {}}})), Ok(Form::Calls));
        assert!(Form::read(&json!(3)).is_err());
    }
}
