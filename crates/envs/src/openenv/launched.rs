//! Runs a server that the run starts and stops.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ORIGIN;
use super::address::Address;
use crate::outside::program::Program;
use crate::outside::stderr::Log;

/// Time between two checks of a starting server.
const LOOK: Duration = Duration::from_millis(20);

/// Holds a server's program, and its address.
pub(super) struct Launched {
    program: Program,
    pub(super) address: Address,
}

impl Launched {
    /// Starts the command and waits until it listens.
    ///
    /// # Errors
    /// If it doesn't start, ends, or doesn't listen in time.
    pub(super) fn start(command: &[String], time: Duration, log: &Arc<Log>) -> Result<Self, String> {
        let port = free_port().map_err(|error| format!("no free port: {error}"))?;
        let example = "[\"python3\", \"-m\", \"my_server\"]";
        let program = Program::start(("command", command), example, ORIGIN.into(), log.clone(), |child| {
            child.env("PORT", port.to_string());
            Ok(())
        })?;
        let launched = Self { program, address: Address::local(port) };
        let (place, start) = (SocketAddr::from((Ipv4Addr::LOCALHOST, port)), Instant::now());
        loop {
            if launched.has_ended() {
                return Err(launched.fail(""));
            }
            if TcpStream::connect_timeout(&place, time).is_ok() {
                return Ok(launched);
            }
            if start.elapsed() > time {
                let seconds = time.as_secs_f64();
                return Err(launched.fail(&format!("nothing listens at its PORT, {port}, after {seconds} s; hint: it has to listen at the port of $PORT; start_seconds is its time")));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Returns whether the program has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.program.ends_within(Duration::ZERO)
    }

    /// Returns whether the program ends within a moment.
    pub(super) fn is_ending(&self) -> bool {
        self.program.ends_within(Duration::from_millis(200))
    }

    /// Ends a server that failed. Returns its exit status if it has ended, and its last lines.
    pub(super) fn fail(self, why: &str) -> String {
        if self.has_ended() { self.program.ended("server", why) } else { self.program.fail(why) }
    }

    /// Asks the server to end. Dropping it waits for that.
    pub(super) fn terminate(mut self) {
        self.program.terminate();
    }
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
