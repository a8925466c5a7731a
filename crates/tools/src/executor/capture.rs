//! Bounds output: keeps its start and its end, and counts the bytes between.

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

    /// Appends output.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let head_room = self.room - self.room / 2;
        let (head, rest) = bytes.split_at(bytes.len().min(head_room - self.head.len()));
        self.head.extend_from_slice(head);
        self.tail.extend(rest);
        let excess = self.tail.len().saturating_sub(self.room / 2);
        self.tail.drain(..excess);
    }

    /// Returns the bytes pushed so far.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Returns the text, and whether it was cut. A line names each cut at its place.
    pub(super) fn finish(self) -> (String, bool) {
        let (mut head, mut tail) = (self.head, Vec::from(self.tail));
        let truncated = self.total > (head.len() + tail.len()) as u64;
        if truncated {
            // The replacement of a torn character would be one that nobody printed.
            if let Err(error) = std::str::from_utf8(&head)
                && error.error_len().is_none()
            {
                head.truncate(error.valid_up_to());
            }
            let torn = tail.iter().take(3).take_while(|byte| (0x80..0xC0).contains(*byte)).count();
            tail.drain(..torn);
            let cut = self.total - (head.len() + tail.len()) as u64;
            head.extend_from_slice(format!("\n[... {cut} bytes cut ...]\n").as_bytes());
        }
        head.append(&mut tail);
        (String::from_utf8_lossy(&head).into_owned(), truncated)
    }
}

/// Returns a text of at most `bytes` bytes, and whether it was cut.
///
/// The start and the end are kept. The line that names the cut between them isn't counted in `bytes`.
pub fn bounded(text: &str, bytes: usize) -> (String, bool) {
    let mut capture = Capture::new(bytes);
    capture.push(text.as_bytes());
    capture.finish()
}

/// Returns at most `room` bytes of a text, with dots where it was cut.
pub(super) fn shortened(mut text: String, room: usize) -> String {
    if text.len() > room {
        text.truncate(text.floor_char_boundary(room));
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(room: usize, pushes: &[&str], expect: &str, cut: bool) {
        let mut capture = Capture::new(room);
        for push in pushes {
            capture.push(push.as_bytes());
        }
        assert_eq!(bounded(&pushes.concat(), room), (expect.to_string(), cut));
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
        check(6, &["aa😀bbbb😀cc"], "aa\n[... 12 bytes cut ...]\ncc", true);
        check(12, &["数学数学数学数学"], "数学\n[... 12 bytes cut ...]\n数学", true);
    }
}
