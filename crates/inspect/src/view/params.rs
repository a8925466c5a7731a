//! Parses the query of an address.

use std::collections::HashMap;
use std::str::FromStr;

use serde::Deserialize;

/// Holds decoded names and values.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Params(HashMap<String, String>);

impl Params {
    /// Returns a text; empty if absent.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// Returns a value; none if absent or empty, an error message if it can't be parsed.
    pub(super) fn value<T: FromStr>(&self, name: &str) -> Result<Option<T>, String> {
        match self.text(name) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| format!("{name}={text} can't be read")),
        }
    }

    /// Returns one of the named choices; the first if absent.
    pub(super) fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<T, String> {
        let wanted = self.text(name);
        let found = choices.iter().find(|(name, _)| *name == wanted || wanted.is_empty());
        found.map(|(_, choice)| *choice).ok_or_else(|| format!("{name}={wanted} is unknown"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_broken_ones_said() {
        let uri = "/?q=a%2Bb+%3Cscript%3E%C3%A9&step=&run=x&half=%4".parse().unwrap();
        let axum::extract::Query(params) = axum::extract::Query::<Params>::try_from_uri(&uri).unwrap();
        assert_eq!(params.text("q"), "a+b <script>é");
        assert_eq!(params.text("half"), "%4");
        assert_eq!(params.value::<u32>("step"), Ok(None));
        assert_eq!(params.value::<u32>("run"), Err("run=x can't be read".into()));
        assert_eq!(params.choice("sort", &[("a", 1), ("b", 2)]), Ok(1));
        assert_eq!(params.choice("run", &[("a", 1)]), Err("run=x is unknown".into()));
    }
}
