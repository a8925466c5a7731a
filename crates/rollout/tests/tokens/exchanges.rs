//! Exchanges with an engine, recorded once and answered again without it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use turnwise_http::Client;

/// One request and the engine's answer to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Exchange {
    pub(crate) path: String,
    /// The request; null for a GET.
    pub(crate) body: Value,
    pub(crate) status: u16,
    /// The answer's text.
    pub(crate) answer: String,
}

/// The recorded exchanges with one engine, and where they come from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Recording {
    pub(crate) source: String,
    pub(crate) exchanges: Vec<Exchange>,
}

/// Changes an answer before it is sent: a server that is wrong.
pub(crate) type Lie = dyn Fn(&Exchange, usize) -> Exchange + Send + Sync;

/// Answers requests for the time of a test: from a recording, or from an engine whose answers it records.
pub(crate) struct Replayed {
    pub(crate) url: String,
    pub(crate) asked: Arc<Mutex<Vec<Exchange>>>,
}

fn file(engine: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/tokens").join(format!("{engine}.json"))
}

impl Replayed {
    /// Serves the recording of an engine. `TURNWISE_RECORD`, the address of a real one, makes a new recording
    /// when the test calls [`Self::keep`].
    pub(crate) fn start(engine: &str, lie: Arc<Lie>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        let real = std::env::var("TURNWISE_RECORD").ok();
        let recorded = if real.is_some() { Vec::new() } else { recording(engine).exchanges };
        let recorded = Arc::new(recorded);
        // The threads end with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, lie, recorded, real) = (log.clone(), lie.clone(), recorded.clone(), real.clone());
                std::thread::spawn(move || {
                    answer(stream, |path, body| {
                        let found = match &real {
                            Some(real) => asked_for_real(real, path, body),
                            None => found(&recorded, path, body),
                        };
                        let mut log = log.lock().expect("no test panics in it");
                        let told = lie(&found, log.len());
                        log.push(found);
                        told
                    })
                });
            }
        });
        Self { url, asked }
    }

    /// Returns requests and recorded answers of turns so far.
    pub(crate) fn turns(&self) -> Vec<(Value, Value)> {
        let asked = self.asked.lock().expect("no test panics in it");
        let turns = asked.iter().filter(|exchange| exchange.path.contains("generate"));
        let values = |turn: &Exchange| {
            (turn.body.clone(), serde_json::from_str(&turn.answer).expect("an answer in JSON"))
        };
        turns.map(values).collect()
    }

    /// Writes a recording, where one is made.
    pub(crate) fn keep(&self, engine: &str, source: &str) {
        if std::env::var_os("TURNWISE_RECORD").is_none() {
            return;
        }
        let mut exchanges: Vec<Exchange> = self.asked.lock().expect("no test panics in it").clone();
        for exchange in &mut exchanges {
            exchange.answer = without_ids(&exchange.answer);
        }
        let recording = Recording { source: source.into(), exchanges };
        let text = serde_json::to_string_pretty(&recording).expect("plain values") + "\n";
        std::fs::write(file(engine), text).expect("the recording is written");
    }
}

pub(crate) fn recording(engine: &str) -> Recording {
    let text = std::fs::read_to_string(file(engine)).expect("a recording");
    serde_json::from_str(&text).expect("exchanges")
}

/// Removes what an engine makes up each time.
fn without_ids(answer: &str) -> String {
    let Ok(mut value) = serde_json::from_str::<Value>(answer) else { return answer.into() };
    for key in ["request_id", "created"] {
        if let Some(field) = value.get_mut(key) {
            *field = Value::from("0");
        }
    }
    value.to_string()
}

/// Returns the recorded answer to a request that is equal in every key.
fn found(recorded: &[Exchange], path: &str, body: &Value) -> Exchange {
    let same = recorded.iter().find(|exchange| exchange.path == path && exchange.body == *body);
    let unknown = || Exchange {
        path: path.into(),
        body: body.clone(),
        status: 501,
        answer: format!("not recorded: {path} {body}"),
    };
    same.cloned().unwrap_or_else(unknown)
}

fn asked_for_real(url: &str, path: &str, body: &Value) -> Exchange {
    let client = Client::new(format!("{url}{path}"), None, 1 << 24);
    let time = Duration::from_mins(2);
    let reply = if body.is_null() { client.get(time) } else { client.post(&body.to_string(), time) };
    let reply = reply.expect("the real engine answers");
    Exchange { path: path.into(), body: body.clone(), status: reply.status, answer: reply.text }
}

fn answer(mut stream: TcpStream, says: impl FnOnce(&str, &Value) -> Exchange) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut head, mut length, mut line) = (String::new(), 0, String::new());
    while line != "\r\n" {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let path = head.split(' ').nth(1).expect("a path");
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).expect("JSON") };
    let Exchange { status, answer, .. } = says(path, &body);
    let head =
        format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.len());
    stream.write_all((head + &answer).as_bytes()).ok()?;
    stream.shutdown(Shutdown::Write).ok()
}
