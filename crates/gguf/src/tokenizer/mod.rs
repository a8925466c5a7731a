//! Makes `tokenizer.json` and `tokenizer_config.json` of the metadata.

mod bpe;
mod sentence_piece;

use serde_json::{Map, Value as Json, json};
use turnwise_jinja::{Moment, Template};

use crate::metadata::{Metadata, Value};

/// Holds a tokenizer in Hugging Face's form.
#[derive(Debug, Clone, PartialEq)]
pub struct MadeTokenizer {
    /// `tokenizer.json`.
    pub tokenizer: Json,
    /// `tokenizer_config.json`.
    pub settings: Json,
    /// Entries of the vocabulary.
    pub tokens: usize,
}

/// Kind of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Normal,
    /// Chat tokens and the like: never text.
    Control,
    /// An added token that is text.
    UserDefined,
    /// Fills the vocabulary up; the tokenizer doesn't know it.
    Unused,
}

/// The vocabulary of a file.
struct Vocabulary<'a> {
    tokens: &'a [String],
    sorts: Vec<Sort>,
}

/// Converts the tokenizer: byte-level BPE (`gpt2`) or SentencePiece's BPE (`llama`). An error names the key.
pub fn tokenizer(metadata: &Metadata) -> Result<MadeTokenizer, String> {
    let vocabulary = Vocabulary::read(metadata)?;
    let kind = metadata.text("tokenizer.ggml.model")?.unwrap_or("none");
    let parts = match kind {
        "gpt2" => bpe::parts(metadata, &vocabulary)?,
        "llama" => sentence_piece::parts(metadata, &vocabulary)?,
        other => {
            return Err(format!(
                "tokenizer \"{other}\" is not supported\n  hint: supported are gpt2 and llama"
            ));
        }
    };
    let begins = metadata.flag("tokenizer.ggml.add_bos_token")?.unwrap_or(parts.begins);
    let begin = named(metadata, &vocabulary, "bos")?.filter(|_| begins);
    let processor = begin.map_or(parts.post_processor, |(id, text)| with_begin(id, &text));
    let tokenizer = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": vocabulary.added(),
        "normalizer": parts.normalizer,
        "pre_tokenizer": parts.pre_tokenizer,
        "post_processor": processor,
        "decoder": parts.decoder,
        "model": parts.model,
    });
    Ok(MadeTokenizer {
        tokenizer,
        settings: settings(metadata, &vocabulary)?,
        tokens: vocabulary.tokens.len(),
    })
}

/// The parts in which the kinds of tokenizer differ.
struct Parts {
    normalizer: Json,
    pre_tokenizer: Json,
    post_processor: Json,
    decoder: Json,
    model: Json,
    /// Whether texts begin with a token where the file doesn't say.
    begins: bool,
}

impl<'a> Vocabulary<'a> {
    fn read(metadata: &'a Metadata) -> Result<Self, String> {
        let tokens = metadata.texts("tokenizer.ggml.tokens")?;
        if tokens.is_empty() {
            return Err("tokenizer.ggml.tokens is missing or empty".into());
        }
        let sorts = match metadata.get("tokenizer.ggml.token_type") {
            None => vec![Sort::Normal; tokens.len()],
            Some(Value::Ints(sorts)) if sorts.len() == tokens.len() => sorts
                .iter()
                .map(|sort| match sort {
                    3 => Sort::Control,
                    4 => Sort::UserDefined,
                    5 => Sort::Unused,
                    _ => Sort::Normal,
                })
                .collect(),
            Some(_) => return Err("tokenizer.ggml.token_type has not one number for each token".into()),
        };
        Ok(Self { tokens, sorts })
    }

    /// Returns every token that the tokenizer knows, with its id.
    fn known(&self) -> impl Iterator<Item = (usize, &'a str)> + '_ {
        let used = |at: &usize| self.sorts[*at] != Sort::Unused;
        (0..self.tokens.len()).filter(used).map(|at| (at, self.tokens[at].as_str()))
    }

    /// Returns the model's vocabulary.
    fn json(&self) -> Result<Json, String> {
        let mut all = Map::new();
        for (id, token) in self.known() {
            if all.insert(token.to_string(), id.into()).is_some() {
                return Err(format!("tokenizer.ggml.tokens holds {token:?} twice"));
            }
        }
        Ok(all.into())
    }

    /// Returns the tokens that are found in text before any other step.
    fn added(&self) -> Vec<Json> {
        let entry = |(id, token): (usize, &str)| {
            let special = self.sorts[id] == Sort::Control;
            json!({
                "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": special,
            })
        };
        let wanted = |(id, token): &(usize, &str)| {
            matches!(self.sorts[*id], Sort::Control | Sort::UserDefined) && !token.is_empty()
        };
        self.known().filter(wanted).map(entry).collect()
    }
}

/// Puts a token before a text.
fn with_begin(id: u64, token: &str) -> Json {
    let special = json!({token: {"id": token, "ids": [id], "tokens": [token]}});
    let begin = json!({"SpecialToken": {"id": token, "type_id": 0}});
    let sequence = |name: &str, type_id: u8| json!({"Sequence": {"id": name, "type_id": type_id}});
    json!({
        "type": "TemplateProcessing",
        "single": [begin, sequence("A", 0)],
        "pair": [begin, sequence("A", 0), {"SpecialToken": {"id": token, "type_id": 1}}, sequence("B", 1)],
        "special_tokens": special,
    })
}

/// The key of the chat template.
const TEMPLATE: &str = "tokenizer.chat_template";

/// Returns a special token that the metadata names by its id.
fn named(
    metadata: &Metadata,
    vocabulary: &Vocabulary<'_>,
    name: &str,
) -> Result<Option<(u64, String)>, String> {
    let key = format!("tokenizer.ggml.{name}_token_id");
    let Some(id) = metadata.size(&key)? else { return Ok(None) };
    let token = usize::try_from(id).ok().and_then(|id| vocabulary.tokens.get(id));
    Ok(Some((id, token.ok_or_else(|| format!("{key} = {id} is not in the vocabulary"))?.clone())))
}

fn settings(metadata: &Metadata, vocabulary: &Vocabulary<'_>) -> Result<Json, String> {
    let mut settings = Map::new();
    settings.insert("tokenizer_class".into(), "PreTrainedTokenizerFast".into());
    let architecture = metadata.text("general.architecture")?.unwrap_or_default();
    if let Some(length) = metadata.size(&format!("{architecture}.context_length"))? {
        settings.insert("model_max_length".into(), length.into());
    }
    for (ours, theirs) in [("bos", "bos"), ("eos", "eos"), ("padding", "pad"), ("unknown", "unk")] {
        if let Some((_, token)) = named(metadata, vocabulary, ours)? {
            settings.insert(format!("{theirs}_token"), token.into());
        }
    }
    settings.insert("clean_up_tokenization_spaces".into(), false.into());
    if let Some(template) = metadata.text(TEMPLATE)?.filter(|template| !template.is_empty()) {
        Template::new(template, Map::new(), Moment::now())
            .map_err(|error| format!("{TEMPLATE} is not a chat template: {error}"))?;
        settings.insert("chat_template".into(), template.into());
    }
    Ok(settings.into())
}
