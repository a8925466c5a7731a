//! Reads a request: whose it is, its body within limits, its JSON.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::Ordering;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, header};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use turnwise_json::{Unique, words};

use crate::refusal::Refusal;
use crate::server_state::ServerState;
use crate::session::all::Name;

/// Most bytes of a session's name.
const NAME: usize = 256;

/// Least memory that a body takes when it begins to arrive.
const FIRST: usize = 1 << 10;

/// Holds a body with its share of the memory for bodies.
pub(crate) struct Held {
    pub(crate) bytes: Vec<u8>,
    share: Option<OwnedSemaphorePermit>,
}

/// Returns the session of a request: its bearer token or `x-api-key`. Without one the request is a session.
pub(crate) fn session(state: &ServerState, headers: &HeaderMap) -> Result<Name, Refusal> {
    let bearer = headers.get(header::AUTHORIZATION).map(|value| {
        let value = value.to_str().unwrap_or_default();
        let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
        if scheme.eq_ignore_ascii_case("bearer") { token.trim() } else { "" }
    });
    let key = || headers.get("x-api-key").map(|value| value.to_str().unwrap_or_default().trim());
    match bearer.or_else(key) {
        None => {
            let number = state.singles.fetch_add(1, Ordering::Relaxed);
            // No token holds a space.
            Ok(Name { name: format!("single {number}"), single: true })
        }
        Some(name) if is_name(name) => Ok(Name { name: name.into(), single: false }),
        Some(_) => Err(Refusal::of(
            401,
            format!(
                "the session's name, a bearer token or x-api-key, has 1 to {NAME} letters without spaces"
            ),
        )),
    }
}

/// Returns whether a text can name a session.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=NAME).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Reads a body. Only what has arrived takes memory, so clients that stall leave it to others.
pub(crate) async fn body(state: &ServerState, headers: &HeaderMap, body: Body) -> Result<Held, Refusal> {
    let most = state.limits.body;
    let told =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let read = async {
        match told {
            Some(length) if length > most => Err(Unread::TooLong),
            _ => collected(state, body).await,
        }
    };
    timeout(state.limits.body_time, read).await.unwrap_or(Err(Unread::Slow)).map_err(|unread| match unread {
        Unread::TooLong => Refusal::of(413, format!("the body is longer than {most} bytes")),
        Unread::Full => Refusal::busy("the requests being read fill their memory"),
        Unread::Broken => Refusal::of(400, "the body broke off, or its chunks are malformed"),
        Unread::Slow => {
            let seconds = state.limits.body_time.as_secs();
            Refusal::of(408, format!("the body took longer than {seconds} s"))
        }
    })
}

/// Says why a body wasn't read.
enum Unread {
    TooLong,
    Full,
    Broken,
    Slow,
}

/// Reads the bytes of a body.
async fn collected(state: &ServerState, mut body: Body) -> Result<Held, Unread> {
    let mut held = Held { bytes: Vec::new(), share: None };
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame = frame.map_err(|_| Unread::Broken)?;
        let Some(data) = frame.data_ref() else { continue };
        held.grow(state, data.len())?;
        held.bytes.extend_from_slice(data);
    }
    Ok(held)
}

impl Held {
    /// Takes memory for more bytes: twice as much as before, where the limits allow it.
    fn grow(&mut self, state: &ServerState, more: usize) -> Result<(), Unread> {
        let (most, needed) = (state.limits.body, self.bytes.len() + more);
        if needed > most {
            return Err(Unread::TooLong);
        }
        let before = self.share.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if needed <= before {
            return Ok(());
        }
        let size = needed.max(2 * before).max(FIRST).min(most);
        let share = u32::try_from(size - before).map_err(|_| Unread::TooLong)?;
        let share = state.bodies.clone().try_acquire_many_owned(share).map_err(|_| Unread::Full)?;
        match &mut self.share {
            Some(held) => held.merge(share),
            None => self.share = Some(share),
        }
        self.bytes.reserve_exact(size - self.bytes.len());
        Ok(())
    }
}

/// Most values of a body's JSON: two hundred bytes of memory each. A prompt of token ids may have more, if
/// the context is longer.
const VALUES: usize = 1 << 17;

/// Reads the JSON of a body, unless it has too many values. No key may stand twice: one of them would be
/// ignored.
pub(crate) fn json(state: &ServerState, bytes: &[u8]) -> Result<Value, Refusal> {
    bounded(state, bytes)?;
    match serde_json::from_slice(bytes) {
        Ok(Unique(value)) => Ok(value),
        Err(error) if error.is_data() => Err(Refusal::of(400, words(&error))),
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            let message = format!("the body is no JSON: {} at line {line} column {column}", words(&error));
            Err(Refusal::of(400, message))
        }
    }
}

/// Refuses a body with too many values.
fn bounded(state: &ServerState, bytes: &[u8]) -> Result<(), Refusal> {
    let most = VALUES.max(2 * state.engine.context());
    let values = values(bytes);
    if values > most {
        let message = format!("the body has about {values} values; at most {most} are read");
        return Err(Refusal::of(413, message));
    }
    Ok(())
}

/// Counts the values and keys of a JSON text, without its memory: what opens, and what follows a comma or a
/// colon outside texts.
fn values(bytes: &[u8]) -> usize {
    let (mut count, mut in_text, mut escaped) = (1, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' | b',' | b':' if !in_text => count += 1,
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_keys_are_counted_outside_texts() {
        for (text, expect) in [
            ("", 1),
            ("3", 1),
            ("[]", 2),
            ("[1,2,3]", 4),
            (r#"{"a":1,"b":[2]}"#, 6),
            (r#"["[[[[,,,,","\\",",\",,"]"#, 4),
            ("[[],[],[]]", 7),
        ] {
            assert_eq!(values(text.as_bytes()), expect, "{text}");
        }
    }
}
