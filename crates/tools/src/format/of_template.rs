//! Finds the call format of a model folder by the words of its chat template.

use super::FormatName;

/// Words of a template or its tokenizer, all of which must be there, and the format that they show. The first
/// line that fits counts, so lines with rarer words come first.
const TABLE: &[(&[&str], FormatName)] = &[
    (&["<start_function_call>"], FormatName::FunctionGemma),
    (&["<|tool_call_start|>"], FormatName::Lfm2),
    (&["<|tool_call_argument_begin|>"], FormatName::KimiK2),
    (&["<|channel|>", "<|message|>", "commentary"], FormatName::Harmony),
    (&["<|channel|>", "<|constrain|>", "<|call|>"], FormatName::Harmony),
    (&["<arg_key>"], FormatName::Glm45),
    (&["<function_calls>"], FormatName::Olmo3),
    (&["<function=", "<parameter="], FormatName::QwenXml),
    (&["<|/tool_call|>"], FormatName::Phi4Mini),
    (&["functools["], FormatName::Phi4Mini),
    (&["<｜tool▁call▁begin｜>", "```json"], FormatName::DeepSeek),
    (&["<｜tool▁call▁begin｜>"], FormatName::DeepSeekV31),
    (&["[TOOL_CALLS]", "[ARGS]"], FormatName::MistralArgs),
    (&["[TOOL_CALLS]"], FormatName::Mistral),
    (&["<|start_of_role|>", "<tool_call>\\n"], FormatName::Hermes),
    (&["<|start_of_role|>", "<|tool_call|>"], FormatName::Granite),
    (&["<tool_call>"], FormatName::Hermes),
    (&["<|python_start|>"], FormatName::Pythonic),
    (&["<|python_tag|>"], FormatName::Llama3Json),
    (&["<|start_header_id|>", "\"parameters\": "], FormatName::Llama3Json),
    (&["<|observation|>"], FormatName::Glm4),
    (&["<start_of_turn>"], FormatName::Gemma3),
];

impl FormatName {
    /// Returns the format of a folder: by the words of its template, or else by the tokens of its tokenizer.
    /// None if neither tells.
    ///
    /// - `is_token`: whether the tokenizer has a text as one token
    pub fn of_folder(template: &str, is_token: impl Fn(&str) -> bool) -> Option<Self> {
        let fits = |holds: &dyn Fn(&str) -> bool| {
            TABLE.iter().find(|(words, _)| words.iter().all(|word| holds(word))).map(|(_, format)| *format)
        };
        fits(&|word| template.contains(word)).or_else(|| fits(&is_token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_comes_before_the_tokenizer() {
        let of =
            |template: &str, tokens: &[&str]| FormatName::of_folder(template, |word| tokens.contains(&word));
        assert_eq!(of("<|im_start|>", &[]), None);
        assert_eq!(of("<|im_start|>", &["<tool_call>"]), Some(FormatName::Hermes));
        assert_eq!(of("<tool_call><function=x><parameter=y>", &["<tool_call>"]), Some(FormatName::QwenXml));
        assert_eq!(of("<|im_user|>", &["<|tool_call_argument_begin|>"]), Some(FormatName::KimiK2));
        assert_eq!(of("<|tool_call|>", &["<|tool_call_start|>"]), Some(FormatName::Lfm2));
    }
}
