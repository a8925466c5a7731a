//! A server of bytes: it writes a handler's bytes unchanged.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// A call of the only tool.
pub(crate) const CALL: &str =
    "<tool_call>\n{\"name\": \"python\", \"arguments\": {\"code\": \"print(6*7)\"}}\n</tool_call>";
pub(crate) const ANSWER: &str = "Answer: 42";

/// A header: the response is written byte by byte, longer than any timeout.
pub(crate) const SLOWLY: &str = "x-slowly: yes\r\n";

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    /// Number of requests before it.
    pub(crate) number: usize,
    pub(crate) path: String,
    pub(crate) body: Value,
}

impl Ask {
    /// Returns the number of earlier turns of the policy.
    pub(crate) fn turns(&self) -> usize {
        self.messages().iter().filter(|message| message["role"] == "assistant").count()
    }

    /// Returns whether it belongs to the task that is to be odd.
    pub(crate) fn is_odd(&self) -> bool {
        self.messages()
            .iter()
            .any(|message| message["content"].as_str().is_some_and(|text| text.contains("odd")))
    }

    pub(crate) fn messages(&self) -> &[Value] {
        self.body["messages"].as_array().expect("messages")
    }

    /// Returns the answer of a good policy.
    pub(crate) fn right(&self) -> &'static str {
        if self.turns() == 0 { CALL } else { ANSWER }
    }

    /// Returns the good policy's answer in the protocol.
    pub(crate) fn good(&self) -> Value {
        completion(&json!({"role": "assistant", "content": self.right()}), &json!("stop"))
    }
}

pub(crate) fn completion(message: &Value, finish: &Value) -> Value {
    json!({"id": "same", "choices": [{"index": 0, "message": message, "finish_reason": finish}]})
}

/// Returns a whole response. It doesn't announce that the connection ends, although it does.
pub(crate) fn response(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

pub(crate) fn ok(body: &Value) -> Vec<u8> {
    response(200, "content-type: application/json\r\n", body.to_string().as_bytes())
}

pub(crate) fn refuses(status: u16, body: &str) -> Vec<u8> {
    response(status, "", body.as_bytes())
}

pub(crate) type Handler = dyn Fn(&Ask) -> Vec<u8> + Send + Sync;

/// Serves for the time of a test.
pub(crate) struct OddServer {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Ask>>>,
}

impl OddServer {
    pub(crate) fn start(handler: Arc<Handler>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/v1", listener.local_addr().expect("bound"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        // The threads end with the process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, handler) = (log.clone(), handler.clone());
                thread::spawn(move || serve(stream, &log, &*handler));
            }
        });
        Self { url, asked }
    }

    pub(crate) fn asked(&self) -> Vec<Ask> {
        self.asked.lock().expect("no test panics in it").clone()
    }
}

/// Answers one request. Some tests' clients leave early.
fn serve(mut stream: TcpStream, log: &Mutex<Vec<Ask>>, handler: &Handler) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let ask = {
        let mut log = log.lock().expect("no test panics in it");
        let path = head.split(' ').nth(1).expect("a path").to_string();
        let body = serde_json::from_slice(&body).expect("a JSON request");
        let number = log.len();
        log.push(Ask { number, path, body });
        log.last().expect("just pushed").clone()
    };
    let bytes = handler(&ask);
    if bytes.windows(SLOWLY.len()).any(|part| part == SLOWLY.as_bytes()) {
        for byte in &bytes {
            stream.write_all(&[*byte]).ok()?;
            thread::sleep(Duration::from_millis(50));
        }
    } else {
        stream.write_all(&bytes).ok()?;
    }
    stream.shutdown(Shutdown::Write).ok()?;
    // Later bytes of a client are ignored, but must not reset the connection under the answer.
    stream.set_read_timeout(Some(Duration::from_millis(200))).ok()?;
    let _ = reader.read(&mut [0]);
    Some(())
}
