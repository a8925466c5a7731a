//! `docs/config.schema.json`: run files for editors.

use serde_json::{Map, Value, json};
use turnwise_runfile::Range;

use crate::kinds::is_whole;
use crate::source::{Field, Item, Kind, Sources};

/// The schema of the run file whose type is `root`.
pub(crate) fn schema(sources: &Sources, root: &str) -> Value {
    let mut definitions = Map::new();
    let item = sources.item(root, None).expect("the root of the run file");
    let mut schema = table(sources, item, &mut definitions);
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "turnwise run file".into();
    schema["properties"]["preset"] = json!({
        "description": "Conventions of another implementation, under everything that is set.",
        "enum": turnwise_credit::PRESETS.iter().map(|preset| preset.name).collect::<Vec<_>>(),
    });
    schema["$defs"] = Value::Object(definitions);
    schema
}

fn table(sources: &Sources, item: &Item, definitions: &mut Map<String, Value>) -> Value {
    let Kind::Table(fields) = &item.kind else { unreachable!("a table") };
    let mut properties = Map::new();
    for field in fields {
        let mut property = value(sources, item, &field.kind, definitions);
        if field.named {
            property = json!({"type": "object", "additionalProperties": property});
        }
        if let Some(range) = field.range {
            let numbers = if property["type"] == "array" { &mut property["items"] } else { &mut property };
            bound(numbers, range);
        }
        property["description"] = field.doc.clone().into();
        properties.insert(field.key.clone(), property);
    }
    let required: Vec<&Field> = fields.iter().filter(|field| field.required).collect();
    json!({
        "type": "object",
        "description": item.doc,
        "additionalProperties": false,
        "required": required.iter().map(|field| &field.key).collect::<Vec<_>>(),
        "properties": properties,
    })
}

/// Puts a range into the schema of a number.
fn bound(number: &mut Value, range: Range) {
    let end = |end: i64| {
        if end % range.per == 0 { json!(end / range.per) } else { json!(end as f64 / range.per as f64) }
    };
    number[if range.open_below { "exclusiveMinimum" } else { "minimum" }] = end(range.least);
    number["maximum"] = end(range.most);
}

fn value(sources: &Sources, near: &Item, kind: &str, definitions: &mut Map<String, Value>) -> Value {
    if let Some(inside) = kind.strip_prefix("Vec<").and_then(|kind| kind.strip_suffix('>')) {
        return json!({"type": "array", "items": value(sources, near, inside, definitions)});
    }
    if let Some(item) = sources.item(kind, Some(near)) {
        if let Kind::Names(range) = item.kind {
            let mut number = json!({"type": "number"});
            if let Some(range) = range {
                bound(&mut number, range);
            }
            return json!({"type": "object", "additionalProperties": number});
        }
        if !definitions.contains_key(&item.name) {
            // First its name: an environment may hold another one.
            definitions.insert(item.name.clone(), Value::Null);
            let definition = match &item.kind {
                Kind::Table(_) => table(sources, item, definitions),
                Kind::Choice(_) => choice(sources, item, definitions),
                Kind::Names(_) => unreachable!("it has been answered"),
            };
            definitions.insert(item.name.clone(), definition);
        }
        return json!({"$ref": format!("#/$defs/{}", item.name)});
    }
    match kind {
        "bool" => json!({"type": "boolean"}),
        "f64" | "f32" => json!({"type": "number"}),
        _ if is_whole(kind) => json!({"type": "integer"}),
        "String" | "PathBuf" => json!({"type": "string"}),
        "Address" => {
            let command = json!({"type": "array", "items": {"type": "string"}, "minItems": 1});
            json!({"oneOf": [{"type": "string", "pattern": "^https?://"}, command]})
        }
        other => panic!("{other} is a type that the reference doesn't know: see source.rs"),
    }
}

fn choice(sources: &Sources, item: &Item, definitions: &mut Map<String, Value>) -> Value {
    let Kind::Choice(variants) = &item.kind else { unreachable!("a choice") };
    let mut options: Vec<Value> = vec![];
    for variant in variants {
        options.push(json!({"const": variant.key, "description": variant.doc}));
        if let Some(held) = &variant.holds {
            let inner = value(sources, item, held, definitions);
            options.push(json!({
                "type": "object",
                "description": variant.doc,
                "additionalProperties": false,
                "required": [variant.key],
                "properties": {&variant.key: inner},
            }));
        }
    }
    json!({"description": item.doc, "oneOf": options})
}
