//! Compares two configs key by key.

use std::collections::BTreeMap;

use toml::{Table, Value};

/// Holds a key whose value differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The key with its path: `optimizer.lr`.
    pub key: String,
    /// Its value in the first config, as TOML.
    pub before: Option<String>,
    /// Its value in the second config.
    pub after: Option<String>,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "not there".into());
        write!(f, "{}: {} → {}", self.key, value(&self.before), value(&self.after))
    }
}

/// Returns the differences between two TOML texts, in the order of their keys.
pub fn differences(before: &str, after: &str) -> Result<Vec<Difference>, toml::de::Error> {
    let (before, after) = (flat(before)?, flat(after)?);
    let keys: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differ = keys.into_iter().filter(|key| before.get(*key) != after.get(*key));
    Ok(differ
        .map(|key| Difference {
            key: key.clone(),
            before: before.get(key).cloned(),
            after: after.get(key).cloned(),
        })
        .collect())
}

fn flat(text: &str) -> Result<BTreeMap<String, String>, toml::de::Error> {
    let mut keys = BTreeMap::new();
    flatten("", &text.parse::<Table>()?, &mut keys);
    Ok(keys)
}

fn flatten(path: &str, table: &Table, keys: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let key = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match value {
            Value::Table(inner) if !inner.is_empty() => flatten(&key, inner, keys),
            other => {
                keys.insert(key, other.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_told_with_both_values() {
        let check = |before: &str, after: &str, expect: &[&str]| {
            let found: Vec<String> =
                differences(before, after).unwrap().iter().map(ToString::to_string).collect();
            assert_eq!(found, expect);
        };
        let base = "model = \"m\"\n[optimizer]\nlr = 0.1\nwarmup = 3\n[env.arithmetic]\nlevels = [1, 2]\n";
        check(base, base, &[]);
        check(base, &base.replace("0.1", "0.2"), &["optimizer.lr: 0.1 → 0.2"]);
        check(base, &base.replace("warmup = 3\n", ""), &["optimizer.warmup: 3 → not there"]);
        check(base, &base.replace("[1, 2]", "[1]"), &["env.arithmetic.levels: [1, 2] → [1]"]);
        check(
            "[advantage.gtpo]\n",
            "[advantage.grpo]\n",
            &["advantage.grpo: not there → {}", "advantage.gtpo: {} → not there"],
        );
        assert!(differences("a = ", "").is_err());
    }
}
