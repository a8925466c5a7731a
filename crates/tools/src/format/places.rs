//! Decides which markers count at a place of the text.

use super::grammar::{Grammar, Place, Role};

/// Holds a place in a text that may continue.
pub(super) struct Places<'a> {
    pub text: &'a [u8],
    pub at: usize,
    /// End of the last call or thought, or 0 before the first.
    pub last_end: usize,
}

/// Names a kind of text that begins at a place.
pub(super) enum Event {
    Nothing,
    /// The following bytes decide.
    Undecided,
    /// A thought. It's firm at the start of a line, and as a message. Elsewhere the tag may be a mention.
    Think {
        length: usize,
        firm: bool,
        /// Whether it's a message.
        channel: bool,
    },
    EndOfThought {
        length: usize,
    },
    /// A closing marker directly after a call.
    Repetition {
        length: usize,
    },
    /// The text that the marker of this index opens.
    Marker(usize),
}

/// Maximum of bytes in a name that a line begins with.
const MAX_NAME: usize = 128;

enum Match {
    No,
    Start,
    Whole,
}

impl Places<'_> {
    /// Returns whether something can begin with this byte.
    pub(super) fn may_start(grammar: &dyn Grammar, byte: u8) -> bool {
        let begins = |text: &str| text.as_bytes()[0] == byte;
        grammar.markers().iter().any(|marker| begins(marker.text))
            || grammar.thoughts().iter().any(|thought| begins(thought.open) || begins(thought.close))
    }

    /// Returns the kind of text that begins here.
    pub(super) fn event(&self, grammar: &dyn Grammar, finishing: bool) -> Event {
        for thought in grammar.thoughts() {
            match (self.matches(thought.open, finishing), self.matches(thought.close, finishing)) {
                (Match::Whole, _) => {
                    let channel = grammar.channel() == Some(thought.open);
                    let firm = channel || self.is(Place::LineStart);
                    return Event::Think { length: thought.open.len(), firm, channel };
                }
                (_, Match::Whole) => return Event::EndOfThought { length: thought.close.len() },
                (Match::Start, _) | (_, Match::Start) => return Event::Undecided,
                (Match::No, Match::No) => {}
            }
        }
        for (index, marker) in grammar.markers().iter().enumerate() {
            match self.matches(marker.text, finishing) {
                Match::No => {}
                _ if !self.is(marker.place) => {}
                Match::Start => return Event::Undecided,
                Match::Whole if marker.role == Role::Stray && self.follows_call() => {
                    return Event::Repetition { length: marker.text.len() };
                }
                Match::Whole => return Event::Marker(index),
            }
        }
        Event::Nothing
    }

    fn matches(&self, text: &str, finishing: bool) -> Match {
        let rest = &self.text[self.at..];
        if rest.starts_with(text.as_bytes()) {
            Match::Whole
        } else if !finishing && text.as_bytes().starts_with(rest) {
            Match::Start
        } else {
            Match::No
        }
    }

    fn is(&self, place: Place) -> bool {
        match place {
            Place::Anywhere => true,
            Place::LineStart => self.starts_line() || self.follows_call(),
            Place::WordStart => {
                let before = self.text[..self.at].last();
                before.is_none_or(|byte| byte.is_ascii_whitespace() || matches!(byte, b':' | b'`' | b'>'))
            }
            Place::AfterName => {
                let before = &self.text[self.at.saturating_sub(MAX_NAME)..self.at];
                let in_name = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
                let name = before.iter().rev().take_while(in_name).count();
                name > 0 && matches!(before[..before.len() - name].last(), None | Some(b'\n' | b'>'))
            }
            Place::AfterCall => self.follows_call(),
        }
    }

    /// Returns whether only blanks lie between here and the start of the line, a `;` or a special token.
    fn starts_line(&self) -> bool {
        let blanks =
            self.text[..self.at].iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        match &self.text[..self.at - blanks] {
            [] | [.., b'\n' | b';'] | [.., b'|', b'>'] => true,
            [..] => false,
        }
    }

    /// Returns whether only blanks and separators lie between the last call or thought and here.
    fn follows_call(&self) -> bool {
        let separates = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b',' | b';');
        self.last_end > 0 && self.text[self.last_end..self.at].iter().rev().all(separates)
    }
}
