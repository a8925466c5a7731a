//! `'%s' % values`, with Python's results.

use crate::budget::{Budget, Outcome, fail};
use crate::text::escape::escape;
use crate::text::numerals::Spec;
use crate::text::spelling::{repr, str};
use crate::value::compare::find;
use crate::value::{Text, Value};

/// Holds values to insert, in order or by name.
struct Given<'v> {
    all: &'v Value,
    next: usize,
    by_name: bool,
}

impl Given<'_> {
    fn take(&mut self) -> Outcome<Value> {
        let at = self.next;
        self.next += 1;
        let value = match self.all {
            Value::Tuple(items) => items.values.get(at).cloned(),
            one => (at == 0).then(|| one.clone()),
        };
        value.map_or_else(|| fail("not enough arguments for format string"), Ok)
    }

    fn named(&mut self, name: &str, budget: &mut Budget) -> Outcome<Value> {
        self.by_name = true;
        let Value::Dict(dict) = self.all else { return fail("format requires a mapping") };
        match find(&dict.pairs, &Value::text(name), budget)? {
            Some(at) => Ok(dict.pairs[at].1.clone()),
            None => fail(format!("there is no key {name:?} for the format")),
        }
    }

    /// Returns whether a value is left over.
    fn is_left(&self) -> bool {
        match self.all {
            Value::Tuple(items) => self.next < items.values.len(),
            Value::Undefined(_) | Value::Dict(_) | Value::List(_) | Value::Range(..) => false,
            _ => self.next == 0 && !self.by_name,
        }
    }
}

/// Computes `format % given`.
pub(crate) fn format(format: &Text, given: &Value, budget: &mut Budget) -> Outcome<Value> {
    let mut given = Given { all: given, next: 0, by_name: false };
    let mut out = String::new();
    let mut rest = &*format.text;
    while let Some(at) = rest.find('%') {
        budget.write(at)?;
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix('%') {
            out.push('%');
            rest = behind;
            continue;
        }
        let (name, spec, kind) = directive(&mut rest, &mut given)?;
        let value = match name {
            Some(name) => given.named(name, budget)?,
            None => given.take()?,
        };
        out.push_str(&one(&spec, kind, &value, format.safe, budget)?);
    }
    if given.is_left() {
        return fail("not all arguments converted during string formatting");
    }
    budget.write(rest.len())?;
    out.push_str(rest);
    Ok(Value::Text(Text { text: out.into(), safe: format.safe }))
}

/// Parses the text after `%`: perhaps a name, flags, width and precision, and the kind of the value.
fn directive<'f>(rest: &mut &'f str, given: &mut Given<'_>) -> Outcome<(Option<&'f str>, Spec, char)> {
    let name = match rest.strip_prefix('(') {
        Some(inner) => {
            let Some((name, behind)) = inner.split_once(')') else {
                return fail("incomplete format key");
            };
            *rest = behind;
            Some(name)
        }
        None => None,
    };
    let flags = rest.len() - rest.trim_start_matches(['-', '+', ' ', '#', '0']).len();
    let (flags, behind) = rest.split_at(flags);
    *rest = behind;
    let width = size(rest, given)?.unwrap_or(0);
    let precision = match rest.strip_prefix('.') {
        Some(behind) => {
            *rest = behind;
            Some(size(rest, given)?.unwrap_or(0).max(0))
        }
        None => None,
    };
    *rest = rest.trim_start_matches(['h', 'l', 'L']);
    let Some(kind) = rest.chars().next() else { return fail("incomplete format") };
    *rest = &rest[kind.len_utf8()..];
    let zeros = flags.contains('0') && !matches!(kind, 's' | 'r' | 'a' | 'c');
    let (fill, align) = match (flags.contains('-') || width < 0, zeros) {
        (true, _) => (' ', '<'),
        (false, true) => ('0', '='),
        (false, false) => (' ', '>'),
    };
    let spec = Spec {
        fill,
        align,
        sign: if flags.contains('+') { Some('+') } else { flags.contains(' ').then_some(' ') },
        alternate: flags.contains('#'),
        width: usize::try_from(width.unsigned_abs()).unwrap_or(usize::MAX),
        grouping: None,
        precision: precision.map(|precision| usize::try_from(precision).unwrap_or(usize::MAX)),
        kind: Some(kind),
    };
    Ok((name, spec, kind))
}

/// Parses a width or a precision, which may be among the values.
fn size(rest: &mut &str, given: &mut Given<'_>) -> Outcome<Option<i128>> {
    if let Some(behind) = rest.strip_prefix('*') {
        *rest = behind;
        return given.take()?.int().map(Some);
    }
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, behind) = rest.split_at(digits);
    *rest = behind;
    // A number too large to parse is too large for a width.
    Ok((!number.is_empty()).then(|| number.parse().unwrap_or(i128::MAX)))
}

fn one(spec: &Spec, kind: char, value: &Value, safe: bool, budget: &mut Budget) -> Outcome<String> {
    match kind {
        's' | 'r' | 'a' => {
            let text = if kind == 's' { str(value, budget)? } else { repr(value, budget)? };
            let markup = kind == 's' && matches!(value, Value::Text(text) if text.safe);
            let text = if safe && !markup { escape(&text, budget)? } else { text };
            let text = match spec.precision {
                Some(precision) => text.chars().take(precision).collect(),
                None => text,
            };
            spec.padded(&text, budget)
        }
        'd' | 'i' | 'u' => match value {
            Value::Float(number) if number.is_finite() => spec.integer(number.trunc() as i128, budget),
            value => match value.as_int() {
                Some(number) => spec.integer(number, budget),
                None => fail(format!("%{kind} format: a real number is required, not {}", value.type_name())),
            },
        },
        'x' | 'X' | 'o' => match value.as_int() {
            Some(number) => spec.integer(number, budget),
            None => fail(format!("%{kind} format: an integer is required, not {}", value.type_name())),
        },
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' => match value.as_float() {
            Some(number) => spec.float(number, budget),
            None => fail(format!("must be real number, not {}", value.type_name())),
        },
        'c' => {
            let letter = match value {
                Value::Text(text) if text.text.chars().count() == 1 => Some(text.text.to_string()),
                value => value
                    .as_int()
                    .and_then(|code| u32::try_from(code).ok())
                    .and_then(char::from_u32)
                    .map(String::from),
            };
            letter.map_or_else(|| fail("%c requires int or char"), |letter| spec.padded(&letter, budget))
        }
        other => fail(format!("unsupported format character {other:?}")),
    }
}
