//! A sequence of tokens with a mask.

use std::ops::Range;

use turnwise_trajectory::TokenId;

use crate::config::TooLong;

/// Holds tokens, and which of them are trained.
#[derive(Debug, Clone, PartialEq)]
pub struct Sequence {
    /// Line of the conversation in its file, from 1.
    pub line: usize,
    /// All tokens, `T` of them.
    pub tokens: Vec<TokenId>,
    /// Whether a token is trained, of length `T`. The first never is: nothing comes before it.
    pub mask: Vec<bool>,
    /// Tokens of each trained turn.
    pub(crate) turns: Vec<Range<usize>>,
}

impl Sequence {
    /// Returns the number of trained tokens.
    pub fn trained(&self) -> usize {
        self.mask.iter().filter(|trained| **trained).count()
    }

    /// Returns the runs of tokens that are trained, or not, in their order.
    pub fn runs(&self) -> impl Iterator<Item = (bool, &[TokenId])> {
        let mut at = 0;
        self.mask.chunk_by(|a, b| a == b).map(move |run| {
            let tokens = &self.tokens[at..at + run.len()];
            at += run.len();
            (run[0], tokens)
        })
    }

    /// Returns a sequence of `limit` tokens at most and whether trained tokens were cut off; none if it is to
    /// be left out.
    pub(crate) fn fitted(mut self, limit: usize, too_long: TooLong) -> Option<(Self, bool)> {
        if self.tokens.len() <= limit {
            return Some((self, false));
        }
        let end = self.turns.iter().map(|turn| turn.end).rfind(|end| *end <= limit);
        let loses = |end: &usize| self.mask[*end..].contains(&true);
        let end = end.filter(|end| too_long == TooLong::Cut || !loses(end))?;
        let cut = loses(&end);
        self.tokens.truncate(end);
        self.mask.truncate(end);
        self.turns.retain(|turn| turn.end <= end);
        Some((self, cut))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_sequence_ends_with_a_whole_turn() {
        let turns = vec![2..4, 7..9];
        let mask: Vec<bool> = (0..10).map(|t| turns.iter().any(|turn| turn.contains(&t))).collect();
        let whole = Sequence { line: 1, tokens: (0..10).collect(), mask, turns };
        let check = |limit: usize, expect: Option<(usize, bool)>| {
            let fitted = whole.clone().fitted(limit, TooLong::Cut);
            if let Some((sequence, _)) = &fitted {
                assert_eq!(sequence.mask, whole.mask[..sequence.tokens.len()]);
                assert_eq!(sequence.trained(), sequence.turns.iter().map(Range::len).sum::<usize>());
            }
            assert_eq!(fitted.map(|(sequence, cut)| (sequence.tokens.len(), cut)), expect, "{limit}");
        };
        check(10, Some((10, false)));
        check(9, Some((9, false)));
        check(8, Some((4, true)));
        check(4, Some((4, true)));
        check(3, None);
        assert!(whole.clone().fitted(9, TooLong::LeaveOut).is_some_and(|(_, cut)| !cut));
        assert_eq!(whole.clone().fitted(8, TooLong::LeaveOut), None);
        let runs: Vec<(bool, usize)> = whole.runs().map(|(trained, run)| (trained, run.len())).collect();
        assert_eq!(runs, [(false, 2), (true, 2), (false, 3), (true, 2), (false, 1)]);
    }
}
