//! Connects one session to a server: a WebSocket on which questions and answers alternate.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use tungstenite::error::ProtocolError;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

use super::address::Address;
use super::handshake::upgrade;
use super::protocol::{Answer, Ask, words};
use super::stream::Stream;

/// Maximum of bytes in an answer.
const MAX_MESSAGE: usize = 16 << 20;
/// Bytes that are read at once. A session has such a buffer.
const BUFFER: usize = 16 << 10;
/// Characters of an answer that an error shows.
const SHOWN: usize = 120;

/// Says why a session has no more answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) why: String,
    /// Whether the other side has ended it, as a program does that ends.
    pub(super) closed: bool,
}

impl Broken {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), closed: false }
    }
}

/// Holds a session's connection.
pub(super) struct Connection {
    socket: WebSocket<Stream>,
    broken: Option<Broken>,
}

impl Connection {
    /// Connects within `time`.
    ///
    /// # Errors
    /// If nothing listens, or the other side isn't a WebSocket.
    pub(super) fn open(address: &Address, time: Duration) -> Result<Self, String> {
        let until = Instant::now() + time;
        let mut stream = Stream::connect(address, until)?;
        let begun = upgrade(&mut stream, address)?;
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let socket = WebSocket::from_partially_read(stream, begun, Role::Client, Some(config));
        Ok(Self { socket, broken: None })
    }

    /// Asks, and waits for the answer for at most `time`. A server without room for a session says so before
    /// it reads the first question.
    ///
    /// # Errors
    /// If the session is broken.
    pub(super) fn ask(&mut self, ask: &Ask, time: Duration) -> Result<Answer, Broken> {
        let answer = self.exchange(ask, time);
        self.keep(answer)
    }

    /// Sends a message without an answer. A server that doesn't receive it forgets the session anyway.
    pub(super) fn tell(&mut self, ask: &Ask) {
        *self.socket.get_mut().until() = Some(Instant::now() + Duration::from_secs(1));
        let _ = self.socket.send(Message::text(ask.line()));
        let _ = self.socket.close(None).and_then(|()| self.socket.flush());
    }

    /// Answers pings without waiting. Nothing else may arrive while no question is open.
    ///
    /// # Errors
    /// If the session is broken, now or earlier.
    pub(super) fn listen(&mut self) -> Result<(), Broken> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        *self.socket.get_mut().until() = None;
        let heard = match self.next() {
            Ok(None) => Ok(()),
            Ok(Some(text)) => {
                Err(Broken::new(format!("it said {:?}, which nothing asked for", shown(&text))))
            }
            Err(broken) => Err(broken),
        };
        self.keep(heard)
    }

    fn exchange(&mut self, ask: &Ask, time: Duration) -> Result<Answer, Broken> {
        *self.socket.get_mut().until() = Some(Instant::now() + time);
        let late = || Broken::new(format!("no answer for {} s", time.as_secs_f64()));
        match self.socket.send(Message::text(ask.line())) {
            Err(Error::Io(error)) if waits(&error) => return Err(late()),
            // The server's message before it closed tells more than the close.
            Ok(()) | Err(Error::Io(_) | Error::ConnectionClosed | Error::AlreadyClosed) => {}
            Err(error) if self.socket.can_write() => return Err(Broken::new(words(&error.to_string()))),
            Err(_) => {}
        }
        let text = self.next()?.ok_or_else(late)?;
        turnwise_json::of_text(&text).map_err(|what| {
            Broken::new(format!("it said {:?}, which is no answer: {}", shown(&text), words(&what)))
        })
    }

    /// Returns the next text, or none if none arrives in time.
    fn next(&mut self) -> Result<Option<String>, Broken> {
        let closed = |why: String| Broken { why, closed: true };
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => return Ok(Some(text.as_str().into())),
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
                Ok(Message::Binary(_)) => return Err(Broken::new("it said bytes instead of a text")),
                Ok(Message::Close(frame)) => {
                    let reason = frame.map(|frame| format!(" ({} {})", u16::from(frame.code), frame.reason));
                    let reason = words(&reason.unwrap_or_default());
                    let space = if reason.is_empty() { "" } else { " " };
                    return Err(closed(format!("the server has closed the session{space}{reason}")));
                }
                Err(Error::Io(error)) if waits(&error) => return Ok(None),
                Err(Error::Io(error)) => return Err(closed(format!("the connection is lost: {error}"))),
                Err(
                    Error::ConnectionClosed
                    | Error::AlreadyClosed
                    | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake),
                ) => return Err(closed("the connection is lost".into())),
                Err(error) => return Err(Broken::new(words(&error.to_string()))),
            }
        }
    }

    fn keep<T>(&mut self, result: Result<T, Broken>) -> Result<T, Broken> {
        if let Err(broken) = &result {
            self.broken = Some(broken.clone());
        }
        result
    }
}

fn waits(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}
