//! `'{}'.format(values)`, with Python's results.

use crate::budget::{Budget, Outcome, fail};
use crate::run::access;
use crate::run::arguments::Arguments;
use crate::run::state::Run;
use crate::text::escape::escape;
use crate::text::numerals::Spec;
use crate::text::spelling::{repr, str};
use crate::value::{Text, Value};

/// Holds the state of formatting one text.
struct Fields<'r, 't> {
    run: &'r mut Run<'t>,
    given: Arguments,
    /// Number of fields without a name so far.
    unnamed: usize,
    safe: bool,
}

/// Computes `format.format(given)`.
pub(crate) fn format(run: &mut Run<'_>, format: &Text, given: Arguments) -> Outcome<Value> {
    let safe = format.safe;
    let mut fields = Fields { run, given, unnamed: 0, safe };
    let text = fields.text(&format.text, 0)?;
    Ok(Value::Text(Text { text: text.into(), safe }))
}

impl Fields<'_, '_> {
    fn text(&mut self, format: &str, depth: usize) -> Outcome<String> {
        if depth > 2 {
            return fail("Max string recursion exceeded");
        }
        let mut out = String::new();
        let mut rest = format;
        while let Some(at) = rest.find(['{', '}']) {
            self.run.budget.write(at + 1)?;
            out.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(behind) = rest.strip_prefix(brace) {
                out.push_str(brace);
                rest = behind;
                continue;
            }
            if brace == "}" {
                return fail("Single '}' encountered in format string");
            }
            let Some(end) = end_of_field(rest) else { return fail("expected '}' before end of string") };
            let field = &rest[..end];
            rest = &rest[end + 1..];
            out.push_str(&self.field(field, depth)?);
        }
        self.run.budget.write(rest.len())?;
        Ok(out + rest)
    }

    fn field(&mut self, field: &str, depth: usize) -> Outcome<String> {
        let (path, spec) = match field.find([':', '!']) {
            Some(at) => (&field[..at], &field[at..]),
            None => (field, ""),
        };
        let (conversion, spec) = match spec.strip_prefix('!') {
            Some(behind) => {
                let Some(conversion) = behind.chars().next() else { return fail("end of string in format") };
                (Some(conversion), &behind[conversion.len_utf8()..])
            }
            None => (None, spec),
        };
        let value = self.value(path)?;
        let spec = self.text(spec.strip_prefix(':').unwrap_or(spec), depth + 1)?;
        let budget = &mut self.run.budget;
        let value = match conversion {
            None => value,
            Some('s') => Value::text(str(&value, budget)?),
            Some('r' | 'a') => Value::text(repr(&value, budget)?),
            Some(other) => return fail(format!("Unknown conversion specifier {other:?}")),
        };
        let markup = matches!(&value, Value::Text(text) if text.safe);
        let text = formatted(&value, &spec, budget)?;
        if self.safe && !markup { escape(&text, budget) } else { Ok(text) }
    }

    /// Returns the value of `0`, `name`, `0.key` or `name[key]`.
    fn value(&mut self, path: &str) -> Outcome<Value> {
        let end = path.find(['.', '[']).unwrap_or(path.len());
        let (first, mut rest) = path.split_at(end);
        let mut value = if first.is_empty() || first.bytes().all(|byte| byte.is_ascii_digit()) {
            let at = if first.is_empty() { self.unnamed } else { first.parse().unwrap_or(usize::MAX) };
            self.unnamed += usize::from(first.is_empty());
            let value = self.given.positional.get(at).cloned();
            value.map_or_else(|| fail("Replacement index out of range for positional args tuple"), Ok)?
        } else {
            let found = self.given.named.iter().find(|(name, _)| &**name == first);
            found.map_or_else(
                || fail(format!("there is no value {first:?} for the format")),
                |(_, value)| Ok(value.clone()),
            )?
        };
        while !rest.is_empty() {
            value = if let Some(behind) = rest.strip_prefix('.') {
                let end = behind.find(['.', '[']).unwrap_or(behind.len());
                rest = &behind[end..];
                access::attribute(self.run, &value, &behind[..end])?
            } else {
                let inner = rest.strip_prefix('[').unwrap_or(rest);
                let Some((key, behind)) = inner.split_once(']') else {
                    return fail("Missing ']' in format string");
                };
                rest = behind;
                let key = key.parse::<i128>().map_or_else(|_| Value::text(key), Value::Int);
                access::item(self.run, &value, &key)?
            };
        }
        Ok(value)
    }
}

/// Finds the end of a field, whose format may contain fields.
fn end_of_field(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => open += 1,
            '}' if open == 0 => return Some(at),
            '}' => open -= 1,
            _ => {}
        }
    }
    None
}

/// Formats a value as `format(value, spec)` does.
fn formatted(value: &Value, spec: &str, budget: &mut Budget) -> Outcome<String> {
    if spec.is_empty() {
        return str(value, budget);
    }
    let is_text = value.as_str().is_some();
    let spec = read(spec, is_text)?;
    let wrong =
        |kind: char| fail(format!("Unknown format code '{kind}' for object of type '{}'", value.type_name()));
    match (value, value.as_int(), spec.kind) {
        (Value::Text(text), ..) => match spec.kind {
            None | Some('s') => {
                let cut = spec.precision.unwrap_or(usize::MAX);
                spec.padded(&text.text.chars().take(cut).collect::<String>(), budget)
            }
            Some(kind) => wrong(kind),
        },
        (_, Some(number), None | Some('d' | 'x' | 'X' | 'o' | 'b' | 'n')) => match spec.precision {
            Some(_) => fail("Precision not allowed in integer format specifier"),
            None => spec.integer(number, budget),
        },
        (_, Some(number), Some('c')) => {
            let letter = u32::try_from(number).ok().and_then(char::from_u32);
            letter.map_or_else(|| wrong('c'), |letter| spec.padded(&letter.to_string(), budget))
        }
        (_, _, kind) => match (value.as_float(), kind) {
            (Some(number), None | Some('e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%' | 'n')) => {
                spec.float(number, budget)
            }
            (Some(_), Some(kind)) => wrong(kind),
            _ => fail(format!("unsupported format string passed to {}.__format__", value.type_name())),
        },
    }
}

fn read(text: &str, is_text: bool) -> Outcome<Spec> {
    let aligns = ['<', '>', '^', '='];
    let mut letters: Vec<char> = text.chars().collect();
    let mut spec = Spec {
        fill: ' ',
        align: if is_text { '<' } else { '>' },
        sign: None,
        alternate: false,
        width: 0,
        grouping: None,
        precision: None,
        kind: None,
    };
    letters.reverse();
    let mut aligned = true;
    match (letters.last().copied(), letters.iter().rev().nth(1).copied()) {
        (Some(fill), Some(align)) if aligns.contains(&align) => {
            (spec.fill, spec.align) = (fill, align);
            letters.truncate(letters.len() - 2);
        }
        (Some(align), _) if aligns.contains(&align) => {
            spec.align = align;
            letters.pop();
        }
        _ => aligned = false,
    }
    let mut take = |set: &[char]| letters.pop_if(|letter| set.contains(letter));
    spec.sign = take(&['+', '-', ' ']).filter(|sign| *sign != '-');
    spec.alternate = take(&['#']).is_some();
    if take(&['0']).is_some() && !aligned {
        spec.fill = '0';
        spec.align = if is_text { '<' } else { '=' };
    }
    let digits = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'];
    let number = |take: &mut dyn FnMut(&[char]) -> Option<char>| {
        let digits: String = std::iter::from_fn(|| take(&digits)).collect();
        (!digits.is_empty()).then(|| digits.parse().unwrap_or(usize::MAX))
    };
    spec.width = number(&mut take).unwrap_or(0);
    spec.grouping = take(&[',', '_']);
    if take(&['.']).is_some() {
        spec.precision = number(&mut take);
        if spec.precision.is_none() {
            return fail("Format specifier missing precision");
        }
    }
    spec.kind = letters.pop();
    if letters.is_empty() { Ok(spec) } else { fail("Invalid format specifier") }
}
