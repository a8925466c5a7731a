//! Checks that every id of a folder's tokenizer has a row in the embedding.

use std::fmt;
use std::path::Path;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};

use crate::error::ModelError;
use crate::io::regular_file::read;

/// Maximum size of a tokenizer in bytes.
const LARGEST: u64 = 256 << 20;

/// The parts of a `tokenizer.json` that give ids.
#[derive(Deserialize)]
struct Tokenizer {
    #[serde(default)]
    added_tokens: Vec<Added>,
    #[serde(default)]
    model: Model,
}

#[derive(Deserialize)]
struct Added {
    id: u64,
    content: String,
}

#[derive(Deserialize, Default)]
struct Model {
    #[serde(default)]
    vocab: Highest,
}

/// The token with the highest id.
#[derive(Default)]
struct Highest(Option<(u64, String)>);

impl Highest {
    fn see(&mut self, id: u64, token: String) {
        if self.0.as_ref().is_none_or(|(highest, _)| *highest < id) {
            self.0 = Some((id, token));
        }
    }
}

/// Reads ids by token, or (Unigram) tokens with their scores in the order of their ids.
impl<'de> Deserialize<'de> for Highest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Vocabulary;

        impl<'de> Visitor<'de> for Vocabulary {
            type Value = Highest;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a vocabulary")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Highest, E> {
                Ok(Highest::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Highest, A::Error> {
                let mut highest = Highest::default();
                while let Some((token, id)) = map.next_entry::<String, u64>()? {
                    highest.see(id, token);
                }
                Ok(highest)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Highest, A::Error> {
                let mut pieces = 0;
                while list.next_element::<IgnoredAny>()?.is_some() {
                    pieces += 1;
                }
                let mut highest = Highest::default();
                if pieces > 0 {
                    highest.see(pieces - 1, "the last piece".into());
                }
                Ok(highest)
            }
        }

        deserializer.deserialize_any(Vocabulary)
    }
}

/// Checks that the model has a row for every id of the folder's tokenizer.
///
/// It fails if a chat token was added without resizing the embedding. A broken tokenizer is reported by the
/// code that uses it.
pub(crate) fn check(folder: &Path, vocab_size: usize) -> Result<(), ModelError> {
    let path = folder.join("tokenizer.json");
    let Ok(bytes) = read(&path, LARGEST) else { return Ok(()) };
    let Ok(tokenizer) = serde_json::from_slice::<Tokenizer>(&bytes) else { return Ok(()) };
    let mut highest = tokenizer.model.vocab;
    for Added { id, content } in tokenizer.added_tokens {
        highest.see(id, content);
    }
    match highest.0 {
        Some((id, token)) if id >= vocab_size as u64 => Err(ModelError::Config {
            path,
            message: format!(
                "token {id} ({token:?}) is not in the model's vocabulary: ids are below {vocab_size}\n  \
                 hint: resize the embedding to {} rows, or take the token out of the tokenizer",
                id.saturating_add(1)
            ),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_vocabulary_is_held_against_the_embedding() {
        let folder = tempfile::tempdir().unwrap();
        let check = |tokenizer: &str, refused: Option<&str>| {
            std::fs::write(folder.path().join("tokenizer.json"), tokenizer).unwrap();
            let found = check(folder.path(), 3).err().map(|error| error.to_string());
            match (found, refused) {
                (None, None) => {}
                (Some(error), Some(part)) => assert!(error.contains(part), "{tokenizer}: {error}"),
                other => panic!("{tokenizer}: {other:?}"),
            }
        };
        let added = |id: u64| format!(r#"{{"added_tokens":[{{"id":{id},"content":"<x>","special":true}}]}}"#);
        check(&added(2), None);
        check(&added(3), Some("token 3 (\"<x>\") is not in the model's vocabulary: ids are below 3"));
        check(&added(u64::MAX), Some("token 18446744073709551615"));
        check(r#"{"model":{"type":"BPE","vocab":{"a":0,"b":2},"merges":[]},"added_tokens":[]}"#, None);
        check(r#"{"model":{"type":"BPE","vocab":{"b":7,"a":0},"merges":[]}}"#, Some("token 7 (\"b\")"));
        check(r#"{"model":{"type":"Unigram","vocab":[["a",0.0],["b",-1.0],["c",-2.0]]}}"#, None);
        check(r#"{"model":{"type":"Unigram","vocab":[["a",0],["b",0],["c",0],["d",0]]}}"#, Some("token 3"));
        check(r#"{"model":{"vocab":null}}"#, None);
        // Broken files are reported by the code that reads text.
        for broken in ["", "[", "{}", r#"{"model":{"vocab":{"a":-1}}}"#] {
            check(broken, None);
        }
    }
}
