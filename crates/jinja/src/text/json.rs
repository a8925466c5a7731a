//! Writes values as Python's `json.dumps` does, for tools and arguments in chat templates.

use std::fmt::Write;

use crate::budget::{Budget, Outcome, fail};
use crate::run::arguments::Arguments;
use crate::text::spelling;
use crate::value::Value;
use crate::value::compare::sort;

/// Holds options of `json.dumps`.
struct Style {
    item_separator: String,
    key_separator: String,
    /// One level of indentation; without it everything is on one line.
    indent: Option<String>,
    ensure_ascii: bool,
    sort_keys: bool,
}

/// Computes the filter `tojson(ensure_ascii=False, indent=None, separators=None, sort_keys=False)` of
/// `transformers`.
pub(crate) fn tojson(value: &Value, args: Arguments, budget: &mut Budget) -> Outcome<Value> {
    let [ascii, indent, separators, sorted] =
        args.bind("tojson", ["ensure_ascii", "indent", "separators", "sort_keys"])?;
    let indent = match indent {
        None | Some(Value::None) => None,
        Some(Value::Text(text)) => Some(text.text.to_string()),
        Some(width) => {
            let width = usize::try_from(width.int()?.max(0)).unwrap_or(usize::MAX);
            budget.write(width)?;
            Some(" ".repeat(width))
        }
    };
    let (item_separator, key_separator) = match separators {
        None | Some(Value::None) => (if indent.is_some() { "," } else { ", " }.to_string(), ": ".to_string()),
        Some(Value::List(pair) | Value::Tuple(pair)) if pair.values.len() == 2 => {
            (pair.values[0].str()?.to_string(), pair.values[1].str()?.to_string())
        }
        Some(_) => return fail("tojson takes two separators"),
    };
    let truth = |value: Option<Value>| value.is_some_and(|value| value.truth());
    let style =
        Style { item_separator, key_separator, indent, ensure_ascii: truth(ascii), sort_keys: truth(sorted) };
    let mut text = String::new();
    style.write(value, 0, &mut text, budget)?;
    Ok(Value::text(text))
}

impl Style {
    fn write(&self, value: &Value, depth: usize, out: &mut String, budget: &mut Budget) -> Outcome<()> {
        let before = out.len();
        budget.spend(1)?;
        match value {
            Value::None => out.push_str("null"),
            Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
            Value::Int(number) => out.push_str(&number.to_string()),
            Value::Float(number) => out.push_str(&float(*number)),
            Value::Text(text) => self.string(&text.text, out),
            Value::List(items) | Value::Tuple(items) => {
                self.block(['[', ']'], items.values.len(), depth, out, budget, |at, out, budget| {
                    self.write(&items.values[at], depth + 1, out, budget)
                })?;
            }
            Value::Dict(dict) => {
                budget.values(2 * dict.pairs.len())?;
                let mut pairs = dict.pairs.clone();
                if self.sort_keys {
                    pairs = sort(pairs, false, budget)?;
                }
                self.block(['{', '}'], pairs.len(), depth, out, budget, |at, out, budget| {
                    self.string(&key(&pairs[at].0)?, out);
                    out.push_str(&self.key_separator);
                    self.write(&pairs[at].1, depth + 1, out, budget)
                })?;
            }
            other => {
                return fail(format!("Object of type {} is not JSON serializable", other.type_name()));
            }
        }
        budget.write(out.len() - before)
    }

    /// Writes brackets around items, on separate lines if there is an indentation.
    fn block(
        &self,
        brackets: [char; 2],
        items: usize,
        depth: usize,
        out: &mut String,
        budget: &mut Budget,
        item: impl Fn(usize, &mut String, &mut Budget) -> Outcome<()>,
    ) -> Outcome<()> {
        let line = |depth: usize, out: &mut String, budget: &mut Budget| -> Outcome<()> {
            if let Some(indent) = &self.indent {
                budget.write(indent.len().saturating_mul(depth))?;
                out.push('\n');
                (0..depth).for_each(|_| out.push_str(indent));
            }
            Ok(())
        };
        out.push(brackets[0]);
        for at in 0..items {
            if at > 0 {
                out.push_str(&self.item_separator);
            }
            line(depth + 1, out, budget)?;
            item(at, out, budget)?;
        }
        if items > 0 {
            line(depth, out, budget)?;
        }
        out.push(brackets[1]);
        Ok(())
    }

    fn string(&self, text: &str, out: &mut String) {
        out.push('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                c if c < ' ' || (self.ensure_ascii && !(' '..='~').contains(&c)) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        // Writing to a string can't fail.
                        let _ = write!(out, "\\u{unit:04x}");
                    }
                }
                c => out.push(c),
            }
        }
        out.push('"');
    }
}

/// Returns a key as text: numbers and the like are converted.
fn key(key: &Value) -> Outcome<String> {
    Ok(match key {
        Value::Text(text) => text.text.to_string(),
        Value::None => "null".into(),
        Value::Bool(truth) => if *truth { "true" } else { "false" }.into(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => float(*number),
        other => {
            return fail(format!("keys must be str, int, float, bool or None, not {}", other.type_name()));
        }
    })
}

fn float(number: f64) -> String {
    match spelling::float(number).as_str() {
        "nan" => "NaN".into(),
        "inf" => "Infinity".into(),
        "-inf" => "-Infinity".into(),
        finite => finite.into(),
    }
}
