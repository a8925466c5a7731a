//! Counts what a file of conversations gave, what was cut, and what was left out.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::left_out::{LeftOut, Reason};

/// Places that are kept of each kind.
const FIRST: usize = 3;

/// Letters of a message at most.
const LONGEST: usize = 200;

/// Counts of a file.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Report {
    /// The file.
    pub file: PathBuf,
    /// Rows that were read.
    pub rows: usize,
    /// Conversations that are trained on.
    pub conversations: usize,
    /// Sequences that were made of them: more than one where the template rewrites earlier turns.
    pub sequences: usize,
    /// Tokens of all sequences.
    pub tokens: usize,
    /// Those of them that are trained.
    pub trained_tokens: usize,
    /// Tokens of the longest sequence.
    pub longest: usize,
    /// Sequences that were cut at the end of a turn.
    pub cut: Tally,
    /// Turns that are trained without their thought, because the template leaves it out.
    pub unseen_thoughts: Tally,
    /// Rows that aren't trained on, by reason. A sequence that is too long counts for itself.
    pub left_out: BTreeMap<Reason, Tally>,
}

/// Holds a count with its first places.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Tally {
    /// How often it happened.
    pub count: usize,
    /// The first places, three at most.
    pub first: Vec<Place>,
}

/// Names a place in a file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// One line with key and value.
    pub what: String,
}

impl Tally {
    pub(crate) fn add(&mut self, line: usize, what: &str) {
        self.count += 1;
        if self.first.len() < FIRST {
            let mut shown: String = what.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
            if what.chars().nth(LONGEST).is_some() {
                shown.push('…');
            }
            self.first.push(Place { line, what: shown });
        }
    }
}

impl Report {
    /// Counts a row that is left out.
    pub(crate) fn leave_out(&mut self, line: usize, why: &LeftOut) {
        self.left_out.entry(why.reason).or_default().add(line, &why.message);
    }

    /// Says in one line why nothing is trained: the commonest reason with its first place.
    pub fn nothing_left(&self) -> String {
        let Self { file, rows, .. } = self;
        let file = file.display();
        match self.left_out.iter().max_by_key(|(_, tally)| tally.count) {
            None => format!("{file}: nothing is left to train on, for the file has no rows"),
            Some((reason, Tally { count, first })) => {
                let place = first.first().map(|place| format!("; line {}: {}", place.line, place.what));
                let (words, place) = (reason.words(), place.unwrap_or_default());
                format!("{file}: nothing is left to train on of {rows} rows: {count} {words}{place}")
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, conversations, sequences, tokens, trained_tokens, longest, .. } = self;
        write!(
            f,
            "{}: {rows} rows, {conversations} conversations in {sequences} sequences of up to {longest} tokens; \
             {trained_tokens} of {tokens} tokens are trained",
            self.file.display()
        )?;
        let mut line = |what: String, tally: &Tally| -> fmt::Result {
            write!(f, "\n  {what}")?;
            tally.first.iter().try_for_each(|place| write!(f, "\n    line {}: {}", place.line, place.what))
        };
        for (reason, tally) in &self.left_out {
            line(format!("left out: {} {}", tally.count, reason.words()), tally)?;
        }
        if self.cut.count > 0 {
            line(format!("cut behind a turn: {}", self.cut.count), &self.cut)?;
        }
        if self.unseen_thoughts.count > 0 {
            let count = self.unseen_thoughts.count;
            line(format!("thoughts that the chat template leaves out: {count}"), &self.unseen_thoughts)?;
        }
        Ok(())
    }
}
