//! Server-sent events, one at a time as they arrive.

use std::io::{BufRead, Read};

/// Reads the data of events.
pub(crate) struct Events<R> {
    stream: R,
    /// Bytes of one event at most.
    longest: u64,
}

impl<R: BufRead> Events<R> {
    /// Returns a reader of events of at most `longest` bytes.
    pub(crate) fn new(stream: R, longest: u64) -> Self {
        Self { stream, longest }
    }

    /// Returns the data of the next event that has any; none at the end.
    ///
    /// # Errors
    /// If the stream can't be read, or an event is too long.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        let (mut data, mut line, mut left): (Option<Vec<u8>>, _, _) = (None, Vec::new(), self.longest);
        loop {
            line.clear();
            let read = (&mut self.stream).take(left + 1).read_until(b'\n', &mut line);
            let read = read.map_err(|error| format!("the stream of events breaks off: {error}"))? as u64;
            left = left
                .checked_sub(read)
                .ok_or_else(|| format!("an event of more than {} bytes", self.longest))?;
            if read == 0 {
                // Without its empty line an event isn't whole, but its data may be.
                return Ok(data);
            }
            let field = line.strip_suffix(b"\n").unwrap_or(&line);
            let field = field.strip_suffix(b"\r").unwrap_or(field);
            // A mark of UTF-8 may stand in front of the first line.
            let field = field.strip_prefix("\u{feff}".as_bytes()).unwrap_or(field);
            if let Some(piece) = field.strip_prefix(b"data:") {
                let piece = piece.strip_prefix(b" ").unwrap_or(piece);
                match &mut data {
                    Some(data) => {
                        data.push(b'\n');
                        data.extend_from_slice(piece);
                    }
                    None => data = Some(piece.to_vec()),
                }
            } else if field.is_empty() {
                match data.take() {
                    Some(data) if !data.is_empty() => return Ok(Some(data)),
                    // A comment keeps the connection open; it is no part of an event.
                    _ => left = self.longest,
                }
            }
        }
    }
}

/// Returns the data of all events in a text.
///
/// # Errors
/// If an event has more than `longest` bytes.
pub fn events(text: &[u8], longest: u64) -> Result<Vec<Vec<u8>>, String> {
    let mut events = Events::new(text, longest);
    std::iter::from_fn(|| events.next().transpose()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_told_apart_by_empty_lines() {
        let check = |text: &str, expect: &[&str]| {
            let found = events(text.as_bytes(), 100).unwrap();
            let found: Vec<&str> = found.iter().map(|data| std::str::from_utf8(data).unwrap()).collect();
            assert_eq!(found, expect, "{text:?}");
        };
        check("", &[]);
        check("data: a\n\n", &["a"]);
        check("event: message\nid: 1\ndata: a\n\ndata:b\n\n", &["a", "b"]);
        check("data: a\r\ndata: b\r\n\r\n", &["a\nb"]);
        check(": ping\n\n: ping\n\nid: 0\ndata:\n\ndata: a\n\n", &["a"]);
        check("data: a", &["a"]);
        check("id: 3\nretry: 100\n\n", &[]);
        assert_eq!(events(&[b'x'; 101], 100).unwrap_err(), "an event of more than 100 bytes");
        assert!(events(format!("data: {}\n\n", "x".repeat(95)).as_bytes(), 100).is_err());
        let pings = ": ping\n\n".repeat(100);
        assert!(events(pings.as_bytes(), 20).unwrap().is_empty());
    }
}
