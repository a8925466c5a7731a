//! Refuses texts that are far longer than the context before they are tokenised as a whole: that takes 600
//! bytes of memory for a token, and seconds for a megabyte.

use std::borrow::Cow;

use serde_json::Value;

use crate::ask::{Ask, Chat, Prompt};
use crate::model::Model;
use crate::refusal::Refusal;

/// Bytes that are tokenised at a time.
const PIECE: usize = 16 << 10;
/// Bytes of a long token. Texts that have more for each token of the context are looked into.
const BYTES: usize = 8;

/// Checks the texts of a request against twice the context, piece by piece. Tokens over the borders of pieces
/// can't make up for the other half.
pub(crate) fn check(model: &Model, ask: &Ask, context: usize) -> Result<(), Refusal> {
    let texts = match &ask.prompt {
        Prompt::Chat(chat) => of_chat(chat),
        Prompt::Text(text) => vec![Cow::from(text)],
        Prompt::Tokens(_) => return Ok(()),
    };
    if texts.iter().map(|text| text.len()).sum::<usize>() <= PIECE.max(BYTES * context) {
        return Ok(());
    }
    let mut tokens = 0;
    for piece in texts.iter().flat_map(|text| pieces(text)) {
        tokens += model.encode(piece).map_err(|error| Refusal::at("messages", error))?.len();
        if tokens > 2 * context {
            return Err(Refusal::too_long(&format!("more than {}", 2 * context), context));
        }
    }
    Ok(())
}

/// Returns the texts of a conversation: contents, arguments, tools.
fn of_chat(chat: &Chat) -> Vec<Cow<'_, str>> {
    let mut texts = Vec::with_capacity(chat.messages.len() + 1);
    for message in &chat.messages {
        texts.extend(message["content"].as_str().map(Cow::from));
        let calls = message["tool_calls"].as_array().map(Vec::as_slice).unwrap_or_default();
        texts.extend(calls.iter().map(|call: &Value| Cow::from(call["function"].to_string())));
    }
    if !chat.tools.is_empty() {
        texts.push(serde_json::to_string(&chat.tools).expect("a tool's description is JSON").into());
    }
    texts
}

/// Cuts a text between characters.
fn pieces(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let mut end = text.len().min(PIECE);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, rest) = text.split_at(end);
        text = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_text() {
        for text in ["", "abc", &"é".repeat(PIECE), &"a数".repeat(2 * PIECE)] {
            let cut: Vec<&str> = pieces(text).collect();
            assert_eq!(cut.concat(), text);
            assert!(cut.iter().all(|piece| (1..=PIECE).contains(&piece.len())));
        }
    }
}
