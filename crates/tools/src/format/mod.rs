//! Defines how a model writes tool calls: one file per format, chosen by name, never guessed from text.

mod deepseek;
mod fenced_python;
mod found;
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

use turnwise_runfile::names;
use turnwise_trajectory::{MalformedCall, ToolCall};

pub use deepseek::{DeepSeek, Version};
pub use fenced_python::{FencedPython, Profile};
pub use found::Found;
pub use grammar::{Grammar, Marker, Place, Role};
pub use hermes::Hermes;
pub use json::beyond_64_bits;
pub use lexer::{Lexer, MAX_CALL_BYTES};
pub use llama3_json::Llama3Json;
pub use mistral::{Mistral, Style};
pub use pythonic::Pythonic;
pub use quotes::{JsonQuotes, ParameterQuotes, PythonQuotes, Quotes};
pub use qwen_xml::QwenXml;
pub use scan::{Fence, Gate, JsonValue, NamedJson, PythonCalls, PythonTag, Scan, Tagged};
pub use thought::{Opening, THINK, THOUGHTS, Thought};
pub use token_spans::TokenSpans;

use crate::spec::{ToolSpec, check_calls};

/// Turns tools into prompt text, completions into calls, and calls and results into text.
pub trait CallFormat: fmt::Debug + Send + Sync {
    /// Returns the format's name in configurations and on the command line.
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

    /// Returns every call of a completion with the strict verdict and the call that was evidently meant. It
    /// never panics, whatever the text.
    fn examine(&self, completion: &str) -> Vec<Found> {
        self.examine_from(Opening::Unknown, completion)
    }

    /// Works as [`CallFormat::examine`], for a completion whose beginning is known.
    fn examine_from(&self, opening: Opening, completion: &str) -> Vec<Found> {
        let mut lexer = self.lexer_from(opening);
        let mut found = lexer.push(completion.as_bytes());
        found.extend(lexer.finish());
        found
    }

    /// Returns every call of a completion in the order written, malformed ones included.
    ///
    /// Spans are byte offsets of the whole call. The tools on offer aren't known here: see
    /// [`CallFormat::parse_checked`].
    fn parse(&self, completion: &str) -> Vec<Result<ToolCall, MalformedCall>> {
        self.parse_from(Opening::Unknown, completion)
    }

    /// Works as [`CallFormat::parse`], for a completion whose beginning is known.
    fn parse_from(&self, opening: Opening, completion: &str) -> Vec<Result<ToolCall, MalformedCall>> {
        self.examine_from(opening, completion).into_iter().map(|found| found.verdict).collect()
    }

    /// Works as [`CallFormat::parse`], and checks the calls against the tools on offer. Formats that write
    /// values without types give them those of the schema.
    fn parse_checked(&self, completion: &str, tools: &[ToolSpec]) -> Vec<Result<ToolCall, MalformedCall>> {
        self.parse_checked_from(Opening::Unknown, completion, tools)
    }

    /// Works as [`CallFormat::parse_checked`], for a completion whose beginning is known.
    fn parse_checked_from(
        &self,
        opening: Opening,
        completion: &str,
        tools: &[ToolSpec],
    ) -> Vec<Result<ToolCall, MalformedCall>> {
        check_calls(self.parse_from(opening, completion), tools)
    }

    /// Writes a call such that [`CallFormat::parse`] returns it.
    fn render(&self, call: &ToolCall) -> String;

    /// Wraps a tool's text as the model sees it, for example `<tool_response>…</tool_response>`.
    fn render_output(&self, output: &str) -> String;

    /// Returns strings at which sampling should stop, because the environment writes what follows.
    fn stop_strings(&self) -> &[&str];
}

names! {
    /// The registered formats.
    pub enum FormatName("call format") {
        /// `<tool_call>{"name":…,"arguments":{…}}</tool_call>` (Hermes, Qwen2.5, Qwen3).
        "hermes" => Hermes = Hermes,
        /// `<tool_call><function=…><parameter=…>` (Qwen3-Coder).
        "qwen_xml" => QwenXml = QwenXml,
        /// `{"name":…,"parameters":{…}}` (Llama 3.1), or a list of such objects (xLAM).
        "llama3_json" => Llama3Json = Llama3Json,
        /// `[name(key=value)]` (Llama 3.2 and 4).
        "pythonic" => Pythonic = Pythonic,
        /// `[TOOL_CALLS]` (Mistral).
        "mistral" => Mistral = Mistral::default(),
        /// `<｜tool▁call▁begin｜>` (DeepSeek).
        "deepseek" => DeepSeek = DeepSeek::default(),
        /// A Markdown block ```` ```python ````, read as a call of the tool `python`, as in ToRL.
        "fenced_python" => FencedPython = FencedPython { profile: Profile::Torl },
        /// The same with SimpleTIR's conventions.
        "fenced_python:simple_tir" => SimpleTir = FencedPython { profile: Profile::SimpleTir },
        /// The same with ReTool's: `<code>` and `<interpreter>`.
        "fenced_python:re_tool" => ReTool = FencedPython { profile: Profile::ReTool },
        /// `mistral` that writes `[TOOL_CALLS]name[ARGS]{…}`. Both read both.
        "mistral:args" => MistralArgs = Mistral { style: Style::Args },
        /// `deepseek` that writes as V3.1. Both read both.
        "deepseek:v3.1" => DeepSeekV31 = DeepSeek { version: Version::V31 },
    }
    /// Returns the format itself.
    pub fn build(self) -> Box<dyn CallFormat>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn config_name_and_format_name_are_the_same() {
        for name in FormatName::ALL {
            assert_eq!(serde_json::to_value(name).unwrap(), name.build().name());
            assert_eq!(name.build().name().parse(), Ok(name));
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = "hermess".parse::<FormatName>().unwrap_err().to_string();
        assert!(error.starts_with("unknown call format \"hermess\"\n  hint: one of hermes, "), "{error}");
    }
}
