//! Sends one request with limits of time, redirects and size.

use std::io::{ErrorKind, Read};
use std::time::{Duration, SystemTime};

use ureq::Agent;
use ureq::http::{HeaderMap, Response};

use crate::{Failure, address, short, tls};

/// Most redirects of a request.
const REDIRECTS: usize = 5;

/// Sends JSON to one address.
#[derive(Debug)]
pub struct Client {
    /// The client, or the reason why there is none.
    agent: Result<Agent, String>,
    url: String,
    key: Option<String>,
    longest: u64,
}

/// Pairs the name of a request's header with its value.
pub type Header<'a> = (&'a str, &'a str);

/// Holds a server's response, an answer or a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The wait before the next try, if the server asks for one.
    pub retry_after: Option<Duration>,
    /// The body, in which invalid UTF-8 is replaced.
    pub text: String,
}

impl Client {
    /// Makes a client that sends `key` as a bearer token and reads answers of at most `longest` bytes.
    pub fn new(url: impl Into<String>, key: Option<String>, longest: u64) -> Self {
        // Redirects are followed here, because the library's drop the body.
        Self { agent: tls::agent(), url: url.into(), key, longest }
    }

    /// Returns the address of its requests.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sends a JSON text. `time` limits the whole exchange: connection, redirects, and the last byte of the
    /// answer.
    pub fn post(&self, body: &str, time: Duration) -> Result<Reply, Failure> {
        self.post_with(&[], body, time)
    }

    /// Sends a JSON text with further headers, as [`Self::post`] does.
    pub fn post_with(&self, headers: &[Header<'_>], body: &str, time: Duration) -> Result<Reply, Failure> {
        self.exchange(headers, Some(body), time)
    }

    /// Asks for what is at the address, with the limits of [`Self::post`].
    pub fn get(&self, time: Duration) -> Result<Reply, Failure> {
        self.exchange(&[], None, time)
    }

    /// Sends a request, a GET without a body, and follows redirects.
    fn exchange(&self, headers: &[Header<'_>], body: Option<&str>, time: Duration) -> Result<Reply, Failure> {
        let start = std::time::Instant::now();
        let mut url = self.url.clone();
        for _ in 0..=REDIRECTS {
            address::check(&url).map_err(Failure::Lasting)?;
            let left = time.saturating_sub(start.elapsed()).max(Duration::from_millis(1));
            let mut response = self.send(&url, headers, body, left)?;
            let status = response.status().as_u16();
            if !(300..400).contains(&status) {
                let text = self.read(&mut response)?;
                return Ok(Reply { status, retry_after: retry_after(response.headers()), text });
            }
            url = target(&url, response.headers())
                .filter(|_| matches!(status, 301 | 302 | 307 | 308))
                .ok_or_else(|| Failure::Lasting(format!("status {status} without an address to go to")))?;
        }
        Err(Failure::Lasting(format!("more than {REDIRECTS} redirects, the last one to {}", short(&url))))
    }

    fn send(
        &self,
        url: &str,
        headers: &[Header<'_>],
        body: Option<&str>,
        time: Duration,
    ) -> Result<Response<ureq::Body>, Failure> {
        // Another host gets no key.
        let key = self.key.as_ref().filter(|_| host(url) == host(&self.url));
        let bearer = key.map(|key| format!("Bearer {key}"));
        let mut all = vec![("accept", "application/json")];
        all.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
        all.extend_from_slice(headers);
        let agent = self.agent.as_ref().map_err(|why| Failure::Lasting(why.clone()))?;
        let sent = if let Some(body) = body {
            let post = agent.post(url).config().timeout_global(Some(time)).build();
            let post = post.header("content-type", "application/json");
            all.into_iter().fold(post, |post, (name, value)| post.header(name, value)).send(body)
        } else {
            let get = agent.get(url).config().timeout_global(Some(time)).build();
            all.into_iter().fold(get, |get, (name, value)| get.header(name, value)).call()
        };
        sent.map_err(|error| failure(error, time))
    }

    fn read(&self, response: &mut Response<ureq::Body>) -> Result<String, Failure> {
        let mut bytes = Vec::new();
        let reader = response.body_mut().as_reader();
        reader
            .take(self.longest.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| failure(error.into(), Duration::ZERO))?;
        if bytes.len() as u64 > self.longest {
            return Err(Failure::Lasting(format!("the answer is longer than {} bytes", self.longest)));
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

const NO_TLS: &str = "the server doesn't speak TLS";
const HOW_WITHOUT_TLS: &str = "http:// and ws:// are without TLS";

/// Returns the words for a request that can't succeed at its address, and what helps; none for other faults.
pub fn explained(error: &ureq::Error) -> Option<(&'static str, &'static str)> {
    let said = error.to_string();
    if matches!(error, ureq::Error::HostNotFound) || said.contains("failed to lookup address") {
        return Some(("the host isn't known", "the name of a machine, or its address"));
    }
    tls::is_not_spoken(&said).then_some((NO_TLS, HOW_WITHOUT_TLS))
}

fn failure(error: ureq::Error, time: Duration) -> Failure {
    match error {
        ureq::Error::Io(e) if e.kind() == ErrorKind::ConnectionRefused => Failure::Unreached(e.to_string()),
        // An unknown name has no separate kind.
        ureq::Error::Io(e) if e.to_string().starts_with("failed to lookup address") => {
            Failure::Unreached(e.to_string())
        }
        // A server may come, but not learn TLS.
        ureq::Error::Io(e) if tls::is_not_spoken(&e.to_string()) => {
            Failure::Lasting(format!("{NO_TLS}: {HOW_WITHOUT_TLS}"))
        }
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => Failure::Unreached(error.to_string()),
        ureq::Error::Timeout(_) if time.is_zero() => Failure::passing("the answer didn't end in time"),
        ureq::Error::Timeout(what) => {
            Failure::passing(format!("timeout ({what}) after {:.1} s", time.as_secs_f64()))
        }
        // Resets, cut bodies, broken chunks, invalid headers.
        ureq::Error::Io(_)
        | ureq::Error::Protocol(_)
        | ureq::Error::LargeResponseHeader(..)
        | ureq::Error::Decompress(..)
        | ureq::Error::BodyStalled => Failure::passing(error.to_string()),
        other => Failure::Lasting(other.to_string()),
    }
}

/// Returns the scheme and the rest of an address.
fn split(url: &str) -> Option<(&str, &str)> {
    url.split_once("://")
}

/// Returns host and port of an address.
fn host(url: &str) -> &str {
    let rest = split(url).map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

/// Returns the target of a redirect: a whole address, one without its scheme, or a path.
fn target(from: &str, headers: &HeaderMap) -> Option<String> {
    let to = headers.get("location")?.to_str().ok()?.trim();
    let (scheme, _) = split(from)?;
    if to.starts_with("http://") || to.starts_with("https://") {
        Some(to.into())
    } else if to.starts_with("//") {
        Some(format!("{scheme}:{to}"))
    } else if to.starts_with('/') {
        Some(format!("{scheme}://{}{to}", host(from)))
    } else {
        let folder = from.rsplit_once('/')?.0;
        Some(format!("{folder}/{to}")).filter(|_| !to.is_empty())
    }
}

/// Returns the wait that a response asks for: `Retry-After`, in seconds or as a date, or `retry-after-ms`.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let number = |text: &str| text.parse::<f64>().ok();
    let seconds = text("retry-after-ms")
        .and_then(number)
        .map(|ms| ms / 1e3)
        .or_else(|| text("retry-after").and_then(number));
    if let Some(seconds) = seconds {
        // A negative number or NaN asks for no wait; a huge one is capped.
        return (seconds >= 0.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
    }
    let date = httpdate::parse_http_date(text("retry-after")?).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_a_number_of_seconds_or_a_date() {
        let check = |name: &'static str, value: &str, expect: Option<u64>| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(retry_after(&headers), expect.map(Duration::from_millis), "{name}: {value}");
        };
        check("retry-after", "8", Some(8000));
        check("retry-after", " 0.5 ", Some(500));
        check("retry-after-ms", "250", Some(250));
        check("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT", Some(0));
        for senseless in ["-1", "soon", "NaN", ""] {
            check("retry-after", senseless, None);
        }
        let mut headers = HeaderMap::new();
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_mins(1));
        headers.insert("retry-after", date.parse().unwrap());
        let wait = retry_after(&headers).unwrap().as_secs();
        assert!((57..=60).contains(&wait), "{wait}");
        headers.insert("retry-after", "1e300".parse().unwrap());
        assert_eq!(retry_after(&headers), Some(Duration::MAX));
    }

    #[test]
    fn a_redirect_leads_to_an_address() {
        let check = |to: &str, expect: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert("location", to.parse().unwrap());
            assert_eq!(target("http://a:1/v1/chat", &headers).as_deref(), expect, "{to}");
        };
        check("https://b/v2", Some("https://b/v2"));
        check("//b/v2", Some("http://b/v2"));
        check("/v2", Some("http://a:1/v2"));
        check("other", Some("http://a:1/v1/other"));
        check("", None);
        assert_eq!(host("http://a:1?x"), "a:1");
    }
}
