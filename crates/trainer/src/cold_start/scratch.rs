//! Makes a model from nothing: a byte-level BPE from texts, and random weights. The folder loads in
//! `transformers`.

use std::collections::HashMap;
use std::path::Path;

use serde_json::json;
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::{AddedToken, Tokenizer};
use turnwise_model::{AttentionConfig, BlockConfig, ModelConfig};
use turnwise_runfile::Conflict;

use crate::config::ScratchConfig;

/// Padding and end of text; never sampled.
const PAD: &str = "<|endoftext|>";
/// Starts a message.
const START: &str = "<|im_start|>";
/// Ends a message.
const END: &str = "<|im_end|>";
/// Markers of calls and outputs: single tokens, though part of the text.
const MARKERS: [&str; 4] = ["<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"];

/// Spells messages as the chat format of `turnwise-rollout` does, for other readers of the folder.
const CHAT_TEMPLATE: &str = "{% for m in messages %}{% if m['role'] == 'tool' %}\
{{ '<|im_start|>user\\n<tool_response>\\n' + m['content'] + '\\n</tool_response><|im_end|>\\n' }}\
{% else %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}{% endif %}{% endfor %}\
{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/// Trains a byte-level BPE tokenizer (arXiv:1508.07909) on texts. Each digit is a single token, so a number
/// is always spelled alike.
///
/// # Errors
/// One line if the vocabulary is too small to hold all bytes.
pub fn tokenizer(texts: &[String], vocab_size: usize) -> Result<Tokenizer, String> {
    let least = 256 + 3 + MARKERS.len();
    if vocab_size < least {
        return Err(format!(
            "vocab_size = {vocab_size} is below {least}: 256 bytes and the chat tokens must fit"
        ));
    }
    let failed = |e: tokenizers::Error| format!("cannot make a tokenizer: {e}");
    let mut tokenizer = Tokenizer::new(BPE::default());
    let bytes = ByteLevel::default().add_prefix_space(false);
    tokenizer.with_pre_tokenizer(Some(Sequence::new(vec![
        PreTokenizerWrapper::Digits(Digits::new(true)),
        PreTokenizerWrapper::ByteLevel(bytes),
    ])));
    tokenizer.with_decoder(Some(bytes));
    let special = [PAD, START, END].map(|text| AddedToken::from(text, true));
    let trainer = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(vocab_size - MARKERS.len())
        .special_tokens(special.to_vec())
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    // The BPE merges only text between markers and chat tokens.
    let pieces: Vec<&str> = texts.iter().flat_map(|text| split_at_tokens(text)).collect();
    tokenizer.train(&mut TrainerWrapper::BpeTrainer(trainer), pieces.iter()).map_err(failed)?;
    tokenizer.add_tokens(MARKERS.map(|text| AddedToken::from(text, false))).map_err(failed)?;
    Ok(tokenizer)
}

/// Returns the text between chat tokens and markers.
fn split_at_tokens(text: &str) -> Vec<&str> {
    let mut pieces = vec![text];
    for token in [PAD, START, END].iter().chain(&MARKERS) {
        pieces = pieces.into_iter().flat_map(|piece| piece.split(token)).collect();
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// Returns the architecture that a scratch configuration describes.
pub fn model_config(config: &ScratchConfig, tokenizer: &Tokenizer) -> Result<ModelConfig, String> {
    if let Some(Conflict { key, message }) = config.conflict() {
        return Err(format!("{key} {message}"));
    }
    let attention = AttentionConfig::new(config.heads, config.kv_heads, config.hidden_size / config.heads);
    let block = BlockConfig::new(attention, config.intermediate_size);
    let model = ModelConfig {
        max_position: config.max_position,
        ..ModelConfig::new(tokenizer.get_vocab_size(true), config.hidden_size, vec![block; config.layers])
    };
    model.check()?;
    Ok(model)
}

/// Writes the tokenizer files of a Hugging Face folder.
pub fn write_tokenizer(tokenizer: &Tokenizer, folder: &Path) -> Result<(), String> {
    let id = |text: &str| tokenizer.token_to_id(text).expect("the chat tokens were added when it was made");
    let tokens: HashMap<&str, u32> =
        [("bos_token_id", id(PAD)), ("eos_token_id", id(END)), ("pad_token_id", id(PAD))].into();
    let settings = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "pad_token": PAD,
        "clean_up_tokenization_spaces": false,
        "chat_template": CHAT_TEMPLATE,
    });
    let failed =
        |name: &str, e: &dyn std::fmt::Display| format!("{}: cannot write: {e}", folder.join(name).display());
    std::fs::create_dir_all(folder).map_err(|e| failed("", &e))?;
    tokenizer.save(folder.join("tokenizer.json"), false).map_err(|e| failed("tokenizer.json", &e))?;
    for (name, value) in [
        ("tokenizer_config.json", settings),
        (
            "generation_config.json",
            json!({ "eos_token_id": tokens["eos_token_id"], "pad_token_id": tokens["pad_token_id"] }),
        ),
    ] {
        let text = serde_json::to_string_pretty(&value).expect("JSON of plain values") + "\n";
        std::fs::write(folder.join(name), text).map_err(|e| failed(name, &e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_markers_are_single_tokens_and_text_survives() {
        let text = "<|im_start|>assistant\nadd 12 and 345\n<tool_call>\n{\"name\": \"python\"}\n</tool_call><|im_end|>\n";
        let made = tokenizer(&vec![text.to_string(); 50], 300).unwrap();
        let ids = made.encode_fast(text, false).unwrap();
        assert_eq!(made.decode(ids.get_ids(), false).unwrap(), text);
        for token in ["1", "2", "3", "<tool_call>", "<|im_end|>"] {
            let id = made.token_to_id(token).unwrap();
            assert!(ids.get_ids().contains(&id), "{token} is a token of its own");
        }
        assert!(ids.len() < text.len() / 2, "frequent text is merged");
        assert!(tokenizer(&[], 100).unwrap_err().contains("vocab_size = 100"));
    }

    #[test]
    fn the_same_texts_make_the_same_tokenizer() {
        let texts: Vec<String> =
            (0..200).map(|i| format!("step {i}: compute {} and answer {}", i * 7, i * i)).collect();
        let make = || tokenizer(&texts, 400).unwrap().to_string(false).unwrap();
        assert_eq!(make(), make());
    }
}
