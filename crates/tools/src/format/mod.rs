//! How a model writes tool calls: one file per format, chosen by name, never guessed from text.

mod deepseek;
mod fenced_python;
mod function_tag;
mod grammar;
mod hermes;
mod json;
mod lexer;
mod llama3_json;
mod mistral;
mod places;
mod python_literal;
mod pythonic;
mod quotes;
mod qwen_xml;
mod scan;
#[cfg(test)]
mod testing;
mod thought;
mod token_spans;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use turnwise_trajectory::{MalformedCall, ToolCall};

pub use deepseek::{DeepSeek, Version};
pub use fenced_python::{FencedPython, Profile};
pub use grammar::{Grammar, Marker, Place, Role};
pub use hermes::Hermes;
pub use lexer::{Found, Lexer, MAX_CALL_BYTES};
pub use llama3_json::Llama3Json;
pub use mistral::{Mistral, Style};
pub use pythonic::Pythonic;
pub use quotes::{JsonQuotes, ParameterQuotes, PythonQuotes, Quotes};
pub use qwen_xml::QwenXml;
pub use scan::{Fence, Gate, JsonValue, NamedJson, PythonCalls, PythonTag, Scan, Tagged};
pub use thought::{Opening, THINK, THOUGHTS, Thought};
pub use token_spans::TokenSpans;

use crate::spec::{ToolSpec, check_calls};

/// A call format: tools to prompt text, completions to calls, calls and results to text.
pub trait CallFormat: fmt::Debug + Send + Sync {
    /// Returns the format's name in configs and on the command line.
    fn name(&self) -> &'static str;

    /// Returns the part of the system prompt that offers the tools and shows how to call them.
    fn describe(&self, tools: &[ToolSpec]) -> String;

    /// Returns the grammar of calls: their beginnings, ends and contents.
    fn grammar(&self) -> &'static dyn Grammar;

    /// Returns a lexer to feed while sampling, for a completion that begins outside thoughts.
    fn lexer(&self) -> Lexer {
        Lexer::new(self.grammar())
    }

    /// Returns a lexer to feed while sampling, for a completion whose prompt may have opened a thought.
    /// Thoughts hold no calls.
    fn lexer_from(&self, opening: Opening) -> Lexer {
        Lexer::opening(self.grammar(), opening)
    }

    /// Returns every call of a completion with the strict verdict and what was evidently meant. Never panics,
    /// whatever the text.
    fn examine(&self, completion: &str) -> Vec<Found> {
        self.examine_from(Opening::Unknown, completion)
    }

    /// As [`CallFormat::examine`], for a completion whose beginning is known.
    fn examine_from(&self, opening: Opening, completion: &str) -> Vec<Found> {
        let mut lexer = self.lexer_from(opening);
        let mut found = lexer.push(completion.as_bytes());
        found.extend(lexer.finish());
        found
    }

    /// Returns every call of a completion in the order written, malformed ones included. Spans are byte
    /// offsets of the whole call. Doesn't know the tools: see [`CallFormat::parse_checked`].
    fn parse(&self, completion: &str) -> Vec<Result<ToolCall, MalformedCall>> {
        self.parse_from(Opening::Unknown, completion)
    }

    /// As [`CallFormat::parse`], for a completion whose beginning is known.
    fn parse_from(&self, opening: Opening, completion: &str) -> Vec<Result<ToolCall, MalformedCall>> {
        self.examine_from(opening, completion).into_iter().map(|found| found.verdict).collect()
    }

    /// As [`CallFormat::parse`], and checks the calls against the tools on offer. Formats that write values
    /// without types give them those of the schema.
    fn parse_checked(&self, completion: &str, tools: &[ToolSpec]) -> Vec<Result<ToolCall, MalformedCall>> {
        self.parse_checked_from(Opening::Unknown, completion, tools)
    }

    /// As [`CallFormat::parse_checked`], for a completion whose beginning is known.
    fn parse_checked_from(
        &self,
        opening: Opening,
        completion: &str,
        tools: &[ToolSpec],
    ) -> Vec<Result<ToolCall, MalformedCall>> {
        check_calls(self.parse_from(opening, completion), tools)
    }

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
    /// `<tool_call><function=…><parameter=…>` (Qwen3-Coder).
    QwenXml,
    /// `{"name":…,"parameters":{…}}` (Llama 3.1), or a list of such objects (xLAM).
    Llama3Json,
    /// `[name(key=value)]` (Llama 3.2 and 4).
    Pythonic,
    /// `[TOOL_CALLS]` (Mistral).
    Mistral,
    /// `<｜tool▁call▁begin｜>` (DeepSeek).
    #[serde(rename = "deepseek")]
    DeepSeek,
    /// A Markdown block ```` ```python ````, read as a call of the tool `python`, as in ToRL.
    FencedPython,
    /// The same with SimpleTIR's conventions.
    #[serde(rename = "fenced_python:simple_tir")]
    SimpleTir,
    /// The same with ReTool's: `<code>` and `<interpreter>`.
    #[serde(rename = "fenced_python:re_tool")]
    ReTool,
    /// `mistral` that writes `[TOOL_CALLS]name[ARGS]{…}`. Both read both.
    #[serde(rename = "mistral:args")]
    MistralArgs,
    /// `deepseek` that writes as V3.1. Both read both.
    #[serde(rename = "deepseek:v3.1")]
    DeepSeekV31,
}

impl FormatName {
    /// Every format.
    pub const ALL: [FormatName; 11] = [
        FormatName::Hermes,
        FormatName::QwenXml,
        FormatName::Llama3Json,
        FormatName::Pythonic,
        FormatName::Mistral,
        FormatName::DeepSeek,
        FormatName::FencedPython,
        FormatName::SimpleTir,
        FormatName::ReTool,
        FormatName::MistralArgs,
        FormatName::DeepSeekV31,
    ];

    /// Returns the format itself.
    pub fn build(self) -> Box<dyn CallFormat> {
        match self {
            FormatName::Hermes => Box::new(Hermes),
            FormatName::QwenXml => Box::new(QwenXml),
            FormatName::Llama3Json => Box::new(Llama3Json),
            FormatName::Pythonic => Box::new(Pythonic),
            FormatName::Mistral => Box::new(Mistral::default()),
            FormatName::DeepSeek => Box::new(DeepSeek::default()),
            FormatName::FencedPython => Box::new(FencedPython { profile: Profile::Torl }),
            FormatName::SimpleTir => Box::new(FencedPython { profile: Profile::SimpleTir }),
            FormatName::ReTool => Box::new(FencedPython { profile: Profile::ReTool }),
            FormatName::MistralArgs => Box::new(Mistral { style: Style::Args }),
            FormatName::DeepSeekV31 => Box::new(DeepSeek { version: Version::V31 }),
        }
    }
}

/// Returns the format of that name, if there is one.
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
