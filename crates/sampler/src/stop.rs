//! Decides when a turn ends: at a stop token, after a stop string, or at its limit of tokens.

use turnwise_trajectory::{Finish, TokenId};

/// Decodes tokens to text.
pub type Decode<'a> = &'a (dyn Fn(&[TokenId]) -> String + Sync);

/// Ends a turn at a stop token, or when a stop string is complete.
///
/// A stop token comes before a stop string, and both before the limit `max_new` of the request.
#[derive(Clone, Copy)]
pub struct StopRule<'a> {
    /// Tokens that end a turn; they belong to it.
    pub tokens: &'a [TokenId],
    /// Texts that end a turn; all tokens that cover them belong to it.
    pub strings: &'a [String],
    /// Decodes tokens; needed for `strings` only.
    pub decode: Option<Decode<'a>>,
}

impl StopRule<'_> {
    /// Returns why the turn ends after its last token, if it does.
    pub(crate) fn check(&self, turn: &[TokenId], limit: usize) -> Option<Finish> {
        if turn.last().is_some_and(|last| self.tokens.contains(last)) {
            return Some(Finish::EndOfTurn);
        }
        if let (false, Some(decode)) = (self.strings.is_empty(), self.decode) {
            // A token is at least one byte of text unless it is empty. This tail therefore covers the longest
            // stop string and the token that completes it; 8 more leave room for empty tokens.
            let longest = self.strings.iter().map(String::len).max().unwrap_or(0);
            let tail = decode(&turn[turn.len().saturating_sub(longest + 8)..]);
            if self.strings.iter().any(|stop| tail.contains(stop.as_str())) {
                return Some(Finish::StopString);
            }
        }
        (turn.len() >= limit).then_some(Finish::Length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_at_tokens_strings_and_the_limit() {
        let decode = |tokens: &[TokenId]| tokens.iter().map(|&t| char::from(t as u8)).collect::<String>();
        let strings = ["</x>".to_string()];
        let rule = StopRule { tokens: &[0], strings: &strings, decode: Some(&decode) };
        let bytes = |text: &str| text.bytes().map(u32::from).collect::<Vec<_>>();
        assert_eq!(rule.check(&bytes("ab</x"), 9), None);
        assert_eq!(rule.check(&bytes("ab</x>"), 9), Some(Finish::StopString));
        assert_eq!(rule.check(&bytes("ab\0"), 9), Some(Finish::EndOfTurn));
        assert_eq!(rule.check(&bytes("abc"), 3), Some(Finish::Length));
    }
}
