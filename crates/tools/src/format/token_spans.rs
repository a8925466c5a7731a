//! Maps a span of bytes to the tokens of a turn that cover it.

use std::ops::Range;

/// Ends of a turn's tokens in its text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TokenSpans {
    ends: Vec<usize>,
}

impl TokenSpans {
    /// Returns the ends of no tokens.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next token by its number of bytes. A token may hold a part of a character, or nothing.
    pub fn push(&mut self, bytes: usize) {
        let end = self.ends.last().copied().unwrap_or(0);
        self.ends.push(end + bytes);
    }

    /// Returns the tokens that overlap these bytes, including those that begin or end outside.
    pub fn of(&self, bytes: &Range<usize>) -> Range<usize> {
        let first = self.ends.partition_point(|end| *end <= bytes.start);
        let last = self.ends.partition_point(|end| *end < bytes.end);
        first..(last + 1).clamp(first, self.ends.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_that_overlap_are_covered() {
        // Text of 2 + 0 + 3 + 1 bytes in four tokens.
        let mut spans = TokenSpans::new();
        for bytes in [2, 0, 3, 1] {
            spans.push(bytes);
        }
        assert_eq!(spans.of(&(0..6)), 0..4);
        assert_eq!(spans.of(&(0..2)), 0..1);
        assert_eq!(spans.of(&(1..3)), 0..3);
        assert_eq!(spans.of(&(4..6)), 2..4);
        assert_eq!(spans.of(&(5..99)), 3..4);
    }
}
