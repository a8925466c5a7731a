//! Reads server-sent events, one at a time as they arrive.

use std::io::BufRead;
use std::time::Duration;

/// Reads the data of events one after the other. Lines end with LF, CRLF or CR, as in HTML's standard.
pub struct Events<R> {
    stream: R,
    /// Bytes of one event at most.
    longest: u64,
    /// Whether the line before ended with CR, so that an LF belongs to it.
    after_cr: bool,
    /// Whether no line was read yet. A mark of UTF-8 may stand in front of the first one.
    first: bool,
    place: Resume,
}

/// Names a place in a stream, from which a server may continue it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resume {
    /// The id of the last whole event that had one.
    pub id: Option<String>,
    /// The wait that the server asks for.
    pub retry: Option<Duration>,
}

/// Says why a stream has no more events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// The connection breaks off. The server may have the rest.
    Cut(String),
    /// The server writes what can't be read.
    Wrong(String),
}

impl<R: BufRead> Events<R> {
    /// Returns a reader of events of at most `longest` bytes.
    pub fn new(stream: R, longest: u64) -> Self {
        Self { stream, longest, after_cr: false, first: true, place: Resume::default() }
    }

    /// Returns the place after the last whole event.
    pub fn place(&self) -> &Resume {
        &self.place
    }

    /// Returns the data of the next event that has any; none at the end.
    ///
    /// # Errors
    /// If the stream can't be read, or an event is too long.
    pub fn next_event(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        let (mut data, mut id): (Option<Vec<u8>>, Option<String>) = (None, None);
        let (mut line, mut left) = (Vec::new(), self.longest);
        loop {
            line.clear();
            if !self.line(&mut line, &mut left)? && line.is_empty() {
                // Without its empty line an event isn't whole, but its data may be.
                return Ok(data.filter(|data| !data.is_empty()));
            }
            let mark = if self.first { "\u{feff}" } else { "" };
            let field = line.strip_prefix(mark.as_bytes()).unwrap_or(&line[..]);
            self.first = false;
            if field.is_empty() {
                self.place.id = id.take().or(self.place.id.take());
                match data.take() {
                    Some(data) if !data.is_empty() => return Ok(Some(data)),
                    // A comment keeps the connection open; it is no part of an event.
                    _ => left = self.longest,
                }
            } else if let Some(piece) = value(field, b"data") {
                match &mut data {
                    Some(data) => {
                        data.push(b'\n');
                        data.extend_from_slice(piece);
                    }
                    None => data = Some(piece.to_vec()),
                }
            } else if let Some(text) = value(field, b"id").and_then(|id| std::str::from_utf8(id).ok()) {
                id = Some(text.into()).filter(|id: &String| !id.contains('\0')).or(id);
            } else if let Some(text) = value(field, b"retry").and_then(|time| std::str::from_utf8(time).ok())
            {
                self.place.retry = text.parse().ok().map(Duration::from_millis).or(self.place.retry);
            }
        }
    }

    /// Appends the next line without its end. Returns whether it has an end.
    fn line(&mut self, line: &mut Vec<u8>, left: &mut u64) -> Result<bool, Broken> {
        loop {
            let cut = |error| Broken::Cut(format!("the stream of events breaks off: {error}"));
            let chunk = match self.stream.fill_buf() {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                chunk => chunk.map_err(cut)?,
            };
            if chunk.is_empty() {
                return Ok(false);
            }
            if std::mem::take(&mut self.after_cr) && chunk[0] == b'\n' {
                self.stream.consume(1);
                continue;
            }
            let end = chunk.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            line.extend_from_slice(&chunk[..end.unwrap_or(chunk.len())]);
            let read = end.map_or(chunk.len(), |end| end + 1);
            self.after_cr = end.is_some_and(|end| chunk[end] == b'\r');
            self.stream.consume(read);
            *left = left
                .checked_sub(read as u64)
                .ok_or_else(|| Broken::Wrong(format!("an event of more than {} bytes", self.longest)))?;
            if end.is_some() {
                return Ok(true);
            }
        }
    }
}

/// Returns the value of a line with this field.
fn value<'l>(line: &'l [u8], field: &[u8]) -> Option<&'l [u8]> {
    let rest = line.strip_prefix(field)?;
    if rest.is_empty() {
        return Some(rest);
    }
    let value = rest.strip_prefix(b":")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

/// Returns the data of all events in a text.
///
/// # Errors
/// If an event has more than `longest` bytes.
pub fn events(text: &[u8], longest: u64) -> Result<Vec<Vec<u8>>, String> {
    let mut events = Events::new(text, longest);
    let next = || events.next_event().transpose();
    let told = |broken| match broken {
        Broken::Cut(why) | Broken::Wrong(why) => why,
    };
    std::iter::from_fn(next).map(|event| event.map_err(told)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_ends_in_an_event_without_data_has_no_more() {
        assert_eq!(events(b"id: 1\ndata:", 100), Ok(Vec::new()));
        assert_eq!(events(b"id: 1\ndata: x", 100), Ok(vec![b"x".to_vec()]));
    }

    #[test]
    fn events_are_told_apart_by_empty_lines() {
        let check = |text: &str, expect: &[&str]| {
            for text in [text.to_string(), text.replace('\n', "\r\n"), text.replace('\n', "\r")] {
                let found = events(text.as_bytes(), 100).unwrap();
                let found: Vec<&str> = found.iter().map(|data| std::str::from_utf8(data).unwrap()).collect();
                assert_eq!(found, expect, "{text:?}");
            }
        };
        check("", &[]);
        check("data: a\n\n", &["a"]);
        check("event: message\nid: 1\ndata: a\n\ndata:b\n\n", &["a", "b"]);
        check("data: a\ndata: b\n\n", &["a\nb"]);
        check(": ping\n\n: ping\n\nid: 0\ndata:\n\ndata: a\n\n", &["a"]);
        check("data: a", &["a"]);
        check("data\ndata: a\n\n", &["\na"]);
        check("data: a\n\n\n\ndatabase: b\n\n", &["a"]);
        check("\u{feff}data: a\n\n\u{feff}data: b\n\n", &["a"]);
        check("id: 3\nretry: 100\n\n", &[]);
        assert_eq!(events(&[b'x'; 101], 100).unwrap_err(), "an event of more than 100 bytes");
        assert!(events(format!("data: {}\n\n", "x".repeat(95)).as_bytes(), 100).is_err());
        let pings = ": ping\n\n".repeat(100);
        assert!(events(pings.as_bytes(), 20).unwrap().is_empty());
    }

    /// A mixed stream that arrives byte by byte gives the same events.
    #[test]
    fn an_event_is_given_as_soon_as_its_line_has_ended() {
        let text = "data: a\r\ndata: b\r\r\n\ndata: c\n\r\ndata: d\r\r";
        for size in 1..8 {
            let mut events = Events::new(std::io::BufReader::with_capacity(size, text.as_bytes()), 100);
            let next = || events.next_event().unwrap().map(|data| String::from_utf8(data).unwrap());
            assert_eq!(std::iter::from_fn(next).collect::<Vec<_>>(), ["a\nb", "c", "d"], "{size}");
        }
        // Nothing is read after the CR that ends an event: the server may be waiting.
        let (mut stream, mut ours) = std::os::unix::net::UnixStream::pair().unwrap();
        std::io::Write::write_all(&mut stream, b"data: a\r\r").unwrap();
        ours.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        assert_eq!(Events::new(std::io::BufReader::new(&mut ours), 100).next_event(), Ok(Some(b"a".into())));
    }

    #[test]
    fn the_place_is_that_of_the_last_whole_event() {
        let place = |text: &str| {
            let mut events = Events::new(text.as_bytes(), 1000);
            while events.next_event().unwrap().is_some() {}
            let Resume { id, retry } = events.place().clone();
            (id, retry.map(|time| time.as_millis()))
        };
        let id = |id: &str| Some(id.to_string());
        assert_eq!(place("data: a\n\n"), (None, None));
        assert_eq!(place("id: 1\nretry: 20\ndata:\n\n"), (id("1"), Some(20)));
        assert_eq!(place("id: 1\n\ndata: a\n\nid: 2\ndata: b"), (id("1"), None));
        assert_eq!(place("id: 1\n\nid: 2\ndata: b\n\nid: \0\n\n"), (id("2"), None));
        assert_eq!(place("id: 1\n\nid\n\nretry: soon\n\n"), (id(""), None));
    }
}
