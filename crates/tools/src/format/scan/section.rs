//! Scans a section of calls that holds none.

use super::{Advance, is_start};

/// Ends with the closing marker if it's the first tag in the section.
#[derive(Debug)]
pub struct Section {
    close: &'static str,
}

impl Section {
    /// Starts after the opening marker.
    pub fn new(close: &'static str) -> Self {
        Self { close }
    }

    pub(super) fn advance(&self, text: &[u8], at: &mut usize, finishing: bool) -> Advance {
        let Some(skipped) = text[*at..].iter().position(|byte| *byte == b'<') else {
            *at = text.len();
            return if finishing { Advance::NotACall } else { Advance::More };
        };
        *at += skipped;
        let rest = &text[*at..];
        if rest.starts_with(self.close.as_bytes()) {
            return Advance::End(*at + self.close.len());
        }
        if is_start(rest, self.close) && !finishing { Advance::More } else { Advance::NotACall }
    }
}
