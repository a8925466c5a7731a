//! Filters on texts.

use super::select::{follow, path};
use super::sequence::{titled, words};
use crate::budget::{Budget, Outcome, fail};
use crate::run::arguments::{Arguments, required};
use crate::run::state::Run;
use crate::text::escape::{escape, escaped};
use crate::text::letters::{lines, split};
use crate::text::spelling::str;
use crate::text::{methods, printf};
use crate::value::iterate;
use crate::value::{Text, Value};

pub(super) fn apply(run: &mut Run<'_>, name: &str, value: &Value, args: Arguments) -> Outcome<Value> {
    match name {
        "join" => return join(run, value, args),
        "indent" => return indent(value, args, &mut run.budget),
        "truncate" => return truncate(value, args, &mut run.budget),
        "replace" => {
            let [old, new, count] = args.bind(name, ["old", "new", "count"])?;
            let budget = &mut run.budget;
            let (old, new) = (required(old, name, "old")?, required(new, name, "new")?);
            let (text, old, new) = (str(value, budget)?, str(&old, budget)?, str(&new, budget)?);
            let count = match count {
                None | Some(Value::None) => -1,
                Some(count) => count.int()?,
            };
            return methods::grown(&text, &old, &new, count, budget).map(Value::text);
        }
        "urlencode" => {
            let [] = args.bind(name, [])?;
            return urlencode(value, &mut run.budget).map(Value::text);
        }
        _ => {}
    }
    let text = soft(value, &mut run.budget)?;
    match name {
        "upper" | "lower" | "capitalize" => methods::call(run, &text, name, args),
        "trim" => methods::call(run, &text, "strip", args),
        "center" => {
            let [width] = args.bind(name, ["width"])?;
            let positional = vec![width.unwrap_or(Value::Int(80))];
            methods::call(run, &text, name, Arguments { positional, named: Vec::new() })
        }
        "format" => {
            let given = match (args.positional.is_empty(), args.named.is_empty()) {
                (false, false) => {
                    return fail("can't handle positional and keyword arguments at the same time");
                }
                (true, false) => {
                    let named = args.named.into_iter().map(|(name, value)| (Value::text(name), value));
                    Value::dict(named.collect(), &mut run.budget)?
                }
                _ => Value::tuple(args.positional, &mut run.budget)?,
            };
            printf::format(&text, &given, &mut run.budget)
        }
        _ => {
            let [] = args.bind(name, [])?;
            plain(&text, name, &mut run.budget)
        }
    }
}

/// Returns a text unchanged, and any other value as a text.
fn soft(value: &Value, budget: &mut Budget) -> Outcome<Text> {
    match value {
        Value::Text(text) => Ok(text.clone()),
        other => Ok(Text { text: str(other, budget)?.into(), safe: false }),
    }
}

fn plain(text: &Text, name: &str, budget: &mut Budget) -> Outcome<Value> {
    let markup = |text: std::sync::Arc<str>| Ok(Value::Text(Text { text, safe: true }));
    match name {
        "string" => Ok(Value::Text(text.clone())),
        "safe" => markup(text.text.clone()),
        "escape" | "e" => markup(escaped(text, budget)?),
        "forceescape" => markup(escape(&text.text, budget)?.into()),
        "wordcount" => Ok(Value::Int(words(&text.text) as i128)),
        "striptags" => {
            budget.write(text.text.len())?;
            Ok(Value::text(without_tags(&text.text)))
        }
        // A byte grows to three bytes at most.
        _ => {
            budget.write(text.text.len().saturating_mul(3))?;
            Ok(Value::text(titled(&text.text)))
        }
    }
}

fn join(run: &mut Run<'_>, value: &Value, args: Arguments) -> Outcome<Value> {
    let [separator, attribute] = args.bind("join", ["d", "attribute"])?;
    let separator =
        separator.map_or_else(|| Ok(String::new()), |separator| str(&separator, &mut run.budget))?;
    let path = path(attribute.as_ref());
    let mut out = String::new();
    for (at, value) in iterate::values(value, &mut run.budget)?.iter().enumerate() {
        let value = follow(run, value, &path, None)?;
        let text = str(&value, &mut run.budget)?;
        run.budget.write(separator.len() + text.len())?;
        out.push_str(if at > 0 { &separator } else { "" });
        out.push_str(&text);
    }
    Ok(Value::text(out))
}

fn indent(value: &Value, args: Arguments, budget: &mut Budget) -> Outcome<Value> {
    let [width, first, blank] = args.bind("indent", ["width", "first", "blank"])?;
    let text = match value {
        Value::Text(text) => text,
        Value::Undefined(why) => return fail(&**why),
        other => {
            return fail(format!("unsupported operand type(s) for +=: '{}' and 'str'", other.type_name()));
        }
    };
    let indentation = match width {
        Some(Value::Text(text)) => text.text.to_string(),
        width => {
            let width = width.map_or(Ok(4), |width| width.int())?;
            let width = usize::try_from(width.max(0)).unwrap_or(usize::MAX);
            budget.write(width)?;
            " ".repeat(width)
        }
    };
    let truth = |value: Option<Value>| value.is_some_and(|value| value.truth());
    let (first, blank) = (truth(first), truth(blank));
    // An added line break shows an empty line after the last one.
    let whole = format!("{}\n", text.text);
    let lines = lines(&whole, false);
    budget.write(indentation.len().saturating_mul(lines.len()).saturating_add(whole.len()))?;
    let mut out = String::new();
    for (at, line) in lines.iter().enumerate() {
        out.push_str(if at > 0 { "\n" } else { "" });
        if if at == 0 { first } else { blank || !line.is_empty() } {
            out.push_str(&indentation);
        }
        out.push_str(line);
    }
    Ok(Value::Text(Text { text: out.into(), safe: text.safe }))
}

fn truncate(value: &Value, args: Arguments, budget: &mut Budget) -> Outcome<Value> {
    let [length, killwords, end, leeway] = args.bind("truncate", ["length", "killwords", "end", "leeway"])?;
    let length = length.map_or(Ok(255), |length| length.int())?;
    let leeway = match leeway {
        None | Some(Value::None) => 5,
        Some(leeway) => leeway.int()?,
    };
    let end = end.unwrap_or_else(|| Value::text("..."));
    let end = end.str()?;
    let kept = length.saturating_sub(end.chars().count() as i128);
    if kept < 0 || leeway < 0 {
        return fail(format!("expected length >= {}, got {length}", end.chars().count()));
    }
    if iterate::length(value)? as i128 <= length.saturating_add(leeway) {
        return Ok(value.clone());
    }
    let text = value.str()?;
    budget.write(text.len())?;
    let cut: String = text.chars().take(kept as usize).collect();
    let whole_words = if killwords.is_some_and(|kill| kill.truth()) {
        cut.as_str()
    } else {
        split(&cut, Some(" "), 1, true).first().copied().unwrap_or_default()
    };
    Ok(Value::text(format!("{whole_words}{end}")))
}

fn without_tags(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let comment = rest[start..].starts_with("<!--");
        let end = if comment {
            rest[start + 4..].find("-->").map(|end| start + 4 + end + 3)
        } else {
            rest[start..].find('>').map(|end| start + end + 1)
        };
        let Some(end) = end else { break };
        out.push_str(&rest[..start]);
        rest = &rest[end..];
    }
    out.push_str(rest);
    let words = split(&out, None, -1, false).join(" ");
    let entities =
        [("&lt;", "<"), ("&gt;", ">"), ("&#34;", "\""), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    entities.iter().fold(words, |text, (entity, c)| text.replace(entity, c))
}

fn urlencode(value: &Value, budget: &mut Budget) -> Outcome<String> {
    let pairs = match value {
        Value::Dict(dict) => dict.pairs.clone(),
        Value::List(_) | Value::Tuple(_) | Value::Range(..) | Value::View(..) | Value::Iterator(..) => {
            let mut pairs = Vec::new();
            for pair in iterate::values(value, budget)? {
                let pair: Result<[Value; 2], _> = iterate::values(&pair, budget)?.try_into();
                let Ok([key, value]) = pair else { return fail("urlencode takes pairs") };
                pairs.push((key, value));
            }
            pairs
        }
        value => return quoted(&str(value, budget)?, "/", budget),
    };
    let mut out = Vec::new();
    for (key, value) in pairs {
        let (key, value) = (str(&key, budget)?, str(&value, budget)?);
        out.push(format!("{}={}", quoted(&key, "", budget)?, quoted(&value, "", budget)?));
    }
    Ok(out.join("&").replace("%20", "+"))
}

fn quoted(text: &str, safe: &str, budget: &mut Budget) -> Outcome<String> {
    budget.write(text.len().saturating_mul(3))?;
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || b"_.-~".contains(&byte) || safe.as_bytes().contains(&byte);
    Ok(text
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect())
}
