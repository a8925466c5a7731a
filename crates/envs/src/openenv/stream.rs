//! Carries a session's bytes: over TCP, or over TLS in builds that have it.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::address::Address;

/// Holds a connection to a server.
pub(super) enum Stream {
    Plain(Timed),
    #[cfg(feature = "https")]
    Tls(Box<turnwise_http::tls::Tls<Timed>>),
}

impl Stream {
    /// Connects before `until`, which is then the limit of reads and writes.
    ///
    /// # Errors
    /// If nothing listens, or TLS can't begin.
    pub(super) fn connect(address: &Address, until: Instant) -> Result<Self, String> {
        let plain = Timed { stream: connect(address, until)?, until: Some(until) };
        #[cfg(feature = "https")]
        if address.tls {
            let tls = turnwise_http::tls::connect(host(address), plain);
            return Ok(Self::Tls(Box::new(tls.map_err(|why| format!("{address}: {why}"))?)));
        }
        Ok(Self::Plain(plain))
    }

    /// Returns the limit on the end of reads and writes. Without one nothing waits.
    pub(super) fn until(&mut self) -> &mut Option<Instant> {
        match self {
            Self::Plain(plain) => &mut plain.until,
            #[cfg(feature = "https")]
            Self::Tls(tls) => &mut tls.get_mut().until,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(plain) => plain.read(buffer),
            #[cfg(feature = "https")]
            Self::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(plain) => plain.write(buffer),
            #[cfg(feature = "https")]
            Self::Tls(tls) => tls.write(buffer),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Plain(plain) => plain.flush(),
            #[cfg(feature = "https")]
            Self::Tls(tls) => tls.flush(),
        }
    }
}

/// Returns the host without the brackets of an address of IPv6.
fn host(address: &Address) -> &str {
    address.host.trim_start_matches('[').trim_end_matches(']')
}

/// Connects to the first address of the host that listens.
fn connect(address: &Address, until: Instant) -> Result<TcpStream, String> {
    let host = host(address);
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

/// Limits the time of a stream's reads and writes, also when bytes trickle in.
pub(super) struct Timed {
    stream: TcpStream,
    /// Without a limit nothing waits.
    until: Option<Instant>,
}

impl Timed {
    /// Runs one operation within the limit.
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
