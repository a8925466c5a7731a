//! How a model writes tool calls: one file per format, chosen by name, never guessed from text.

mod fenced_python;
mod hermes;
mod json;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use turnwise_trajectory::{MalformedCall, ToolCall};

pub use fenced_python::FencedPython;
pub use hermes::Hermes;

use crate::spec::ToolSpec;

/// A call format: tools to prompt text, completions to calls, calls and results to text.
pub trait CallFormat: fmt::Debug + Send + Sync {
    /// The format's name in configs and on the command line.
    fn name(&self) -> &'static str;

    /// The part of the system prompt that offers the tools and shows how to call them.
    fn describe(&self, tools: &[ToolSpec]) -> String;

    /// Every call of a completion in the order written, malformed ones included. Spans are byte offsets of the
    /// whole call. Never panics, whatever the text. Doesn't know the tools: see [`crate::spec::check_calls`].
    fn parse(&self, completion: &str) -> Vec<Result<ToolCall, MalformedCall>>;

    /// Writes a call such that [`CallFormat::parse`] gives it back.
    fn render(&self, call: &ToolCall) -> String;

    /// Wraps a tool's text as the model sees it, e.g. `<tool_response>…</tool_response>`.
    fn render_output(&self, output: &str) -> String;

    /// Strings at which sampling should stop, because what follows is the environment's to write.
    fn stop_strings(&self) -> &[&str];
}

/// The registered formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FormatName {
    /// `<tool_call>{"name":…,"arguments":{…}}</tool_call>` (Hermes, Qwen2.5, Qwen3).
    Hermes,
    /// A Markdown block ```` ```python ````, read as a call of the tool `python`.
    FencedPython,
}

impl FormatName {
    /// Every format.
    pub const ALL: [FormatName; 2] = [FormatName::Hermes, FormatName::FencedPython];

    /// The format itself.
    pub fn build(self) -> Box<dyn CallFormat> {
        match self {
            FormatName::Hermes => Box::new(Hermes),
            FormatName::FencedPython => Box::new(FencedPython),
        }
    }
}

/// The format of that name, if there is one.
pub fn by_name(name: &str) -> Option<Box<dyn CallFormat>> {
    FormatName::ALL.into_iter().map(FormatName::build).find(|format| format.name() == name)
}

impl fmt::Display for FormatName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.build().name())
    }
}

/// No call format has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown call format {0:?}; hint: one of {names}", names = names())]
pub struct UnknownFormat(String);

fn names() -> String {
    FormatName::ALL.map(|name| name.to_string()).join(", ")
}

impl FromStr for FormatName {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Self::ALL.into_iter().find(|f| f.build().name() == name).ok_or_else(|| UnknownFormat(name.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn config_name_and_format_name_are_the_same() {
        for name in FormatName::ALL {
            assert_eq!(serde_json::to_value(name).unwrap(), name.build().name());
            assert_eq!(name.to_string().parse(), Ok(name));
            assert_eq!(by_name(&name.to_string()).unwrap().name(), name.to_string());
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = "hermess".parse::<FormatName>().unwrap_err().to_string();
        assert!(error.starts_with("unknown call format \"hermess\"; hint: one of hermes, "), "{error}");
    }
}
