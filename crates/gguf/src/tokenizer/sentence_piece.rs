//! Makes a tokenizer of SentencePiece's BPE (Llama 2, Mistral): the file has scores instead of merges.

use std::cmp::Reverse;
use std::collections::HashMap;

use serde_json::{Value as Json, json};

use super::{Parts, Vocabulary};
use crate::metadata::{Metadata, Value};

/// SentencePiece's character for a space.
const SPACE: &str = "▁";

pub(super) fn parts(metadata: &Metadata, vocabulary: &Vocabulary<'_>) -> Result<Parts, String> {
    let scores = match metadata.get("tokenizer.ggml.scores") {
        Some(Value::Floats(scores)) if scores.len() == vocabulary.tokens.len() => scores,
        _ => return Err("tokenizer.ggml.scores has not one number for each token".into()),
    };
    let prefix = metadata.flag("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
    let unknown = super::named(metadata, vocabulary, "unknown")?.map(|(_, token)| token);
    let spaces = json!({"type": "Replace", "pattern": {"String": " "}, "content": SPACE});
    let mut normalizers = vec![spaces];
    let mut decoders = vec![
        json!({"type": "Replace", "pattern": {"String": SPACE}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    if prefix {
        normalizers.insert(0, json!({"type": "Prepend", "prepend": SPACE}));
        decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    Ok(Parts {
        normalizer: json!({"type": "Sequence", "normalizers": normalizers}),
        pre_tokenizer: Json::Null,
        post_processor: Json::Null,
        decoder: json!({"type": "Sequence", "decoders": decoders}),
        model: json!({
            "type": "BPE",
            "dropout": null,
            "unk_token": unknown,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": true,
            "byte_fallback": true,
            "ignore_merges": false,
            "vocab": vocabulary.json()?,
            "merges": merges(vocabulary, scores)?,
        }),
        begins: true,
    })
}

/// Squares of all tokens' lengths together: the work that finding their parts takes. A vocabulary of 256
/// thousand tokens has some 20 million; SentencePiece makes no token of more than 16 letters unless it is
/// told to.
const MOST_WORK: usize = 1 << 28;

/// Returns every way to make a token of two others, the best token first.
fn merges(vocabulary: &Vocabulary<'_>, scores: &[f32]) -> Result<Vec<Json>, String> {
    let ids: HashMap<&str, usize> = vocabulary.known().map(|(id, token)| (token, id)).collect();
    let mut found: Vec<(usize, &str, &str)> = Vec::new();
    let work = vocabulary.known().fold(0_usize, |sum, (_, token)| sum.saturating_add(token.len().pow(2)));
    if work > MOST_WORK {
        return Err(format!("tokens too long to be merged: {work} as the sum of their squared lengths"));
    }
    for (id, token) in vocabulary.known() {
        let mut ways: Vec<(&str, &str)> = token
            .char_indices()
            .skip(1)
            .map(|(at, _)| token.split_at(at))
            .filter(|(left, right)| ids.contains_key(left) && ids.contains_key(right))
            .collect();
        ways.sort_by_key(|(left, right)| (ids[left], ids[right]));
        found.extend(ways.into_iter().map(|(left, right)| (id, left, right)));
    }
    // Among tokens of one score those of longer parts come first; otherwise the order stays.
    found.sort_by(|a, b| {
        let lengths = |way: &(usize, &str, &str)| Reverse((way.1.chars().count(), way.2.chars().count()));
        scores[b.0].total_cmp(&scores[a.0]).then_with(|| lengths(a).cmp(&lengths(b)))
    });
    Ok(found.into_iter().map(|(_, left, right)| json!([left, right])).collect())
}
