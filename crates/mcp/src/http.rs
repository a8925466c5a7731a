//! Connects to a server behind a URL: streamable HTTP. Every message is a POST, and its response is JSON or a
//! stream of events. A stream that breaks off is continued by a GET, from the last event that had an id.

use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use turnwise_http::sse::{Broken, Events, Resume};
use turnwise_http::{address, tls};
use ureq::http::Response;
use ureq::{Agent, Body};

use crate::link::{Link, MAX_MESSAGE, Trouble, short};
use crate::message::{Message, Refusal, notice, read, reply, request};
use crate::process::Endings;

/// Header of the session's id.
const SESSION: &str = "mcp-session-id";
/// How long the end of a session may take.
const GOODBYE: Duration = Duration::from_secs(2);
/// How long a server that is busy is left alone at first, unless it asks for another time.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// How long a server is left alone at least before a stream of it is continued.
const LEAST_WAIT: Duration = Duration::from_millis(10);
/// Bytes of a refusal that are read.
const MAX_REFUSAL: u64 = 4096;

/// Holds a session on an HTTP server.
pub(crate) struct Http {
    posts: Posts,
    next_id: AtomicU64,
    endings: Arc<Endings>,
}

/// Holds what every request carries.
struct Posts {
    agent: Agent,
    url: String,
    bearer: Option<String>,
    agreed: Mutex<Agreed>,
}

/// The reaction of a server to a message.
enum Sent {
    Answered(Response<Body>),
    /// It has no time for it now. It may ask for a wait.
    Busy(Option<Duration>, String),
}

/// Holds what the server said when the session began.
#[derive(Debug, Clone, Default)]
struct Agreed {
    session: Option<String>,
    version: Option<String>,
}

impl Http {
    /// Returns a session that hasn't begun.
    ///
    /// # Errors
    /// If the URL needs TLS, and this build has none, or can't read the certificates to trust.
    pub(crate) fn new(url: &str, bearer: Option<String>, endings: &Arc<Endings>) -> Result<Self, String> {
        address::check(url)?;
        let posts = Posts { agent: tls::agent()?, url: url.into(), bearer, agreed: Mutex::default() };
        Ok(Self { posts, next_id: AtomicU64::new(1), endings: endings.clone() })
    }

    /// Returns the answer to the request of this id out of messages.
    fn answer(&self, messages: Vec<Message>, id: u64, until: Instant) -> Option<Result<Value, Refusal>> {
        let mut found = None;
        for message in messages {
            match message {
                Message::Answer(answered, outcome) if answered == id => found = Some(outcome),
                Message::Request(asked, method) => {
                    // A server that doesn't take the reply goes on without it.
                    let _ = self.posts.send(&reply(&asked, &method), until);
                }
                Message::Answer(..) | Message::Notice => {}
            }
        }
        found
    }

    /// Reads the response to the request of this id up to its answer.
    fn read(&self, response: &mut Response<Body>, id: u64, until: Instant) -> Result<Outcome, String> {
        let kind = header(response, "content-type").unwrap_or_default().trim_start().to_ascii_lowercase();
        let is_stream = kind.starts_with("text/event-stream");
        let reader = BufReader::new(response.body_mut().as_reader());
        let no_message = |text: &[u8]| format!("a response that is no message: {}", shown(text));
        if !is_stream {
            let text = whole(reader, MAX_MESSAGE)?;
            let messages = read(&text)?.ok_or_else(|| no_message(&text))?;
            return self.answer(messages, id, until).ok_or_else(|| no_message(&text));
        }
        let (mut found, mut place) = self.stream(reader, id, until)?;
        let mut wait = FIRST_WAIT;
        loop {
            let why = match found {
                Left::Answered(outcome) => return Ok(outcome),
                Left::Cut(why) => why,
            };
            let asked = place.retry.map_or(wait, |retry| retry.max(LEAST_WAIT));
            let (Some(_), Some(pause)) = (&place.id, pause(asked, until)) else { return Err(why) };
            std::thread::sleep(pause);
            wait *= 2;
            let mut rest = self.posts.resume(&place, until).map_err(|again| format!("{why}; {again}"))?;
            let reader = BufReader::new(rest.body_mut().as_reader());
            let Resume { id: seen, retry } = place;
            (found, place) = self.stream(reader, id, until)?;
            // The rest may be without ids, or end before it has said anything.
            place = Resume { id: place.id.or(seen), retry: place.retry.or(retry) };
        }
    }

    /// Reads a stream of events up to the answer to the request of this id. Returns the place where it ends.
    fn stream(&self, stream: impl BufRead, id: u64, until: Instant) -> Result<(Left, Resume), String> {
        let mut events = Events::new(stream, MAX_MESSAGE);
        let left = loop {
            let event = match events.next_event() {
                Ok(Some(event)) => event,
                Ok(None) => break Left::Cut("the stream of events ended before the answer".into()),
                Err(Broken::Cut(why)) => break Left::Cut(why),
                Err(Broken::Wrong(why)) => return Err(why),
            };
            let no_message = || format!("a response that is no message: {}", shown(&event));
            let messages = read(&event)?.ok_or_else(no_message)?;
            if let Some(outcome) = self.answer(messages, id, until) {
                break Left::Answered(outcome);
            }
        };
        Ok((left, events.place().clone()))
    }
}

type Outcome = Result<Value, Refusal>;

/// The end of a stream of events.
enum Left {
    Answered(Outcome),
    /// It ended before the answer.
    Cut(String),
}

/// Returns a wait, unless the time would be up.
fn pause(wait: Duration, until: Instant) -> Option<Duration> {
    (wait < until.saturating_duration_since(Instant::now())).then_some(wait)
}

impl Link for Http {
    fn ask(&self, method: &str, params: &Value, time: Duration) -> Result<Value, Trouble> {
        let (start, id) = (Instant::now(), self.next_id.fetch_add(1, Ordering::Relaxed));
        let mut response = self.posts.send(&request(id, method, params), start + time)?;
        if method == "initialize"
            && let Some(session) = header(&response, SESSION)
        {
            self.posts.agreed().session = Some(session.to_string());
        }
        match self.read(&mut response, id, start + time) {
            Ok(outcome) => outcome.map_err(Trouble::Refused),
            Err(_) if start.elapsed() >= time => {
                Err(Trouble::Broken(format!("no answer to `{method}` for {} s", time.as_secs_f64())))
            }
            Err(why) => Err(Trouble::Broken(why)),
        }
    }

    fn tell(&self, method: &str, time: Duration) -> Result<(), Trouble> {
        self.posts.send(&notice(method, &serde_json::json!({})), Instant::now() + time).map(drop)
    }

    fn agree(&self, version: &str) {
        self.posts.agreed().version = Some(version.into());
    }

    fn end(&self, _: &str) {}
}

impl Drop for Http {
    fn drop(&mut self) {
        let headers = self.posts.headers();
        if headers.iter().any(|(name, _)| *name == SESSION) {
            let (agent, url) = (self.posts.agent.clone(), self.posts.url.clone());
            self.endings.run(move || {
                let mut delete = agent.delete(&url).config().timeout_global(Some(GOODBYE)).build();
                for (name, value) in headers {
                    delete = delete.header(name, value);
                }
                // A server may keep its sessions as long as it likes.
                let _ = delete.call();
            });
        }
    }
}

impl Posts {
    fn agreed(&self) -> std::sync::MutexGuard<'_, Agreed> {
        self.agreed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the headers of every request: the session, the version and the token.
    fn headers(&self) -> Vec<(&'static str, String)> {
        let Agreed { session, version } = self.agreed().clone();
        let bearer = self.bearer.as_ref().map(|bearer| format!("Bearer {bearer}"));
        let headers = [(SESSION, session), ("mcp-protocol-version", version), ("authorization", bearer)];
        headers.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// Asks for the rest of a stream of events.
    fn resume(&self, place: &Resume, until: Instant) -> Result<Response<Body>, String> {
        let mut get = self.agent.get(&self.url).config().timeout_global(Some(left(until))).build();
        get = get.header("accept", "text/event-stream");
        for (name, value) in self.headers() {
            get = get.header(name, value);
        }
        if let Some(id) = &place.id {
            get = get.header("last-event-id", id);
        }
        let response = get.call().map_err(|error| failure(&self.url, &error))?;
        match response.status().as_u16() {
            200 => Ok(response),
            status => Err(format!("the server doesn't continue it: status {status}")),
        }
    }

    /// Sends a message and returns a response of success. A server that is busy is asked again for as long as
    /// it may take to answer.
    fn send(&self, message: &str, until: Instant) -> Result<Response<Body>, Trouble> {
        let mut wait = FIRST_WAIT;
        loop {
            match self.send_once(message, until)? {
                Sent::Answered(response) => return Ok(response),
                Sent::Busy(asked, why) => {
                    let Some(pause) = pause(asked.unwrap_or(wait), until) else {
                        return Err(Trouble::Broken(why));
                    };
                    std::thread::sleep(pause);
                    wait *= 2;
                }
            }
        }
    }

    fn send_once(&self, message: &str, until: Instant) -> Result<Sent, Trouble> {
        let mut post = self.agent.post(&self.url).config().timeout_global(Some(left(until))).build();
        post = post.header("content-type", "application/json");
        post = post.header("accept", "application/json, text/event-stream");
        let has_session = self.agreed().session.is_some();
        for (name, value) in self.headers() {
            post = post.header(name, value);
        }
        let sent = post.send(message.trim_end());
        let mut response = sent.map_err(|error| Trouble::Broken(failure(&self.url, &error)))?;
        let status = response.status().as_u16();
        if (200..300).contains(&status) {
            return Ok(Sent::Answered(response));
        }
        let asked = turnwise_http::retry_after(response.headers());
        let place = header(&response, "location").map(short);
        let said = whole(response.body_mut().as_reader(), MAX_REFUSAL).unwrap_or_default();
        let said = shown(&said);
        // Some servers say 400.
        if has_session && (status == 404 || (status == 400 && said.to_lowercase().contains("session"))) {
            return Err(Trouble::Forgotten);
        }
        let hint = match (status, place) {
            (300..=399, Some(place)) => format!("\n  hint: it is moved to {place}; name that URL"),
            (401 | 403, _) => "\n  hint: `bearer` names the environment variable of the token".into(),
            (404 | 405, _) => "\n  hint: name the URL of streamable HTTP, which often ends in /mcp".into(),
            _ => String::new(),
        };
        let why = format!("{}: status {status}: {said}{hint}", self.url);
        if matches!(status, 429 | 503) { Ok(Sent::Busy(asked, why)) } else { Err(Trouble::Broken(why)) }
    }
}

/// Returns the time that is left. A time of zero would be no limit.
fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

fn header<'r>(response: &'r Response<Body>, name: &str) -> Option<&'r str> {
    response.headers().get(name)?.to_str().ok()
}

/// Returns all bytes, if there are no more than `longest`.
fn whole(reader: impl Read, longest: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = reader.take(longest + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("the response breaks off: {error}"))?;
    if bytes.len() as u64 > longest {
        return Err(format!("a response of more than {longest} bytes"));
    }
    Ok(bytes)
}

fn failure(url: &str, error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => format!("{url}: no answer in time"),
        ureq::Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused => {
            format!("{url}: nothing listens there")
        }
        other => match turnwise_http::explained(other) {
            Some((why, hint)) => format!("{url}: {why}\n  hint: {hint}"),
            None => format!("{url}: {}", short(&other.to_string())),
        },
    }
}

/// Returns the start of what a server said.
fn shown(text: &[u8]) -> String {
    short(&String::from_utf8_lossy(&text[..text.len().min(2000)]))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    /// Answers POSTs with these responses, one a connection. Returns its URL.
    fn answering(responses: Vec<String>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for (response, connection) in responses.iter().zip(listener.incoming()) {
                let mut connection = connection.unwrap();
                let (mut request, mut piece) = (Vec::new(), [0; 4096]);
                while !request.ends_with(b"}") {
                    let read = connection.read(&mut piece).unwrap();
                    request.extend_from_slice(&piece[..read]);
                }
                connection.write_all(response.as_bytes()).unwrap();
            }
        });
        url
    }

    fn response(head: &str, body: &str) -> String {
        format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    }

    fn asked(responses: &[String], time: Duration) -> Result<Value, String> {
        let link = Http::new(&answering(responses.to_vec()), None, &Arc::default()).unwrap();
        link.ask("tools/call", &serde_json::json!({}), time).map_err(|trouble| trouble.to_string())
    }

    #[test]
    fn a_busy_server_is_asked_again_until_its_time_is_up() {
        let long = Duration::from_mins(1);
        let answer = response("200 OK", r#"{"jsonrpc":"2.0","id":1,"result":7}"#);
        let busy = response("429 Too Many Requests\r\nretry-after: 0", "slow down");
        let loading = response("503 Service Unavailable", "");
        assert_eq!(asked(&[busy, loading, answer.clone()], long), Ok(7.into()));
        let later = response("429 Too Many Requests\r\nretry-after: 3600", "slow down");
        let error = asked(&[later, answer.clone()], long).unwrap_err();
        assert!(error.ends_with("status 429: slow down"), "{error}");
        let error = asked(&[response("500 Internal Server Error", "no"), answer], long).unwrap_err();
        assert!(error.ends_with("status 500: no"), "{error}");
    }

    #[test]
    fn a_stream_is_known_in_any_case() {
        let events = "\u{feff}data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":7}\n\n";
        for kind in ["text/event-stream", "Text/Event-Stream; charset=UTF-8"] {
            let answer = response(&format!("200 OK\r\ncontent-type: {kind}"), events);
            assert_eq!(asked(&[answer], Duration::from_mins(1)), Ok(7.into()));
        }
    }
}
