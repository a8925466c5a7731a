//! Sequences of a trajectory: the paths of tokens that a model read, where turns form a tree.
//!
//! Turns are stored in the order in which they were sampled. A turn continues the turn before it, unless its
//! [`Branch`](crate::Branch) says otherwise: an agent may rewrite its history, or hand work to another
//! conversation. A sequence is a path that was sampled without a gap. Each turn is in exactly one of them. A
//! beginning that a branch shares with an earlier sequence is context there.

use std::ops::Range;

use crate::{TokenId, Trajectory, Turn};

/// Holds a path of tokens with the turns that were sampled on it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sequence {
    /// All tokens, as the model saw them.
    pub tokens: Vec<TokenId>,
    /// The indices of its turns, and the range of each one's sampled tokens in `tokens`.
    pub turns: Vec<(usize, Range<usize>)>,
    /// Whether the prompt of one of its turns holds an answer that was changed since it was sampled.
    pub diverged: bool,
}

impl Sequence {
    /// Appends a turn after its context.
    fn push(&mut self, number: usize, context: &[TokenId], turn: &Turn) {
        self.tokens.extend_from_slice(context);
        let start = self.tokens.len();
        self.tokens.extend_from_slice(&turn.tokens);
        self.turns.push((number, start..self.tokens.len()));
        self.diverged |= turn.branch.as_ref().is_some_and(|branch| branch.diverged);
    }
}

impl Trajectory {
    /// Returns the sequences, in the order of their first turns. A trajectory without branches has one, and
    /// its tokens are [`Trajectory::tokens`].
    pub fn sequences(&self) -> Vec<Sequence> {
        let mut all: Vec<Sequence> = vec![Sequence { tokens: self.prompt.clone(), ..Sequence::default() }];
        // The sequence of each turn.
        let mut at: Vec<usize> = Vec::with_capacity(self.turns.len());
        for (number, turn) in self.turns.iter().enumerate() {
            let before = number.checked_sub(1);
            let (parent, context) = match (&turn.branch, before) {
                (Some(branch), _) => (branch.parent, &branch.context[..]),
                (None, Some(before)) => (Some(before), &self.turns[before].observation[..]),
                (None, None) => (None, &[][..]),
            };
            let place = match parent {
                None if number == 0 => 0,
                None => {
                    all.push(Sequence::default());
                    all.len() - 1
                }
                Some(parent) => {
                    let of = &all[at[parent]];
                    let (last, _) = of.turns.last().expect("a sequence of a turn holds it");
                    if *last == parent {
                        at[parent]
                    } else {
                        let known = of.turns.iter().find(|(turn, _)| *turn == parent);
                        let end = known.expect("a sequence of a turn holds it").1.end;
                        all.push(Sequence { tokens: of.tokens[..end].to_vec(), ..Sequence::default() });
                        all.len() - 1
                    }
                }
            };
            all[place].push(number, context, turn);
            at.push(place);
        }
        // The last observation of a trajectory without branches is a part of it.
        if let (Some(turn), Some(&place)) = (self.turns.last(), at.last()) {
            all[place].tokens.extend_from_slice(&turn.observation);
        }
        all
    }

    /// Returns whether every branch continues an earlier turn.
    pub fn is_tree(&self) -> bool {
        let parent = |turn: &Turn| turn.branch.as_ref().and_then(|branch| branch.parent);
        self.turns.iter().enumerate().all(|(number, turn)| parent(turn).is_none_or(|of| of < number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Branch, Stop};

    fn turn(
        tokens: &[TokenId],
        observation: &[TokenId],
        branch: Option<(Option<usize>, &[TokenId])>,
    ) -> Turn {
        let branch =
            branch.map(|(parent, context)| Branch { parent, context: context.to_vec(), diverged: false });
        Turn {
            tokens: tokens.to_vec(),
            logprobs: vec![-0.5; tokens.len()],
            observation: observation.to_vec(),
            branch,
            ..Turn::default()
        }
    }

    fn trajectory(turns: Vec<Turn>) -> Trajectory {
        Trajectory { task: "t".into(), sample: 0, prompt: vec![1, 2], turns, stop: Stop::Answer }
    }

    #[test]
    fn a_trajectory_without_branches_is_one_sequence() {
        for turns in [
            vec![],
            vec![turn(&[3, 4], &[5], None), turn(&[6], &[], None)],
            vec![turn(&[3], &[5], None), turn(&[], &[7], None)],
        ] {
            let linear = trajectory(turns);
            let sequences = linear.sequences();
            assert_eq!(sequences.len(), 1);
            assert_eq!(sequences[0].tokens, linear.tokens());
            let spans: Vec<_> = sequences[0].turns.iter().map(|(_, span)| span.clone()).collect();
            assert_eq!(spans, linear.turn_spans());
        }
    }

    #[test]
    fn every_turn_of_a_tree_is_in_one_sequence_behind_what_the_model_read() {
        // Another conversation between two turns, and a second continuation of the first turn.
        let mut tree = trajectory(vec![
            turn(&[3], &[], None),
            turn(&[11], &[12], Some((None, &[10]))),
            turn(&[13], &[], None),
            turn(&[5], &[], Some((Some(0), &[4]))),
            turn(&[7], &[], Some((Some(0), &[6]))),
        ]);
        tree.turns[4].branch.as_mut().unwrap().diverged = true;
        let sequences = tree.sequences();
        let tokens: Vec<&[TokenId]> = sequences.iter().map(|sequence| &sequence.tokens[..]).collect();
        assert_eq!(tokens, [&[1, 2, 3, 4, 5][..], &[10, 11, 12, 13], &[1, 2, 3, 6, 7]]);
        let turns: Vec<_> = sequences.iter().map(|sequence| sequence.turns.clone()).collect();
        assert_eq!(turns, [vec![(0, 2..3), (3, 4..5)], vec![(1, 1..2), (2, 3..4)], vec![(4, 4..5)]]);
        assert_eq!(sequences.iter().map(|s| s.diverged).collect::<Vec<_>>(), [false, false, true]);
        // All tokens once, for a reader.
        assert_eq!(tree.tokens(), [1, 2, 3, 10, 11, 12, 13, 4, 5, 6, 7]);
        assert_eq!(tree.turn_spans(), [2..3, 4..5, 6..7, 8..9, 10..11]);
        assert_eq!(tree.len(), tree.tokens().len());
        assert!(tree.is_tree());
        tree.turns[0].branch = Some(Branch { parent: Some(0), ..Branch::default() });
        assert!(!tree.is_tree());
    }
}
