//! Returns the bytes of one token. A tokenizer decodes only sequences, and one token may be a part of a
//! character.

use tokenizers::{DecoderWrapper, Tokenizer};
use turnwise_trajectory::TokenId;

/// Returns the bytes of a token; none if the vocabulary doesn't have it.
pub(super) fn bytes(tokenizer: &Tokenizer, token: TokenId) -> Vec<u8> {
    let Some(piece) = tokenizer.id_to_token(token) else { return Vec::new() };
    // Added tokens stand for themselves.
    if tokenizer.get_added_vocabulary().get_added_tokens_decoder().contains_key(&token) {
        return piece.into_bytes();
    }
    if tokenizer.get_decoder().is_some_and(is_byte_level) {
        return piece.chars().map(byte).collect::<Option<_>>().unwrap_or_else(|| piece.into_bytes());
    }
    // SentencePiece: `<0x0A>` is a byte, `▁` a space.
    let hex = piece.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
    match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
        Some(byte) => vec![byte],
        None => piece.replace('▁', " ").into_bytes(),
    }
}

fn is_byte_level(decoder: &DecoderWrapper) -> bool {
    match decoder {
        DecoderWrapper::ByteLevel(_) => true,
        DecoderWrapper::Sequence(sequence) => sequence.get_decoders().iter().any(is_byte_level),
        _ => false,
    }
}

/// Returns the byte that a letter of a byte-level vocabulary stands for: GPT-2 writes bytes that are
/// printable in Latin-1 as themselves, and the others, in order, as the letters from U+0100 on.
fn byte(letter: char) -> Option<u8> {
    let printable = |byte: &u8| matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    match u32::from(letter) {
        code @ 0..=0xFF => u8::try_from(code).ok().filter(printable),
        code => (0..=u8::MAX).filter(|byte| !printable(byte)).nth(code as usize - 0x100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tokenizer;

    #[test]
    fn the_bytes_of_tokens_are_the_bytes_of_the_text() {
        let tokenizer = tokenizer(&["<|im_end|>"]);
        for text in ["print(1)\n", "é😀 数学", "\t\0\u{7f}\u{a0}\u{ad}", "<tool_call>"] {
            let tokens = tokenizer.encode(text, false).unwrap();
            let spelled: Vec<u8> =
                tokens.get_ids().iter().flat_map(|&token| bytes(&tokenizer, token)).collect();
            assert_eq!(String::from_utf8_lossy(&spelled), text);
        }
        let end = tokenizer.token_to_id("<|im_end|>").unwrap();
        assert_eq!(bytes(&tokenizer, end), b"<|im_end|>");
        assert_eq!(bytes(&tokenizer, 1 << 30), b"");
    }

    #[test]
    fn every_byte_has_one_letter() {
        let letters: Vec<u8> = (0..0x200).filter_map(char::from_u32).filter_map(byte).collect();
        assert_eq!(letters.len(), 256);
        assert!((0..=255).all(|byte| letters.contains(&byte)));
    }
}
