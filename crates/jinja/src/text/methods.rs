//! Methods of texts. Those of markup return markup.

use crate::budget::{Budget, Outcome, fail};
use crate::read::lexer::is_space;
use crate::run::arguments::{Arguments, required};
use crate::run::state::Run;
use crate::text::escape::escaped;
use crate::text::letters::{
    all_cased, capitalized, is_title, lines, replaced, split, stripped, swapped, title,
};
use crate::text::numerals::padded;
use crate::text::spelling::is_printable;
use crate::text::str_format;
use crate::value::iterate;
use crate::value::{Text, Value};

/// Calls a method.
pub(crate) fn call(run: &mut Run<'_>, text: &Text, method: &str, args: Arguments) -> Outcome<Value> {
    let budget = &mut run.budget;
    // A byte grows to three at most, by `upper`.
    budget.write(text.text.len().saturating_mul(3))?;
    match method {
        "format" => str_format::format(run, text, args),
        "format_map" => {
            let [map] = args.bind(method, ["mapping"])?;
            let Some(Value::Dict(dict)) = map else { return fail("format_map() needs a mapping") };
            let named =
                dict.pairs.iter().filter_map(|(key, value)| Some((key.as_str()?.into(), value.clone())));
            str_format::format(run, text, Arguments { positional: Vec::new(), named: named.collect() })
        }
        "join" => join(text, args, budget),
        "replace" => replace(text, args, budget),
        "center" | "ljust" | "rjust" | "zfill" | "expandtabs" => widened(text, method, args, budget),
        "split" | "rsplit" | "splitlines" | "partition" | "rpartition" => pieces(text, method, args, budget),
        "find" | "rfind" | "index" | "rindex" | "count" | "startswith" | "endswith" => {
            found(&text.text, method, args, budget)
        }
        "strip" | "lstrip" | "rstrip" => {
            let [characters] = args.bind(method, ["chars"])?;
            let characters = match &characters {
                None | Some(Value::None) => None,
                Some(characters) => Some(characters.str()?),
            };
            let cut = stripped(&text.text, characters, method != "rstrip", method != "lstrip");
            Ok(like(text, cut))
        }
        "removeprefix" | "removesuffix" => {
            let [part] = args.bind(method, ["part"])?;
            let part = required(part, method, "part")?;
            let part = part.str()?;
            let cut = if method == "removeprefix" {
                text.text.strip_prefix(part)
            } else {
                text.text.strip_suffix(part)
            };
            Ok(like(text, cut.unwrap_or(&text.text)))
        }
        _ => {
            let [] = args.bind(method, [])?;
            Ok(plain(text, method))
        }
    }
}

/// Returns a text that is markup if the other one is.
fn like(text: &Text, new: &str) -> Value {
    Value::Text(Text { text: new.into(), safe: text.safe })
}

/// Calls a method without arguments.
fn plain(whole: &Text, method: &str) -> Value {
    let text = &*whole.text;
    let all = |test: fn(char) -> bool| Value::Bool(!text.is_empty() && text.chars().all(test));
    match method {
        "upper" => like(whole, &text.to_uppercase()),
        "lower" => like(whole, &text.to_lowercase()),
        "casefold" => {
            like(whole, &text.to_lowercase().replace('ß', "ss").replace('ς', "σ").replace('ſ', "s"))
        }
        "capitalize" => like(whole, &capitalized(text)),
        "title" => like(whole, &title(text)),
        "swapcase" => like(whole, &swapped(text)),
        "isalnum" => all(char::is_alphanumeric),
        "isalpha" => all(|c| c.is_alphabetic() && !c.is_numeric()),
        "isascii" => Value::Bool(text.is_ascii()),
        "isdecimal" => all(|c| c.is_ascii_digit() || (c.is_numeric() && !c.is_ascii() && is_decimal(c))),
        "isdigit" => all(|c| c.is_ascii_digit() || "²³¹".contains(c) || (c.is_numeric() && is_decimal(c))),
        "isnumeric" => all(char::is_numeric),
        "isspace" => all(is_space),
        "isprintable" => Value::Bool(text.chars().all(is_printable)),
        "islower" => Value::Bool(all_cased(text, false)),
        "isupper" => Value::Bool(all_cased(text, true)),
        "istitle" => Value::Bool(is_title(text)),
        _ => {
            let mut letters = text.chars();
            let first = letters.next().is_some_and(|c| c.is_alphabetic() || c == '_');
            Value::Bool(first && letters.all(|c| c.is_alphanumeric() || c == '_'))
        }
    }
}

/// Returns whether a character is a decimal digit: scripts have ten in a row from these.
fn is_decimal(c: char) -> bool {
    const ZEROS: [u32; 12] =
        [0x30, 0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xE50, 0xFF10];
    ZEROS.iter().any(|zero| (*zero..zero + 10).contains(&u32::from(c)))
}

fn join(text: &Text, args: Arguments, budget: &mut Budget) -> Outcome<Value> {
    let [items] = args.bind("join", ["iterable"])?;
    let items = iterate::values(&required(items, "join", "iterable")?, budget)?;
    let mut out = String::new();
    for (at, item) in items.iter().enumerate() {
        let Value::Text(item) = item else {
            return fail(format!("sequence item {at}: expected str instance, {} found", item.type_name()));
        };
        let item = if text.safe { escaped(item, budget)? } else { item.text.clone() };
        budget.write(text.text.len() + item.len())?;
        out.push_str(if at > 0 { &text.text } else { "" });
        out.push_str(&item);
    }
    Ok(like(text, &out))
}

fn replace(text: &Text, args: Arguments, budget: &mut Budget) -> Outcome<Value> {
    let [old, new, count] = args.bind("replace", ["old", "new", "count"])?;
    let (old, new) = (required(old, "replace", "old")?, required(new, "replace", "new")?);
    let (old, count) = (old.str()?, count.map_or(Ok(-1), |count| count.int())?);
    let new = match &new {
        Value::Text(new) if text.safe => escaped(new, budget)?,
        new => new.str()?.into(),
    };
    Ok(like(text, &grown(&text.text, old, &new, count, budget)?))
}

/// Replaces the first `most` occurrences of `old` by `new`, within the budget.
pub(crate) fn grown(text: &str, old: &str, new: &str, most: i128, budget: &mut Budget) -> Outcome<String> {
    let places = if new.len() > old.len() { text.matches(old).count() } else { 0 };
    budget.write(text.len().saturating_add(places.saturating_mul(new.len())))?;
    Ok(replaced(text, old, new, most))
}

fn widened(text: &Text, method: &str, args: Arguments, budget: &mut Budget) -> Outcome<Value> {
    if method == "expandtabs" {
        let [size] = args.bind(method, ["tabsize"])?;
        let size = usize::try_from(size.map_or(Ok(8), |size| size.int())?.max(0)).unwrap_or(usize::MAX);
        budget.write(text.text.matches('\t').count().saturating_mul(size))?;
        let mut out = String::new();
        let mut column = 0;
        for c in text.text.chars() {
            match c {
                '\t' if size == 0 => {}
                '\t' => {
                    let spaces = size - column % size;
                    out.extend(std::iter::repeat_n(' ', spaces));
                    column += spaces;
                }
                c => {
                    out.push(c);
                    column = if c == '\n' || c == '\r' { 0 } else { column + 1 };
                }
            }
        }
        return Ok(like(text, &out));
    }
    let [width, fill] = args.bind(method, ["width", "fillchar"])?;
    let width = usize::try_from(required(width, method, "width")?.int()?.max(0)).unwrap_or(usize::MAX);
    if method == "zfill" {
        let signed = text.text.starts_with(['+', '-']);
        let (sign, digits) = text.text.split_at(usize::from(signed));
        let digits = padded(digits, width.saturating_sub(sign.len()), '0', '>', budget)?;
        return Ok(like(text, &format!("{sign}{digits}")));
    }
    let fill = match &fill {
        None => ' ',
        Some(fill) => match (fill.str()?.chars().next(), fill.str()?.chars().count()) {
            (Some(c), 1) => c,
            _ => return fail("The fill character must be exactly one character long"),
        },
    };
    let out = match method {
        "ljust" => padded(&text.text, width, fill, '<', budget)?,
        "rjust" => padded(&text.text, width, fill, '>', budget)?,
        _ => centered(&text.text, width, fill, budget)?,
    };
    Ok(like(text, &out))
}

/// Centres a text as `str.center` does: an odd blank is on the left if the width is odd.
pub(crate) fn centered(text: &str, width: usize, fill: char, budget: &mut Budget) -> Outcome<String> {
    let length = text.chars().count();
    let missing = width.saturating_sub(length);
    let left = missing / 2 + (missing & width & 1);
    let half = padded(text, length.saturating_add(left), fill, '>', budget)?;
    padded(&half, width, fill, '<', budget)
}

fn pieces(text: &Text, method: &str, args: Arguments, budget: &mut Budget) -> Outcome<Value> {
    let whole = &*text.text;
    if method == "splitlines" {
        let [keep] = args.bind(method, ["keepends"])?;
        let keep = keep.is_some_and(|keep| keep.truth());
        return Value::list(lines(whole, keep).into_iter().map(|line| like(text, line)).collect(), budget);
    }
    if method.ends_with("partition") {
        let [separator] = args.bind(method, ["sep"])?;
        let separator = required(separator, method, "sep")?;
        let separator = separator.str()?;
        let parts = match (method, separator) {
            (_, "") => return fail("empty separator"),
            ("partition", separator) => {
                whole.split_once(separator).map_or([whole, "", ""], |(a, b)| [a, separator, b])
            }
            (_, separator) => {
                whole.rsplit_once(separator).map_or(["", "", whole], |(a, b)| [a, separator, b])
            }
        };
        return Value::tuple(parts.iter().map(|part| like(text, part)).collect(), budget);
    }
    let [separator, most] = args.bind(method, ["sep", "maxsplit"])?;
    let separator = match &separator {
        None | Some(Value::None) => None,
        Some(separator) if separator.str()?.is_empty() => return fail("empty separator"),
        Some(separator) => Some(separator.str()?),
    };
    let most = most.map_or(Ok(-1), |most| most.int())?;
    let split = split(whole, separator, most, method == "rsplit");
    Value::list(split.into_iter().map(|piece| like(text, piece)).collect(), budget)
}

fn found(text: &str, method: &str, args: Arguments, budget: &mut Budget) -> Outcome<Value> {
    let [part, start, end] = args.bind(method, ["sub", "start", "end"])?;
    let part = required(part, method, "sub")?;
    budget.spend(text.len() / 16)?;
    let length = text.chars().count() as i128;
    let place = |bound: Option<Value>, default: i128| -> Outcome<i128> {
        match bound {
            None | Some(Value::None) => Ok(default),
            Some(bound) => {
                let bound = bound.int()?;
                Ok(if bound < 0 { (bound + length).max(0) } else { bound })
            }
        }
    };
    let (start, end) = (place(start, 0)?, place(end, length)?.min(length));
    let is_inside = start <= length && start <= end;
    let byte = |at: i128| text.char_indices().nth(at as usize).map_or(text.len(), |(byte, _)| byte);
    let inner = if is_inside { &text[byte(start)..byte(end)] } else { "" };
    if let "startswith" | "endswith" = method {
        let matches = |part: &Value| -> Outcome<bool> {
            let part = part.str()?;
            Ok(is_inside
                && if method == "startswith" { inner.starts_with(part) } else { inner.ends_with(part) })
        };
        return match &part {
            Value::Tuple(parts) => {
                for part in &parts.values {
                    if matches(part)? {
                        return Ok(Value::Bool(true));
                    }
                }
                Ok(Value::Bool(false))
            }
            Value::Text(_) => Ok(Value::Bool(matches(&part)?)),
            other => {
                fail(format!("{method} first arg must be str or a tuple of str, not {}", other.type_name()))
            }
        };
    }
    let part = part.str()?;
    if method == "count" {
        return Ok(Value::Int(if is_inside { inner.matches(part).count() as i128 } else { 0 }));
    }
    let byte = if method.starts_with('r') { inner.rfind(part) } else { inner.find(part) };
    match byte.filter(|_| is_inside) {
        Some(byte) => Ok(Value::Int(start + inner[..byte].chars().count() as i128)),
        None if method.ends_with("index") => fail("substring not found"),
        None => Ok(Value::Int(-1)),
    }
}
