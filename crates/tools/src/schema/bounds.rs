//! Checks ranges of numbers, and lengths of texts and lists.

use serde_json::{Map, Value};

/// Returns what a value is and what its schema wants, if it is out of bounds.
pub(super) fn exceeded(value: &Value, schema: &Map<String, Value>) -> Option<(String, String)> {
    let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
    match value {
        Value::Number(number) => {
            let wanted = out_of_range(number.as_f64()?, schema, &bound)?;
            Some((number.to_string(), wanted))
        }
        Value::String(text) => {
            length(text.chars().count(), "characters", bound("minLength"), bound("maxLength"))
        }
        Value::Array(items) => length(items.len(), "items", bound("minItems"), bound("maxItems")),
        Value::Null | Value::Bool(_) | Value::Object(_) => None,
    }
}

fn out_of_range(
    number: f64,
    schema: &Map<String, Value>,
    bound: &dyn Fn(&str) -> Option<f64>,
) -> Option<String> {
    // In old drafts a truth value makes the bound beside it an open one.
    let is_open = |key: &str| schema.get(key) == Some(&Value::Bool(true));
    let (least, most) = (bound("minimum"), bound("maximum"));
    let (above, below) = (bound("exclusiveMinimum"), bound("exclusiveMaximum"));
    let above = above.or(least.filter(|_| is_open("exclusiveMinimum")));
    let below = below.or(most.filter(|_| is_open("exclusiveMaximum")));
    let wanted = |words: &str, bound: f64| format!("{words} {bound}");
    let low = above.filter(|above| number <= *above).map(|above| wanted("above", above));
    let low = low.or_else(|| least.filter(|least| number < *least).map(|least| wanted("at least", least)));
    let high = || below.filter(|below| number >= *below).map(|below| wanted("below", below));
    low.or_else(high).or_else(|| most.filter(|most| number > *most).map(|most| wanted("at most", most)))
}

fn length(length: usize, unit: &str, least: Option<f64>, most: Option<f64>) -> Option<(String, String)> {
    let number = length as f64;
    let few = least.filter(|least| number < *least).map(|least| format!("at least {least} {unit}"));
    let wanted =
        few.or_else(|| most.filter(|most| number > *most).map(|most| format!("at most {most} {unit}")));
    Some((format!("{length} {unit} long"), wanted?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_texts_and_lists_have_bounds() {
        let check = |schema: Value, value: Value, expect: Option<(&str, &str)>| {
            let found = exceeded(&value, schema.as_object().unwrap());
            let found = found.as_ref().map(|(found, wanted)| (found.as_str(), wanted.as_str()));
            assert_eq!(found, expect, "{value} for {schema}");
        };
        let range = json!({"minimum": 1, "maximum": 10});
        check(range.clone(), json!(1), None);
        check(range.clone(), json!(10.0), None);
        check(range.clone(), json!(0), Some(("0", "at least 1")));
        check(range.clone(), json!(10.5), Some(("10.5", "at most 10")));
        check(range, json!("text"), None);
        let open = json!({"exclusiveMinimum": 0, "exclusiveMaximum": 1.5});
        check(open.clone(), json!(0.1), None);
        check(open.clone(), json!(0), Some(("0", "above 0")));
        check(open, json!(1.5), Some(("1.5", "below 1.5")));
        let old = json!({"minimum": 0, "exclusiveMinimum": true, "maximum": 1, "exclusiveMaximum": false});
        check(old.clone(), json!(0), Some(("0", "above 0")));
        check(old, json!(1), None);
        let text = json!({"minLength": 2, "maxLength": 3});
        check(text.clone(), json!("éé"), None);
        check(text.clone(), json!("é"), Some(("1 characters long", "at least 2 characters")));
        check(text, json!("abcd"), Some(("4 characters long", "at most 3 characters")));
        let list = json!({"minItems": 1, "maxItems": 2});
        check(list.clone(), json!([1, 2]), None);
        check(list.clone(), json!([]), Some(("0 items long", "at least 1 items")));
        check(list, json!([1, 2, 3]), Some(("3 items long", "at most 2 items")));
        check(json!({"minimum": null, "maxItems": null}), json!([1]), None);
    }
}
