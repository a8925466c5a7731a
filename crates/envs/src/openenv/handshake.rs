//! Opens a WebSocket: an HTTP request, and the response that changes the protocol.
//!
//! The library for the frames can do this too, with features that Burn's build would share.

use std::io::{Read, Write};

use super::address::Address;

/// Maximum of bytes in a response.
const MAX_RESPONSE: usize = 16 << 10;
/// Maximum of lines in a response.
const MAX_HEADERS: usize = 64;
/// The example of RFC 6455 §1.3. A key isn't secret: it shows that the other side speaks WebSocket.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// The answer to the key.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Asks for a WebSocket. Returns the bytes that came after the response.
///
/// # Errors
/// If the connection fails, or the other side doesn't agree.
pub(super) fn upgrade(stream: &mut (impl Read + Write), address: &Address) -> Result<Vec<u8>, String> {
    let (path, host) = (address.sessions(), address.authority());
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    );
    let broken = |error: std::io::Error| format!("GET {path}: {error}");
    stream.write_all(request.as_bytes()).and_then(|()| stream.flush()).map_err(broken)?;
    let (mut bytes, mut chunk) = (Vec::new(), [0; 1024]);
    loop {
        let read = stream.read(&mut chunk).map_err(broken)?;
        if read == 0 {
            return Err(format!("GET {path}: the server closes the connection"));
        }
        bytes.extend_from_slice(&chunk[..read]);
        if let Some(length) = agreed(&bytes).map_err(|why| format!("GET {path}: {why}"))? {
            return Ok(bytes.split_off(length));
        }
        if bytes.len() > MAX_RESPONSE {
            return Err(format!("GET {path}: a response of more than {MAX_RESPONSE} bytes"));
        }
    }
}

/// Returns the length of a response that changes the protocol, or none if it's incomplete.
fn agreed(bytes: &[u8]) -> Result<Option<usize>, String> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(format!("the response isn't HTTP: {error}")),
    };
    let status = response.code.unwrap_or_default();
    if status != 101 {
        let hint = "a server of OpenEnv 0.10 has its sessions at /ws";
        return Err(format!("status {status} instead of a WebSocket; hint: {hint}"));
    }
    let accept = response.headers.iter().find(|h| h.name.eq_ignore_ascii_case("sec-websocket-accept"));
    if accept.is_some_and(|accept| accept.value.trim_ascii() == ACCEPT.as_bytes()) {
        Ok(Some(length))
    } else {
        Err("the response doesn't accept a WebSocket".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_that_speaks_websocket_is_believed() {
        let whole = format!("HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n");
        assert_eq!(agreed((whole.clone() + "rest").as_bytes()), Ok(Some(whole.len())));
        assert_eq!(agreed(&whole.as_bytes()[..whole.len() - 1]), Ok(None));
        for (response, expect) in [
            ("HTTP/1.1 403 Forbidden\r\n\r\n", "status 403 instead of a WebSocket"),
            ("HTTP/1.1 101 x\r\nSec-WebSocket-Accept: no\r\n\r\n", "doesn't accept a WebSocket"),
            ("HTTP/1.1 101 x\r\n\r\n", "doesn't accept a WebSocket"),
            ("SSH-2.0-OpenSSH_9.2\r\n", "the response isn't HTTP"),
        ] {
            let error = agreed(response.as_bytes()).unwrap_err();
            assert!(error.contains(expect), "{response}: {error}");
        }
    }
}
