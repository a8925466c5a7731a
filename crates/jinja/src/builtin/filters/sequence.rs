//! Filters on lists and dictionaries.

use super::select::{Path, follow, path};
use crate::budget::{Outcome, fail};
use crate::run::arguments::{Arguments, required};
use crate::run::state::Run;
use crate::value::compare::{equal, hashable, sort};
use crate::value::iterate;
use crate::value::{Text, Value};

pub(super) fn apply(run: &mut Run<'_>, name: &str, value: &Value, args: Arguments) -> Outcome<Value> {
    match name {
        "batch" | "slice" => portions(run, name, value, args),
        "dictsort" => dictsort(run, value, args),
        "sort" => {
            let [reverse, exact, attribute] = args.bind(name, ["reverse", "case_sensitive", "attribute"])?;
            let key = Key::new(attribute.as_ref(), exact, None);
            let sorted = key.sorted(run, value, reverse.is_some_and(|reverse| reverse.truth()))?;
            Value::list(sorted.into_iter().map(|(_, value)| value).collect(), &mut run.budget)
        }
        "unique" => {
            let [exact, attribute] = args.bind(name, ["case_sensitive", "attribute"])?;
            unique(run, value, &Key::new(attribute.as_ref(), exact, None))
        }
        "min" | "max" => {
            let [exact, attribute] = args.bind(name, ["case_sensitive", "attribute"])?;
            let key = Key::new(attribute.as_ref(), exact, None);
            // The first of equal values: sorting keeps their order.
            let sorted = key.sorted(run, value, name == "max")?;
            let first = sorted.into_iter().next().map(|(_, value)| value);
            Ok(first.unwrap_or_else(|| Value::undefined("No aggregated item, sequence was empty.")))
        }
        "groupby" => {
            let [attribute, default, exact] = args.bind(name, ["attribute", "default", "case_sensitive"])?;
            groupby(run, value, &Key::new(attribute.as_ref(), exact, default))
        }
        _ => {
            let [] = args.bind(name, [])?;
            plain(run, name, value)
        }
    }
}

fn plain(run: &mut Run<'_>, name: &str, value: &Value) -> Outcome<Value> {
    match (name, value) {
        ("list", value) => {
            let values = iterate::values(value, &mut run.budget)?;
            Value::list(values, &mut run.budget)
        }
        ("items", Value::Undefined(_)) => Value::iterator(Vec::new(), &mut run.budget),
        ("items", Value::Dict(dict)) => {
            let items = Value::View(crate::value::View::Items, dict.clone());
            let items = iterate::values(&items, &mut run.budget)?;
            Value::iterator(items, &mut run.budget)
        }
        ("items", _) => fail("Can only get item pairs from a mapping."),
        ("first", Value::Iterator(rest, _)) => {
            let first = rest.borrow_mut().pop_front();
            Ok(first.unwrap_or_else(|| Value::undefined("No first item, sequence was empty.")))
        }
        ("first", value) => {
            let first = iterate::values(value, &mut run.budget)?.into_iter().next();
            Ok(first.unwrap_or_else(|| Value::undefined("No first item, sequence was empty.")))
        }
        ("last", Value::Iterator(..)) => fail("'generator' object is not reversible"),
        ("last", value) => {
            let last = iterate::values(value, &mut run.budget)?.pop();
            Ok(last.unwrap_or_else(|| Value::undefined("No last item, sequence was empty.")))
        }
        (_, Value::Text(text)) => {
            run.budget.write(text.text.len())?;
            let reversed: String = text.text.chars().rev().collect();
            Ok(Value::Text(Text { text: reversed.into(), safe: text.safe }))
        }
        (_, value) => {
            let mut values = iterate::values(value, &mut run.budget)?;
            values.reverse();
            match value {
                Value::Iterator(..) => Value::list(values, &mut run.budget),
                _ => Value::iterator(values, &mut run.budget),
            }
        }
    }
}

/// Holds the key for comparing values: attributes, ignoring case by default.
struct Key {
    paths: Vec<Path>,
    exact: bool,
    default: Option<Value>,
}

impl Key {
    fn new(attribute: Option<&Value>, exact: Option<Value>, default: Option<Value>) -> Self {
        let paths = match attribute {
            Some(Value::Text(text)) => {
                text.text.split(',').map(|part| path(Some(&Value::text(part)))).collect()
            }
            other => vec![path(other)],
        };
        Self { paths, exact: exact.is_some_and(|exact| exact.truth()), default }
    }

    fn of(&self, run: &mut Run<'_>, value: &Value) -> Outcome<Value> {
        let mut parts = Vec::new();
        for path in &self.paths {
            let part = follow(run, value, path, self.default.as_ref())?;
            parts.push(if self.exact { part } else { folded(run, part)? });
        }
        match parts.len() {
            1 => Ok(parts.remove(0)),
            _ => Value::list(parts, &mut run.budget),
        }
    }

    fn sorted(&self, run: &mut Run<'_>, value: &Value, descending: bool) -> Outcome<Vec<(Value, Value)>> {
        let mut keyed = Vec::new();
        for value in iterate::values(value, &mut run.budget)? {
            keyed.push((self.of(run, &value)?, value));
        }
        sort(keyed, descending, &mut run.budget)
    }
}

/// Returns texts in lower case.
fn folded(run: &mut Run<'_>, value: Value) -> Outcome<Value> {
    match &value {
        Value::Text(text) => {
            run.budget.write(text.text.len().saturating_mul(3))?;
            Ok(Value::text(text.text.to_lowercase()))
        }
        _ => Ok(value),
    }
}

fn unique(run: &mut Run<'_>, value: &Value, key: &Key) -> Outcome<Value> {
    let (mut seen, mut all): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
    'values: for value in iterate::values(value, &mut run.budget)? {
        let key = key.of(run, &value)?;
        hashable(&key, &mut run.budget)?;
        for known in &seen {
            if equal(known, &key, &mut run.budget)? {
                continue 'values;
            }
        }
        seen.push(key);
        all.push(value);
    }
    Value::iterator(all, &mut run.budget)
}

fn groupby(run: &mut Run<'_>, value: &Value, key: &Key) -> Outcome<Value> {
    let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
    for (key, value) in key.sorted(run, value, false)? {
        match groups.last_mut() {
            Some((known, group)) if equal(known, &key, &mut run.budget)? => group.push(value),
            _ => groups.push((key, vec![value])),
        }
    }
    let shown = Key { paths: key.paths.clone(), exact: true, default: key.default.clone() };
    let mut all = Vec::new();
    for (_, group) in groups {
        let grouper = shown.of(run, &group[0])?;
        let group = Value::list(group, &mut run.budget)?;
        all.push(Value::group(grouper, group)?);
    }
    Value::list(all, &mut run.budget)
}

fn dictsort(run: &mut Run<'_>, value: &Value, args: Arguments) -> Outcome<Value> {
    let [exact, by, reverse] = args.bind("dictsort", ["case_sensitive", "by", "reverse"])?;
    let (dict, exact) = match value {
        Value::Dict(dict) => (dict, exact.is_some_and(|exact| exact.truth())),
        Value::Undefined(why) => return fail(&**why),
        other => return fail(format!("'{}' object has no attribute 'items'", other.type_name())),
    };
    let by_value = match by.as_ref().map_or(Some("key"), Value::as_str) {
        Some("key") => false,
        Some("value") => true,
        _ => return fail("You can only sort by either \"key\" or \"value\""),
    };
    let mut keyed = Vec::new();
    for (key, value) in &dict.pairs {
        let by = if by_value { value.clone() } else { key.clone() };
        let by = if exact { by } else { folded(run, by)? };
        keyed.push((by, Value::tuple(vec![key.clone(), value.clone()], &mut run.budget)?));
    }
    let sorted = sort(keyed, reverse.is_some_and(|reverse| reverse.truth()), &mut run.budget)?;
    Value::list(sorted.into_iter().map(|(_, pair)| pair).collect(), &mut run.budget)
}

fn portions(run: &mut Run<'_>, name: &str, value: &Value, args: Arguments) -> Outcome<Value> {
    let [size, fill] =
        args.bind(name, [if name == "batch" { "linecount" } else { "slices" }, "fill_with"])?;
    let size = required(size, name, "size")?.int()?;
    let fill = fill.filter(|fill| !matches!(fill, Value::None));
    let values = iterate::values(value, &mut run.budget)?;
    let Some(size) = usize::try_from(size).ok().filter(|size| *size > 0) else {
        return fail(format!("{name} takes a number above 0"));
    };
    run.budget.values(size)?;
    let mut all = Vec::new();
    let mut rest = values.as_slice();
    let (each, more) = (values.len() / size, values.len() % size);
    let portions = if name == "batch" { values.len().div_ceil(size) } else { size };
    for at in 0..portions {
        let short = name != "batch" && at >= more;
        let length = if name == "batch" { size.min(rest.len()) } else { each + usize::from(!short) };
        let (portion, behind) = rest.split_at(length);
        rest = behind;
        let mut portion = portion.to_vec();
        if let Some(fill) = &fill {
            match name {
                "batch" => portion.resize(size, fill.clone()),
                _ if short => portion.push(fill.clone()),
                _ => {}
            }
        }
        all.push(Value::list(portion, &mut run.budget)?);
    }
    Value::iterator(all, &mut run.budget)
}

/// Counts words: letters, digits and underscores.
pub(super) fn words(text: &str) -> usize {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).count()
}

/// Returns a text with a capital letter at the beginning of every word, as the filter `title`.
pub(super) fn titled(text: &str) -> String {
    let is_edge = |c: char| crate::read::lexer::is_space(c) || "-({[<".contains(c);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|c| !is_edge(c)) {
        out.push_str(&rest[..at]);
        let end = rest[at..].find(is_edge).map_or(rest.len(), |end| at + end);
        let mut word = rest[at..end].chars();
        out.extend(word.next().into_iter().flat_map(char::to_uppercase));
        out.push_str(&word.as_str().to_lowercase());
        rest = &rest[end..];
    }
    out + rest
}
