//! Defines how a model writes tool calls: one file per format, chosen by name, never guessed from text.
//!
//! # A list that is cut off
//! Calls in one list, or between one pair of tags, are one piece of text. If the completion ends inside it,
//! there's one `unterminated` violation from its start to the end, and no call of it runs.

mod call_lines;
mod deepseek;
mod escape_value;
mod fenced_python;
mod foreign;
mod found_call;
mod function_tag;
mod functiongemma;
mod gemma3;
mod glm4;
mod glm4_5;
mod grammar;
mod granite;
mod harmony;
mod hermes;
mod json;
mod kimi_k2;
mod lexer;
mod lfm2;
mod llama3_json;
mod mistral;
mod of_template;
mod olmo3;
mod phi4_mini;
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
mod untyped;

use std::fmt;

use turnwise_runfile::names;
use turnwise_trajectory::{MalformedCall, ToolCall};

pub use deepseek::{DeepSeek, Version};
pub use fenced_python::{FencedPython, Profile};
pub use found_call::Found;
pub use functiongemma::FunctionGemma;
pub use gemma3::Gemma3;
pub use glm4::Glm4;
pub use glm4_5::Glm45;
pub use grammar::{Grammar, Marker, Place, Role};
pub use granite::Granite;
pub use harmony::Harmony;
pub use hermes::Hermes;
pub use kimi_k2::KimiK2;
pub use lexer::{Lexer, MAX_CALL_BYTES};
pub use lfm2::Lfm2;
pub use llama3_json::Llama3Json;
pub use mistral::{Mistral, Style};
pub use olmo3::Olmo3;
pub use phi4_mini::Phi4Mini;
pub use pythonic::Pythonic;
pub use quotes::{JsonQuotes, MarkQuotes, ParameterQuotes, PythonQuotes, Quotes, ValueTags};
pub use qwen_xml::QwenXml;
pub use scan::{
    AnyList, Fence, Gate, Head, HeadedJson, JsonValue, NamedJson, PythonCalls, Scan, Section, Tagged,
};
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
    /// Names a registered format.
    pub enum FormatName("call format") {
        /// `<tool_call>{"name":…,"arguments":{…}}</tool_call>` (Hermes, Qwen2.5, Qwen3).
        "hermes" => Hermes = Hermes,
        /// `<tool_call><function=…><parameter=…>` (Qwen3-Coder, Qwen3.5).
        "qwen_xml" => QwenXml = QwenXml,
        /// `{"name":…,"parameters":{…}}` (Llama 3.1), or a list of such objects (xLAM).
        "llama3_json" => Llama3Json = Llama3Json,
        /// `[name(key=value)]` (Llama 3.2 and 4).
        "pythonic" => Pythonic = Pythonic,
        /// `[TOOL_CALLS]` (Mistral).
        "mistral" => Mistral = Mistral::default(),
        /// `<｜tool▁call▁begin｜>` (DeepSeek).
        "deepseek" => DeepSeek = DeepSeek::default(),
        /// `[name(key=value)]`, `{"name":…,"parameters":{…}}` or a block ```` ```tool_code ```` (Gemma 3).
        "gemma3" => Gemma3 = Gemma3,
        /// `<start_function_call>call:name{key:<escape>value<escape>}` (FunctionGemma).
        "functiongemma" => FunctionGemma = FunctionGemma,
        /// `<|tool_call_start|>[name(key='value')]<|tool_call_end|>` (LFM2, LFM2.5).
        "lfm2" => Lfm2 = Lfm2,
        /// `<|tool_call|>[{"name":…,"arguments":{…}}]` (Granite 3; Granite 4 writes `hermes`).
        "granite" => Granite = Granite,
        /// `<function_calls>` with a call `name(key='value')` on each line (OLMo 3).
        "olmo3" => Olmo3 = Olmo3,
        /// `<|tool_call|>[{"name":…,"arguments":{…}}]<|/tool_call|>` (Phi-4-mini).
        "phi4_mini" => Phi4Mini = Phi4Mini,
        /// The name on a line and `{…}` on the next (GLM-4).
        "glm4" => Glm4 = Glm4,
        /// `<tool_call>name<arg_key>…</arg_key><arg_value>…</arg_value>` (GLM-4.5 and later).
        "glm4_5" => Glm45 = Glm45,
        /// `<|channel|>commentary to=functions.name<|message|>{…}` (gpt-oss).
        "harmony" => Harmony = Harmony,
        /// `<|tool_call_begin|>functions.name:0<|tool_call_argument_begin|>{…}` (Kimi K2).
        "kimi_k2" => KimiK2 = KimiK2,
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
