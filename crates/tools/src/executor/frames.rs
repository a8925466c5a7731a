//! Messages on a stream: four bytes of length (little endian), then the body.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

/// Returns the bytes that carry a message.
pub(super) fn framed(body: &[u8]) -> io::Result<Vec<u8>> {
    let length = u32::try_from(body.len()).map_err(|_| io::Error::other("a message of 4 GiB or more"))?;
    Ok([&length.to_le_bytes(), body].concat())
}

/// Sends one message.
pub(super) fn send(mut stream: &UnixStream, body: &[u8]) -> io::Result<()> {
    stream.write_all(&framed(body)?)
}

/// Waits for a message of at most `max` bytes.
pub(super) fn receive(mut stream: impl Read, max: usize) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > max {
        return Err(io::Error::other(format!("a message of {length} bytes, more than {max}")));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(body)
}

/// Assembles a message that arrives in pieces.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    bytes: Vec<u8>,
    closed: bool,
}

/// Says how far a read has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The message isn't complete.
    Waiting,
    /// The body of a complete message.
    Message(Vec<u8>),
    /// The other end is closed.
    Closed,
    /// The message is longer than allowed.
    TooLong,
}

impl Incoming {
    /// Returns whether the other end may still send.
    pub(super) fn is_open(&self) -> bool {
        !self.closed
    }

    /// Reads what has arrived, without waiting. `stream` must be non-blocking.
    pub(super) fn read(&mut self, mut stream: &UnixStream, max: usize) -> io::Result<Progress> {
        let mut buffer = [0; 4096];
        loop {
            if let Some((length, body)) = self.bytes.split_first_chunk::<4>() {
                let length = u32::from_le_bytes(*length) as usize;
                if length > max {
                    return Ok(Progress::TooLong);
                }
                if body.len() >= length {
                    let message = body[..length].to_vec();
                    self.bytes.drain(..4 + length);
                    return Ok(Progress::Message(message));
                }
            }
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => self.bytes.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Progress::Waiting),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The other end closed with bytes of ours unread.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
                Err(error) => return Err(error),
            }
        }
        self.closed = true;
        Ok(Progress::Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_being_split() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut incoming = Incoming::default();
        for byte in [3u8, 0, 0, 0, b'a', b'b'] {
            (&theirs).write_all(&[byte]).unwrap();
            assert_eq!(incoming.read(&ours, 10).unwrap(), Progress::Waiting);
        }
        (&theirs).write_all(b"cd").unwrap();
        assert_eq!(incoming.read(&ours, 10).unwrap(), Progress::Message(b"abc".to_vec()));
        (&theirs).write_all(&[0, 0, 0, 0, 0, 0]).unwrap();
        assert_eq!(
            incoming.read(&ours, 10).unwrap_or(Progress::Closed),
            Progress::TooLong,
            "d and three zeros"
        );
    }

    #[test]
    fn a_length_beyond_the_bound_is_refused_before_it_is_read() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (&theirs).write_all(&u32::MAX.to_le_bytes()).unwrap();
        assert!(receive(&ours, 10).unwrap_err().to_string().contains("more than 10"));
        (&theirs).write_all(&u32::MAX.to_le_bytes()).unwrap();
        ours.set_nonblocking(true).unwrap();
        assert_eq!(Incoming::default().read(&ours, 10).unwrap(), Progress::TooLong);
    }
}
