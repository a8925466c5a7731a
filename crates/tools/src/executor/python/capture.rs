//! Output, bounded: its start and its end are kept, whatever lies between is counted.

use std::collections::VecDeque;

/// Collects output into at most `room` bytes.
#[derive(Debug)]
pub(super) struct Capture {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    room: usize,
    total: u64,
}

impl Capture {
    pub(super) fn new(room: usize) -> Self {
        Self { head: Vec::new(), tail: VecDeque::new(), room, total: 0 }
    }

    /// Adds output.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let head_room = self.room - self.room / 2;
        let (head, rest) = bytes.split_at(bytes.len().min(head_room - self.head.len()));
        self.head.extend_from_slice(head);
        self.tail.extend(rest);
        let excess = self.tail.len().saturating_sub(self.room / 2);
        self.tail.drain(..excess);
    }

    /// Bytes pushed so far.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// The text, and whether some of it was cut. The cut is named where it is.
    pub(super) fn finish(self) -> (String, bool) {
        let cut = self.total - (self.head.len() + self.tail.len()) as u64;
        let mut bytes = self.head;
        if cut > 0 {
            // A character torn by the cut would become a replacement character that nobody printed.
            while bytes.last().is_some_and(|b| !b.is_ascii()) {
                bytes.pop();
            }
            bytes.extend_from_slice(format!("\n[... {cut} bytes cut ...]\n").as_bytes());
        }
        let tail: Vec<u8> = self.tail.into();
        let torn = if cut > 0 { tail.iter().take_while(|b| (0x80..0xC0).contains(*b)).count() } else { 0 };
        bytes.extend_from_slice(&tail[torn..]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        (text, cut > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(room: usize, pushes: &[&str], expect: &str, cut: bool) {
        let mut capture = Capture::new(room);
        for push in pushes {
            capture.push(push.as_bytes());
        }
        assert_eq!(capture.finish(), (expect.to_string(), cut), "{pushes:?}");
    }

    #[test]
    fn start_and_end_are_kept() {
        check(10, &[], "", false);
        check(10, &["abcde", "fghij"], "abcdefghij", false);
        check(10, &["abcdefghijk"], "abcde\n[... 1 bytes cut ...]\nghijk", true);
        check(4, &["a", "b", "c", "d", "e", "f"], "ab\n[... 2 bytes cut ...]\nef", true);
        check(1, &["abc"], "a\n[... 2 bytes cut ...]\n", true);
    }

    #[test]
    fn the_cut_tears_no_character() {
        check(6, &["aa😀bbbb😀cc"], "aa\n[... 9 bytes cut ...]\ncc", true);
    }
}
