//! Byte-level BPE. The file names the split of text before merging, and this module holds the meaning of the
//! names.

use serde_json::{Value as Json, json};

use super::{Parts, Vocabulary};
use crate::metadata::Metadata;

/// How texts are cut before bytes are merged.
enum Split {
    /// GPT-2's own expression, which the byte-level step knows.
    Gpt2,
    /// The same behind single digits.
    Digits,
    /// An expression.
    Expression(String),
}

/// Returns the expression of GPT-4's family; models differ in how many digits stay together.
fn expression(digits: &str) -> Split {
    Split::Expression(format!(
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ))
}

/// Returns the expression of GPT-4o's family, which cuts words before a capital.
fn o200k() -> String {
    let (upper, lower) = (r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]");
    let (before, behind) = (r"[^\r\n\p{L}\p{N}]?", r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?");
    format!(
        r"{before}{upper}*{lower}+{behind}|{before}{upper}+{lower}*{behind}|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
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
    Some(match name {
        "gpt-2" | "default" | "phi-2" | "olmo" | "mpt" | "jais" => plain(Split::Gpt2),
        "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" => plain(Split::Digits),
        "qwen2" | "deepseek-r1-qwen" | "megrez" => Flavour { nfc: true, ..plain(expression(r"\p{N}")) },
        "llama-bpe" | "llama3" | "llama-v3" | "falcon3" | "falcon-h1" | "pixtral" | "midm-2.0" | "lfm2" => {
            Flavour { whole_pieces: true, begins: true, ..plain(expression(r"\p{N}{1,3}")) }
        }
        "gpt-4o" => plain(Split::Expression(o200k())),
        "dbrx" | "smaug-bpe" => plain(expression(r"\p{N}{1,3}")),
        _ => return None,
    })
}

pub(super) fn parts(metadata: &Metadata, vocabulary: &Vocabulary<'_>) -> Result<Parts, String> {
    let name = metadata.text("tokenizer.ggml.pre")?.unwrap_or("default");
    let flavour = flavour(name).ok_or_else(|| {
        format!(
            "tokenizer.ggml.pre = \"{name}\" is not supported\n  hint: supported are smollm, qwen2, llama-bpe, gpt-2 and tokenizers that cut texts as they do"
        )
    })?;
    let merges = metadata
        .texts("tokenizer.ggml.merges")?
        .iter()
        .map(|merge| {
            merge
                .split_once(' ')
                .map(|(a, b)| json!([a, b]))
                .ok_or_else(|| format!("merge {merge:?} is no pair"))
        })
        .collect::<Result<Vec<Json>, String>>()?;
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
