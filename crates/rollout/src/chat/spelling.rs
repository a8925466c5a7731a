//! Encodes rendered text. Text of a user or a tool can't forge chat tokens.
//!
//! A chat token is any added token of the tokenizer, special or not, but for white space. An assistant's text
//! may hold those that aren't special, such as the tags around a call: it sampled them as tokens.

use std::ops::Range;

use tokenizers::{AddedToken, Tokenizer};
use turnwise_trajectory::TokenId;

use super::token_bytes;

/// Marks the number of a guarded text on both sides. It is a private character, which no text uses.
const MARK: char = '\u{F0000}';

/// Holds a tokenizer twice: one encodes a chat token in text as that token, the other as letters.
pub(super) struct Spelling {
    reads_tokens: Tokenizer,
    reads_letters: Tokenizer,
    /// Texts of the chat tokens, and whether they are special.
    known: Vec<(String, bool)>,
}

/// Tokens of a part of a text: the byte that it begins at, the tokens, and the byte that each begins at.
type Part = (usize, Vec<TokenId>, Option<Vec<usize>>);

/// Holds guarded pieces of text by number; they are encoded as letters.
#[derive(Default)]
pub(super) struct Guarded(Vec<String>);

impl Spelling {
    pub(super) fn new(mut tokenizer: Tokenizer) -> Self {
        let mut known: Vec<(String, bool)> =
            chat_tokens(&tokenizer).map(|token| (token.content, token.special)).collect();
        // A tokenizer finds the longest of the tokens that begin alike.
        known.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then(a.cmp(b)));
        known.push((MARK.into(), true));
        let reads_letters = letters_only(&tokenizer);
        // After a normaliser, other letters could be encoded as a chat token.
        let exact: Vec<AddedToken> = chat_tokens(&tokenizer)
            .filter(|token| token.normalized)
            .map(|token| AddedToken { normalized: false, ..token })
            .collect();
        if !exact.is_empty() {
            // Existing tokens keep their numbers.
            let _ = tokenizer.add_tokens(exact);
        }
        Self { reads_tokens: tokenizer, reads_letters, known }
    }

    /// Returns the token with this text.
    pub(super) fn token(&self, text: &str) -> Option<TokenId> {
        self.reads_tokens.token_to_id(text)
    }

    /// Returns the chat token that a text begins with.
    pub(super) fn token_at_start(&self, text: &str) -> Option<&str> {
        self.known.iter().map(|(token, _)| token.as_str()).find(|token| text.starts_with(token))
    }

    /// Replaces all that a tokenizer would take for a chat token by a mark. In a text of the assistant
    /// (`own`) only special tokens are replaced.
    pub(super) fn guard(&self, text: &str, guarded: &mut Guarded, own: bool) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let known = self.known.iter().find(|(token, _)| rest.starts_with(token.as_str()));
            if let Some((token, _)) = known.filter(|(_, special)| *special || !own) {
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

    /// Returns the tokens of a rendered text, with the letters of each mark.
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

    /// Returns the tokens, as [`Spelling::encode`], and which of them lie in each of `spans`, byte ranges of
    /// `rendered`. A token never reaches over the start of a span, because a policy samples from there on.
    pub(super) fn encode_spans(
        &self,
        rendered: &str,
        guarded: &Guarded,
        spans: &[Range<usize>],
    ) -> (Vec<TokenId>, Vec<Range<usize>>) {
        let (mut tokens, mut starts) = (Vec::new(), Vec::new());
        let mut at = 0;
        for (nth, piece) in rendered.split(MARK).enumerate() {
            let letters =
                (nth % 2 == 1).then(|| piece.parse().ok()).flatten().and_then(|n: usize| guarded.0.get(n));
            let parts = match letters {
                Some(letters) => vec![(at, encode(&self.reads_letters, letters), None)],
                None => self.parts(piece, at, spans),
            };
            for (begins, ids, offsets) in parts {
                starts.extend(offsets.unwrap_or_else(|| vec![begins; ids.len()]));
                tokens.extend(ids);
            }
            at += piece.len() + MARK.len_utf8();
        }
        let index = |byte: usize| starts.partition_point(|start| *start < byte);
        (tokens, spans.iter().map(|span| index(span.start)..index(span.end)).collect())
    }

    /// Returns the tokens of a piece that begins at byte `at`, with the byte that each begins at. The piece
    /// is cut at the spans if a token would reach over the start of one.
    fn parts(&self, piece: &str, at: usize, spans: &[Range<usize>]) -> Vec<Part> {
        let end = at + piece.len();
        let inside = |byte: &usize| at < *byte && *byte < end;
        if let Ok(encoding) = self.reads_tokens.encode(piece, false) {
            let over =
                |byte: usize| encoding.get_offsets().iter().any(|(a, b)| at + a < byte && byte < at + b);
            if !spans.iter().map(|span| span.start).filter(inside).any(over) {
                let offsets = encoding.get_offsets().iter().map(|(start, _)| at + start).collect();
                return vec![(at, encoding.get_ids().to_vec(), Some(offsets))];
            }
        }
        let borders = spans.iter().flat_map(|span| [span.start, span.end]).filter(inside);
        let mut borders: Vec<usize> = [at, end].into_iter().chain(borders).collect();
        borders.sort_unstable();
        borders.dedup();
        let cut =
            |pair: &[usize]| (pair[0], encode(&self.reads_tokens, &piece[pair[0] - at..pair[1] - at]), None);
        borders.windows(2).map(cut).collect()
    }

    /// Returns the special token that a text ends with.
    pub(super) fn special_at_end(&self, text: &str) -> Option<&str> {
        let special = self.known.iter().filter(|(token, special)| *special && !token.starts_with(MARK));
        special.map(|(token, _)| token.as_str()).find(|token| text.ends_with(token))
    }

    /// Returns the tokens of plain text.
    pub(super) fn letters(&self, text: &str) -> Vec<TokenId> {
        encode(&self.reads_letters, text)
    }

    /// Returns the bytes of one token, which may be a part of a character.
    pub(super) fn bytes(&self, token: TokenId) -> Vec<u8> {
        token_bytes::bytes(&self.reads_tokens, token)
    }

    /// Returns the text of tokens.
    pub(super) fn decode(&self, tokens: &[TokenId]) -> String {
        decode(&self.reads_tokens, tokens)
    }
}

/// Returns the text of tokens. Invalid UTF-8 becomes replacement characters, because bad model output is
/// data.
pub fn decode(tokenizer: &Tokenizer, tokens: &[TokenId]) -> String {
    // Some decoders of the library fail on an empty list.
    if tokens.is_empty() { String::new() } else { tokenizer.decode(tokens, false).unwrap_or_default() }
}

/// Returns the chat tokens of a tokenizer.
fn chat_tokens(tokenizer: &Tokenizer) -> impl Iterator<Item = AddedToken> {
    let all = tokenizer.get_added_tokens_decoder().into_values();
    all.filter(|token| !token.content.trim().is_empty())
}

/// Returns a tokenizer that encodes the text of a chat token as letters, special or not.
pub(super) fn letters_only(tokenizer: &Tokenizer) -> Tokenizer {
    let mut letters = tokenizer.clone();
    let plain = chat_tokens(tokenizer).filter(|token| !token.special);
    let special: Vec<AddedToken> = plain.map(|token| AddedToken { special: true, ..token }).collect();
    if !special.is_empty() {
        // Existing tokens keep their numbers.
        let _ = letters.add_special_tokens(special);
    }
    letters.set_encode_special_tokens(true);
    letters
}

/// Returns the tokens of a text. A letter that a damaged tokenizer fails at is left out.
pub(super) fn encode(tokenizer: &Tokenizer, text: &str) -> Vec<TokenId> {
    let whole = |text: &str| tokenizer.encode_fast(text, false).map(|encoding| encoding.get_ids().to_vec());
    whole(text).unwrap_or_else(|_| {
        text.chars().filter_map(|c| whole(c.encode_utf8(&mut [0; 4])).ok()).flatten().collect()
    })
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
            let marked = spelling.guard(text, &mut guarded, false);
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

    #[test]
    fn spans_begin_and_end_between_tokens_and_change_no_other_token() {
        let spelling = Spelling::new(tokenizer(&["<|im_end|>"]));
        let mut guarded = Guarded::default();
        let forged = spelling.guard("tokens <|im_end|>", &mut guarded, false);
        let text = format!("{forged}é cut from the middle<|im_end|>\nof an output");
        let whole = spelling.encode(&text, &guarded);
        let token = text.find("<|im_end|>").unwrap();
        let end = token + "<|im_end|>".len();
        let outside = |at: &usize| *at >= forged.len() && (*at <= token || *at >= end);
        for start in text.char_indices().map(|(at, _)| at).filter(outside) {
            let span = start..end.max(start);
            let (tokens, spans) = spelling.encode_spans(&text, &guarded, std::slice::from_ref(&span));
            let [before, inside, behind] = [0..spans[0].start, spans[0].clone(), spans[0].end..tokens.len()]
                .map(|range| spelling.decode(&tokens[range]));
            assert_eq!(inside, text[span], "from {start}");
            assert_eq!(format!("{before}{inside}{behind}"), spelling.decode(&whole));
            assert!(tokens.len() <= whole.len() + 4, "the rest is cut as it was");
        }
        assert_eq!(spelling.encode_spans(&text, &guarded, &[]).0, whole);
    }
}
