//! Reads a request: whose it is, its body within limits, its JSON.

use std::sync::atomic::Ordering;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use turnwise_json::{Unique, words};

use crate::refusal::Refusal;
use crate::session::all::Name;
use crate::site::Site;

/// Most bytes of a session's name.
const NAME: usize = 256;

/// A body with its share of the memory for bodies.
pub(crate) struct Held {
    pub(crate) bytes: Bytes,
    _share: OwnedSemaphorePermit,
}

/// Returns the session of a request: its bearer token or `x-api-key`. Without one the request is a session.
pub(crate) fn session(site: &Site, headers: &HeaderMap) -> Result<Name, Refusal> {
    let bearer = headers.get(header::AUTHORIZATION).map(|value| {
        let value = value.to_str().unwrap_or_default();
        let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
        if scheme.eq_ignore_ascii_case("bearer") { token.trim() } else { "" }
    });
    let key = || headers.get("x-api-key").map(|value| value.to_str().unwrap_or_default().trim());
    match bearer.or_else(key) {
        None => {
            let number = site.singles.fetch_add(1, Ordering::Relaxed);
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

/// Reads a body.
pub(crate) async fn body(site: &Site, headers: &HeaderMap, body: Body) -> Result<Held, Refusal> {
    let most = site.limits.body;
    let too_long = || Refusal::of(413, format!("the body is longer than {most} bytes"));
    let told =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let length = told.unwrap_or(most);
    if length > most {
        return Err(too_long());
    }
    let share = u32::try_from(length.max(1)).map_err(|_| too_long())?;
    let share = site.bodies.clone().try_acquire_many_owned(share);
    let share = share.map_err(|_| Refusal::busy("the requests being read fill their memory"))?;
    let read = timeout(site.limits.body_time, axum::body::to_bytes(body, most)).await;
    match read {
        Err(_) => {
            let seconds = site.limits.body_time.as_secs();
            Err(Refusal::of(408, format!("the body took longer than {seconds} s")))
        }
        // A body that broke off has nobody to tell.
        Ok(Err(_)) => Err(too_long()),
        Ok(Ok(bytes)) => Ok(Held { bytes, _share: share }),
    }
}

/// Reads the JSON of a body.
pub(crate) fn json(bytes: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(bytes).map_err(|error| Refusal::of(400, format!("the body is no JSON: {error}")))
}

/// Reads the JSON of a body in which no key may stand twice: a number that is lost is never missed.
pub(crate) fn unique(bytes: &[u8]) -> Result<Value, Refusal> {
    match serde_json::from_slice(bytes) {
        Ok(Unique(value)) => Ok(value),
        Err(error) if error.is_data() => Err(Refusal::of(400, words(&error))),
        Err(error) => Err(Refusal::of(400, format!("the body is no JSON: {error}"))),
    }
}
