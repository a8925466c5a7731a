//! Values as Python's `str` and `repr` write them.

use crate::budget::{Budget, Outcome, fail};
use crate::value::{Value, View};

/// Returns a value as `str` writes it, which is the text of `{{ value }}`.
pub(crate) fn str(value: &Value, budget: &mut Budget) -> Outcome<String> {
    let mut out = String::new();
    match value {
        Value::Undefined(_) => {}
        Value::Text(text) => {
            budget.write(text.text.len())?;
            out.push_str(&text.text);
        }
        other => write_repr(other, 0, &mut out, budget)?,
    }
    Ok(out)
}

/// Returns a value as `repr` writes it.
pub(crate) fn repr(value: &Value, budget: &mut Budget) -> Outcome<String> {
    let mut out = String::new();
    write_repr(value, 0, &mut out, budget)?;
    Ok(out)
}

fn write_repr(value: &Value, depth: u32, out: &mut String, budget: &mut Budget) -> Outcome<()> {
    let before = out.len();
    budget.spend(1)?;
    // Only the pairs of a view nest deeper than other values.
    if depth > 2 * crate::budget::NESTED {
        return fail("values lie too deep in each other");
    }
    match value {
        Value::Undefined(_) => out.push_str("Undefined"),
        Value::None => out.push_str("None"),
        Value::Bool(truth) => out.push_str(if *truth { "True" } else { "False" }),
        Value::Int(number) => out.push_str(&number.to_string()),
        Value::Float(number) => out.push_str(&float(*number)),
        Value::Text(text) if text.safe => {
            out.push_str("Markup(");
            quote(&text.text, out);
            out.push(')');
        }
        Value::Text(text) => quote(&text.text, out),
        Value::List(items) => {
            out.push('[');
            write_all(&items.values, depth, out, budget)?;
            out.push(']');
        }
        Value::Tuple(items) => {
            out.push('(');
            write_all(&items.values, depth, out, budget)?;
            out.push_str(if items.values.len() == 1 { ",)" } else { ")" });
        }
        Value::Dict(dict) => {
            out.push('{');
            for (at, (key, value)) in dict.pairs.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                write_repr(key, depth + 1, out, budget)?;
                out.push_str(": ");
                write_repr(value, depth + 1, out, budget)?;
            }
            out.push('}');
        }
        Value::Range(start, end, step) => {
            let step = if *step == 1 { String::new() } else { format!(", {step}") };
            out.extend([format!("range({start}, {end}{step})")]);
        }
        Value::View(view, _) => {
            let name = match view {
                View::Keys => "dict_keys([",
                View::Values => "dict_values([",
                View::Items => "dict_items([",
            };
            out.push_str(name);
            let values = crate::value::iterate::values(value, budget)?;
            write_all(&values, depth, out, budget)?;
            out.push_str("])");
        }
        other => out.extend(["<", other.type_name(), ">"]),
    }
    budget.write(out.len() - before)
}

fn write_all(values: &[Value], depth: u32, out: &mut String, budget: &mut Budget) -> Outcome<()> {
    for (at, value) in values.iter().enumerate() {
        out.push_str(if at > 0 { ", " } else { "" });
        write_repr(value, depth + 1, out, budget)?;
    }
    Ok(())
}

/// Appends a text in quotes.
fn quote(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            c if is_printable(c) => out.push(c),
            c => {
                let escaped = match u32::from(c) {
                    code @ 0..=0xFF => format!("\\x{code:02x}"),
                    code @ 0x100..=0xFFFF => format!("\\u{code:04x}"),
                    code => format!("\\U{code:08x}"),
                };
                out.push_str(&escaped);
            }
        }
    }
    out.push(quote);
}

/// Returns whether Python shows a character unescaped.
pub(crate) fn is_printable(c: char) -> bool {
    match c {
        ' '..='~' => true,
        c if c.is_whitespace() => false,
        // After a letter, combining marks aren't escaped.
        c => format!("a{c}").escape_debug().count() == 2,
    }
}

/// Returns a number as Python's `repr` writes it: shortest exact digits, an exponent below 1e-4 and from
/// 1e16.
pub(crate) fn float(number: f64) -> String {
    if number.is_nan() {
        return "nan".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.into();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').expect("the format writes an exponent");
    let exponent: i32 = exponent.parse().expect("an exponent is a number");
    if number != 0.0 && !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    let plain = format!("{number}");
    if plain.contains('.') { plain } else { plain + ".0" }
}
