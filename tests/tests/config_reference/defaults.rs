//! Defaults, from the configuration that a nearly empty file resolves to.

use toml::Value;
use turnwise_trainer::config::{RunConfig, SftConfig, load, to_toml};

use crate::source::{Field, Item, Kind, Sources};

/// A resolved run file.
pub(crate) struct Defaults {
    command: &'static str,
    sets: Vec<String>,
    resolved: Value,
}

impl Defaults {
    /// Resolves `command` with these changes to its minimal config.
    pub(crate) fn of(command: &'static str, sets: &[String]) -> Self {
        let least: &[&str] = match command {
            "train" => &["model=m", "env=arithmetic"],
            _ => &["model.folder=m", "data.file=d", "steps=1", "batch=1"],
        };
        let all: Vec<String> = least.iter().map(ToString::to_string).chain(sets.iter().cloned()).collect();
        let text = match command {
            "train" => {
                to_toml(&load::<RunConfig>(None, &[], &all).unwrap_or_else(|e| panic!("{all:?}: {e}")))
            }
            _ => to_toml(&load::<SftConfig>(None, &[], &all).unwrap_or_else(|e| panic!("{all:?}: {e}"))),
        };
        Self { command, sets: sets.to_vec(), resolved: toml::from_str(&text).expect("TOML") }
    }

    /// The same with another choice at `path`, and something for each key that the choice must have.
    pub(crate) fn choosing(&self, sources: &Sources, path: &str, held: &Item) -> Self {
        let mut sets = self.sets.clone();
        sets.push(format!("{path}={{{}}}", required(sources, held)));
        Self::of(self.command, &sets)
    }

    fn at(&self, path: &str) -> Option<&Value> {
        path.split('.').try_fold(&self.resolved, |value, key| value.get(key))
    }

    /// Whether there is something at a path.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.at(path).is_some()
    }

    /// A value as TOML. None if the key is absent by default.
    pub(crate) fn value(&self, path: &str) -> Option<String> {
        self.at(path).map(ToString::to_string)
    }

    /// Which choice is made at a key.
    pub(crate) fn choice(&self, path: &str) -> Option<String> {
        match self.at(path)? {
            Value::Table(table) => table.keys().next().cloned(),
            other => other.as_str().map(str::to_string),
        }
    }

    /// Every key of the resolved file, with its full path.
    pub(crate) fn keys(&self) -> Vec<String> {
        let mut keys = Vec::new();
        collect("", &self.resolved, &mut keys);
        keys
    }
}

fn collect(path: &str, value: &Value, keys: &mut Vec<String>) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                collect(&path, value, keys);
            }
        }
        _ => keys.push(path.to_string()),
    }
}

/// The keys that a table must have, as the inside of an inline table.
pub(crate) fn required(sources: &Sources, item: &Item) -> String {
    let Kind::Table(fields) = &item.kind else { return String::new() };
    let value = |field: &Field| match sources.item(&field.kind, Some(item)).map(|inner| &inner.kind) {
        Some(Kind::Choice(variants)) if variants[0].holds.is_some() => {
            format!("{{{} = {{}}}}", variants[0].key)
        }
        Some(Kind::Choice(variants)) => format!("{:?}", variants[0].key),
        _ if field.key == "urls" => "[\"http://x\"]".into(),
        _ if field.kind.starts_with("Vec<") || field.kind == "Address" => "[\"x\"]".into(),
        _ => field.range.map_or("\"x\"".into(), |range| range.ends().1.to_string()),
    };
    let needed = fields.iter().filter(|field| field.required || is_alternative(item, &field.key));
    needed.map(|field| format!("{} = {}", field.key, value(field))).collect::<Vec<_>>().join(", ")
}

/// Pairs of keys of which a table must have one.
const EITHER: [(&str, &str); 2] = [("held_out_tasks", "held_out"), ("url", "command")];

/// Whether a key is the second of a pair; [`required`] gives it a value.
pub(crate) fn is_alternative(table: &Item, key: &str) -> bool {
    let Kind::Table(fields) = &table.kind else { return false };
    let has = |key: &str| fields.iter().any(|field| field.key == key);
    EITHER.iter().any(|(first, second)| key == *second && has(first))
}
