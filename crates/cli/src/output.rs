//! JSON on stdout.

use std::io::{self, Write};

use serde::Serialize;

/// Writes one value as a line and flushes, so that a reader at the other end of a pipe gets it at once.
pub(crate) fn line(value: &impl Serialize) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(value)?;
    bytes.push(b'\n');
    text(&bytes)
}

/// Writes bytes as they are.
pub(crate) fn text(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}
