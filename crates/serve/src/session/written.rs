//! Texts of prompts and answers without messages, by which a session finds the answer that a prompt repeats.

use std::collections::{BTreeMap, HashMap};

use sha2::{Digest as _, Sha256};

use crate::session::digest::Digest;

/// Identifies a text by its length in bytes and its digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    bytes: usize,
    digest: Digest,
}

/// Digests a text that grows.
#[derive(Clone, Default)]
pub(crate) struct Growing {
    bytes: usize,
    hasher: Sha256,
}

impl Growing {
    pub(crate) fn of(text: &str) -> Self {
        let mut growing = Self::default();
        growing.push(text.as_bytes());
        growing
    }

    /// Returns the mark of the text that goes on with an answer; none for an empty answer.
    pub(crate) fn with(mut self, answer: &str) -> Option<Mark> {
        self.push(answer.as_bytes());
        (!answer.is_empty()).then(|| self.mark())
    }

    fn push(&mut self, part: &[u8]) {
        self.bytes += part.len();
        self.hasher.update(part);
    }

    fn mark(&self) -> Mark {
        let digest = self.hasher.clone().finalize()[..16].try_into().expect("a digest has 32 bytes");
        Mark { bytes: self.bytes, digest }
    }
}

/// Holds the calls of a session by their prompts and answers.
#[derive(Default)]
pub(super) struct Written(BTreeMap<usize, HashMap<Digest, Vec<u32>>>);

impl Written {
    pub(super) fn add(&mut self, mark: Mark, call: u32) {
        self.0.entry(mark.bytes).or_default().entry(mark.digest).or_default().push(call);
    }

    /// Returns the calls whose prompt and answer a text begins with: those of the longest such beginning.
    pub(super) fn repeated(&self, text: &str) -> &[u32] {
        let (mut growing, mut longest): (Growing, &[u32]) = (Growing::default(), &[]);
        for (length, calls) in self.0.range(..=text.len()) {
            growing.push(&text.as_bytes()[growing.bytes..*length]);
            longest = calls.get(&growing.mark().digest).map_or(longest, Vec::as_slice);
        }
        longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_repeats_the_longest_answer_that_it_begins_with() {
        let mut written = Written::default();
        for (call, (prompt, answer)) in
            [("1+1=", "2"), ("1+1=2\nso ", "é"), ("1+1", "=2"), ("?", "")].iter().enumerate()
        {
            if let Some(mark) = Growing::of(prompt).with(answer) {
                written.add(mark, call as u32);
            }
        }
        let check = |text: &str, expect: &[u32]| assert_eq!(written.repeated(text), expect, "{text}");
        check("1+1=2 indeed", &[0, 2]);
        check("1+1=2\nso éa", &[1]);
        check("1+1=2\nso ü", &[0, 2]);
        check("1+1=3", &[]);
        check("1+", &[]);
        check("?!", &[]);
    }
}
