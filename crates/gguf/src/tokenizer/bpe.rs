//! Makes a tokenizer of byte-level BPE. The file names the split of text before merging, and this module
//! holds the meaning of the names.

use std::collections::HashSet;

use serde_json::{Value as Json, json};

use super::{Parts, Vocabulary};
use crate::metadata::Metadata;

/// How texts are cut before bytes are merged.
enum Split {
    /// GPT-2's own expression, which the byte-level step knows.
    Gpt2,
    /// The same after single digits.
    Digits,
    /// An expression.
    Expression(String),
}

/// Returns the expression of GPT-4's family; models differ in how many digits stay together.
fn gpt4(digits: &str) -> Split {
    words_of(r"\p{L}", digits)
}

/// Returns GPT-4's expression with other letters in words, which no punctuation holds.
fn words_of(letters: &str, digits: &str) -> Split {
    Split::Expression(format!(
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?[{letters}]+|{digits}| ?[^\s{letters}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ))
}

/// Returns the expression of GPT-4o's family, which cuts words before a capital.
///
/// - `behind`: what may end a word
/// - `digits`: the digits that stay together
fn gpt4o(behind: &str, digits: &str) -> Split {
    let (upper, lower) = (r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]");
    let before = r"[^\r\n\p{L}\p{N}]?";
    Split::Expression(format!(
        r"{before}{upper}*{lower}+{behind}|{before}{upper}+{lower}*{behind}|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ))
}

/// A kind of byte-level BPE.
struct Flavour {
    split: Split,
    /// Unicode is normalised to NFC first.
    nfc: bool,
    /// A piece that is a token is that token, whatever the merges say.
    whole_pieces: bool,
    /// Texts begin with a token.
    begins: bool,
}

fn flavour(name: &str) -> Option<Flavour> {
    let plain = |split| Flavour { split, nfc: false, whole_pieces: false, begins: false };
    let upto_three = r"\p{N}{1,3}";
    Some(match name {
        "gpt-2" | "default" | "phi-2" | "olmo" | "mpt" | "jais" | "trillion" | "granite-docling"
        | "exaone4" => plain(Split::Gpt2),
        "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" => plain(Split::Digits),
        "qwen2" | "deepseek-r1-qwen" | "megrez" => Flavour { nfc: true, ..plain(gpt4(r"\p{N}")) },
        // Marks belong to the letters before them.
        "qwen35" => Flavour { nfc: true, ..plain(words_of(r"\p{L}\p{M}", r"\p{N}")) },
        "llama-bpe" | "llama3" | "llama-v3" | "falcon3" | "falcon-h1" | "pixtral" | "midm-2.0" | "lfm2" => {
            Flavour { whole_pieces: true, begins: true, ..plain(gpt4(upto_three)) }
        }
        "gpt-4o" | "llama4" => plain(gpt4o(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?", upto_three)),
        "tekken" => Flavour { whole_pieces: true, begins: true, ..plain(gpt4o("", r"\p{N}")) },
        "dbrx" | "smaug-bpe" => plain(gpt4(upto_three)),
        _ => return None,
    })
}

/// Returns the merges. Each makes a token of two others.
fn merges(metadata: &Metadata, vocabulary: &Vocabulary<'_>) -> Result<Vec<Json>, String> {
    const KEY: &str = "tokenizer.ggml.merges";
    let known: HashSet<&str> = vocabulary.known().map(|(_, token)| token).collect();
    let merge = |(at, merge): (usize, &String)| {
        let (left, right) =
            merge.split_once(' ').ok_or_else(|| format!("{KEY}[{at}] = {merge:?} is no pair"))?;
        let whole = [left, right].concat();
        match [left, right, &whole].into_iter().find(|token| !known.contains(token)) {
            Some(token) => Err(format!("{KEY}[{at}] = {merge:?}: {token:?} is not in the vocabulary")),
            None => Ok(json!([left, right])),
        }
    };
    metadata.texts(KEY)?.iter().enumerate().map(merge).collect()
}

pub(super) fn parts(metadata: &Metadata, vocabulary: &Vocabulary<'_>) -> Result<Parts, String> {
    let name = metadata.text("tokenizer.ggml.pre")?.unwrap_or("default");
    let flavour = flavour(name).ok_or_else(|| {
        format!(
            "tokenizer.ggml.pre = \"{name}\" is not supported\n  hint: supported are smollm, qwen2, llama-bpe, gpt-2 and tokenizers that cut texts as they do"
        )
    })?;
    let merges = merges(metadata, vocabulary)?;
    let bytes = |expression: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": expression});
    let pre_tokenizer = match flavour.split {
        Split::Gpt2 => bytes(true),
        Split::Digits => json!({
            "type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": true}, bytes(true)],
        }),
        Split::Expression(expression) => json!({
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": false},
                bytes(false),
            ],
        }),
    };
    Ok(Parts {
        normalizer: if flavour.nfc { json!({"type": "NFC"}) } else { Json::Null },
        pre_tokenizer,
        post_processor: bytes(false),
        decoder: bytes(true),
        model: json!({
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": flavour.whole_pieces,
            "vocab": vocabulary.json()?,
            "merges": merges,
        }),
        begins: flavour.begins,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use tokenizers::pre_tokenizers::PreTokenizerWrapper;
    use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

    use super::*;
    use crate::metadata::Value;

    /// Makes the step that cuts texts for a name of the file.
    fn cut(name: &str) -> PreTokenizerWrapper {
        let tokens = Value::Texts(vec!["a".into()]);
        let all =
            [("tokens", tokens), ("merges", Value::Texts(Vec::new())), ("pre", Value::Text(name.into()))];
        let all = all.map(|(key, value)| (format!("tokenizer.ggml.{key}"), value));
        let metadata = Metadata(BTreeMap::from(all));
        let parts = parts(&metadata, &Vocabulary::read(&metadata).unwrap()).unwrap();
        serde_json::from_value(parts.pre_tokenizer).unwrap()
    }

    /// Texts are cut as by published tokenizers (`tests/golden/gguf/make_splits.py`).
    #[test]
    fn texts_are_cut_as_the_published_tokenizers_cut_them() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/gguf/splits.json");
        let golden: Json = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let splits = golden["splits"].as_object().unwrap();
        assert_eq!(splits.len(), 7);
        for (name, split) in splits {
            let cut = cut(name);
            let texts = golden["texts"].as_array().unwrap().iter().zip(split["pieces"].as_array().unwrap());
            for (text, expected) in texts {
                let mut pieces = PreTokenizedString::from(text.as_str().unwrap());
                cut.pre_tokenize(&mut pieces).unwrap();
                let pieces = pieces.get_splits(OffsetReferential::Original, OffsetType::Byte);
                let pieces: Vec<&str> = pieces.into_iter().map(|(piece, _, _)| piece).collect();
                assert_eq!(json!(pieces), *expected, "{name}: {text}");
            }
        }
    }
}
