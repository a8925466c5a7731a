//! One session of a server: a WebSocket on which a question and its answer take turns.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use tungstenite::error::ProtocolError;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

use super::address::Address;
use super::handshake::upgrade;
use super::protocol::{Answer, Ask, words};

/// Bound on the bytes of an answer.
const MAX_MESSAGE: usize = 16 << 20;
/// Bytes that are read at once. A session has such a buffer.
const BUFFER: usize = 16 << 10;
/// Characters of an answer that an error shows.
const SHOWN: usize = 120;

/// Why a session has no more answers.
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

/// A session's connection.
pub(super) struct Connection {
    socket: WebSocket<Timed>,
    broken: Option<Broken>,
}

impl Connection {
    /// Connects within `time`.
    ///
    /// # Errors
    /// If nothing listens, or the other side isn't a WebSocket.
    pub(super) fn open(address: &Address, time: Duration) -> Result<Self, String> {
        let until = Instant::now() + time;
        let mut stream = Timed { stream: connect(address, until)?, until: Some(until) };
        let begun = upgrade(&mut stream, address)?;
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let socket = WebSocket::from_partially_read(stream, begun, Role::Client, Some(config));
        Ok(Self { socket, broken: None })
    }

    /// Asks the first question. A server without room for a session says so before it hears any.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(super) fn begin(&mut self, ask: &Ask, time: Duration) -> Result<Answer, Broken> {
        let answer = self.exchange(ask, time);
        self.keep(answer)
    }

    /// Asks, and waits for the answer no longer than `time`.
    ///
    /// # Errors
    /// If the session is broken, now or since an earlier question.
    pub(super) fn ask(&mut self, ask: &Ask, time: Duration) -> Result<Answer, Broken> {
        self.listen()?;
        self.begin(ask, time)
    }

    /// Says what has no answer. A server that doesn't hear it forgets the session all the same.
    pub(super) fn tell(&mut self, ask: &Ask) {
        self.socket.get_mut().until = Some(Instant::now() + Duration::from_secs(1));
        let _ = self.socket.send(Message::text(ask.line()));
        let _ = self.socket.close(None).and_then(|()| self.socket.flush());
    }

    /// Answers pings, without a wait. Nothing else may come while nothing is asked.
    ///
    /// # Errors
    /// If the session is broken, now or earlier.
    pub(super) fn listen(&mut self) -> Result<(), Broken> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        self.socket.get_mut().until = None;
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
        self.socket.get_mut().until = Some(Instant::now() + time);
        let late = || Broken::new(format!("no answer for {} s", time.as_secs_f64()));
        match self.socket.send(Message::text(ask.line())) {
            Err(Error::Io(error)) if waits(&error) => return Err(late()),
            // What the other side said before it closed is more than that it did.
            Ok(()) | Err(Error::Io(_) | Error::ConnectionClosed | Error::AlreadyClosed) => {}
            Err(error) if self.socket.can_write() => return Err(Broken::new(words(&error.to_string()))),
            Err(_) => {}
        }
        let text = self.next()?.ok_or_else(late)?;
        serde_json::from_str(&text).map_err(|error| {
            Broken::new(format!(
                "it said {:?}, which is no answer: {}",
                shown(&text),
                words(&error.to_string())
            ))
        })
    }

    /// Returns the next text; none if there is none in time.
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

/// Connects to the first address of the host that listens.
fn connect(address: &Address, until: Instant) -> Result<TcpStream, String> {
    let host = address.host.trim_start_matches('[').trim_end_matches(']');
    let mut why = format!("the host {host:?} has no address");
    let found = (host, address.port).to_socket_addrs().map_err(|error| format!("{host}: {error}"))?;
    for place in found {
        let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(&place, left)
            .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
        {
            Ok(stream) => return Ok(stream),
            Err(error) => why = error.to_string(),
        }
    }
    Err(format!("nothing listens at {address}: {why}"))
}

fn waits(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

/// A stream with a limit on when its reads and writes end, whatever trickles in.
struct Timed {
    stream: TcpStream,
    /// Without it nothing waits.
    until: Option<Instant>,
}

impl Timed {
    /// Runs one operation that waits no longer than it may.
    fn within(
        &mut self,
        limit: fn(&TcpStream, Option<Duration>) -> std::io::Result<()>,
        mut run: impl FnMut(&mut TcpStream) -> std::io::Result<usize>,
    ) -> std::io::Result<usize> {
        let Some(until) = self.until else {
            self.stream.set_nonblocking(true)?;
            let done = run(&mut self.stream);
            self.stream.set_nonblocking(false)?;
            return done;
        };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        limit(&self.stream, Some(left))?;
        run(&mut self.stream)
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.within(TcpStream::set_read_timeout, |stream| stream.read(buffer))
    }
}

impl Write for Timed {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        self.within(TcpStream::set_write_timeout, |stream| stream.write(buffer))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}
