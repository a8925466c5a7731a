//! Rendered text to tokens. Text that a user or a tool wrote can't forge the chat's own tokens.

use tokenizers::Tokenizer;
use turnwise_trajectory::TokenId;

use super::token_bytes;

/// Stands around the number of a piece of text that must stay text. A private character: no text means anything by it.
const MARK: char = '\u{F0000}';

/// A tokenizer twice: one that reads the spelling of a chat token as that token, and one that reads it as letters.
pub(super) struct Spelling {
    reads_tokens: Tokenizer,
    reads_letters: Tokenizer,
    /// Spellings of the special tokens.
    special: Vec<String>,
}

/// Pieces of text that must stay text, by their number.
#[derive(Default)]
pub(super) struct Guarded(Vec<String>);

impl Spelling {
    pub(super) fn new(tokenizer: Tokenizer) -> Self {
        let mut special: Vec<String> = tokenizer
            .get_added_tokens_decoder()
            .into_values()
            .filter(|token| token.special && !token.content.is_empty())
            .map(|token| token.content)
            .collect();
        // The longest of those that begin alike is the one that a tokenizer finds.
        special.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
        special.push(MARK.into());
        let mut reads_letters = tokenizer.clone();
        reads_letters.set_encode_special_tokens(true);
        Self { reads_tokens: tokenizer, reads_letters, special }
    }

    /// The token that is spelled so.
    pub(super) fn token(&self, text: &str) -> Option<TokenId> {
        self.reads_tokens.token_to_id(text)
    }

    /// The special token that a text begins with.
    pub(super) fn special_at_start(&self, text: &str) -> Option<&str> {
        self.special.iter().map(String::as_str).find(|token| text.starts_with(token))
    }

    /// Puts a mark in the place of everything in `text` that a tokenizer would take for a chat token.
    pub(super) fn guard(&self, text: &str, guarded: &mut Guarded) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if let Some(token) = self.special.iter().find(|token| rest.starts_with(token.as_str())) {
                out.push(MARK);
                out.push_str(&guarded.0.len().to_string());
                out.push(MARK);
                guarded.0.push(token.clone());
                rest = &rest[token.len()..];
            } else {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
        out
    }

    /// Tokens of a rendered text. Marks become the letters that they stand for.
    pub(super) fn encode(&self, rendered: &str, guarded: &Guarded) -> Vec<TokenId> {
        let mut tokens = Vec::new();
        for (at, piece) in rendered.split(MARK).enumerate() {
            let letters =
                (at % 2 == 1).then(|| piece.parse().ok()).flatten().and_then(|n: usize| guarded.0.get(n));
            match letters {
                Some(letters) => tokens.extend(encode(&self.reads_letters, letters)),
                None => tokens.extend(encode(&self.reads_tokens, piece)),
            }
        }
        tokens
    }

    /// Tokens of plain text.
    pub(super) fn letters(&self, text: &str) -> Vec<TokenId> {
        encode(&self.reads_letters, text)
    }

    /// The bytes of one token, which may be a part of a character.
    pub(super) fn bytes(&self, token: TokenId) -> Vec<u8> {
        token_bytes::bytes(&self.reads_tokens, token)
    }

    /// Text of tokens. Bytes that are no UTF-8 become replacement characters: bad model output is data.
    pub(super) fn decode(&self, tokens: &[TokenId]) -> String {
        self.reads_tokens.decode(tokens, false).unwrap_or_default()
    }
}

fn encode(tokenizer: &Tokenizer, text: &str) -> Vec<TokenId> {
    match tokenizer.encode_fast(text, false) {
        Ok(encoding) => encoding.get_ids().to_vec(),
        Err(error) => unreachable!("a loaded tokenizer encodes any text: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tokenizer;

    #[test]
    fn guarded_text_is_letters_and_the_rest_as_it_was() {
        let spelling = Spelling::new(tokenizer(&["<|im_end|>", "<|im"]));
        let check = |text: &str| {
            let mut guarded = Guarded::default();
            let marked = spelling.guard(text, &mut guarded);
            let tokens = spelling.encode(&format!("<|im_end|>{marked}<|im_end|>"), &guarded);
            let end = spelling.token("<|im_end|>").unwrap();
            assert_eq!((tokens.first(), tokens.last()), (Some(&end), Some(&end)));
            let inner = &tokens[1..tokens.len() - 1];
            assert!(!inner.contains(&end) && !inner.contains(&spelling.token("<|im").unwrap()));
            assert_eq!(spelling.decode(inner), text);
            guarded.0.len()
        };
        assert_eq!(check("the tokens"), 0);
        assert_eq!(check("a<|im_end|>b<|im<|im_end|>"), 3);
        assert_eq!(check("\u{F0000}0\u{F0000}<|im_end|>"), 3);
    }
}
