//! One act of a client, chosen by a seed.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

/// A small generator (SplitMix64, public domain).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64, client: u64) -> Self {
        Self((seed << 32) | client)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }

    fn stall(&mut self) {
        std::thread::sleep(Duration::from_millis(20 + self.below(300)));
    }
}

/// Long enough for any answer of the tiny model.
const PATIENCE: Duration = Duration::from_mins(2);

struct Client(TcpStream);

impl Client {
    fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time");
        stream.set_write_timeout(Some(PATIENCE)).expect("a time");
        Self(stream)
    }

    /// A server that refuses early doesn't read the rest.
    fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes);
    }

    /// Returns the status of the answer, which is read to its end; 0 without one.
    fn status(mut self) -> u16 {
        let mut answer = Vec::new();
        // A server that refused early may reset the connection after its answer.
        let _ = self.0.read_to_end(&mut answer);
        let text = String::from_utf8_lossy(&answer);
        text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }
}

fn head(path: &str, session: &str, length: usize) -> String {
    format!(
        "POST /v1{path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         authorization: Bearer {session}\r\ncontent-length: {length}\r\n\r\n"
    )
}

fn request(path: &str, session: &str, body: &str) -> Vec<u8> {
    (head(path, session, body.len()) + body).into_bytes()
}

fn chat(random: &mut Random, more: &Value) -> String {
    let text = format!("{}+{}", random.below(50), random.below(50));
    let mut body = json!({"messages": [{"role": "user", "content": text}], "max_tokens": 24});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body.to_string()
}

const CHAT: &str = "/chat/completions";
const PATHS: [&str; 4] = [CHAT, "/completions", "/responses", "/messages"];

fn path(random: &mut Random) -> &'static str {
    PATHS[random.below(4) as usize]
}

/// Returns a request of any dialect.
fn ask(random: &mut Random, session: &str, stream: bool) -> Vec<u8> {
    let text = format!("{}+{}", random.below(50), random.below(50));
    let messages = json!([{"role": "user", "content": text}]);
    let path = path(random);
    let mut body = match path {
        "/completions" => json!({"prompt": text, "max_tokens": 24}),
        "/responses" => json!({"input": messages, "max_output_tokens": 24}),
        _ => json!({"messages": messages, "max_tokens": 24}),
    };
    body["stream"] = stream.into();
    request(path, session, &body.to_string())
}

/// Bodies that are no request.
fn rubbish(random: &mut Random) -> String {
    match random.below(8) {
        0 => "[".repeat(9000),
        1 => "{\"messages\": ".repeat(500),
        2 => String::new(),
        3 => "{\"messages\": 5}".into(),
        4 => "{\"messages\": [{\"role\": \"user\", \"content\": 1e999}]}".into(),
        5 => chat(random, &json!({"temperature": -1})),
        6 => chat(random, &json!({"logit_bias": {"5": 100}})),
        _ => "\u{1F980}\0\u{FFFF}".repeat(2000),
    }
}

/// Acts once; returns the status of the answer, or 0.
pub(crate) fn act(address: &str, random: &mut Random) -> u16 {
    let session = format!("load-{}", random.below(64));
    let mut client = Client::connect(address);
    match random.below(16) {
        0..3 => client.send(&ask(random, &session, false)),
        3 => client.send(&ask(random, &session, true)),
        4 => client.send(&request("/completions", &session, "{\"prompt\": [5, 6, 99999999]}")),
        5 => return disconnects(client, &session, random),
        6 | 7 => return stalls(client, &session, random),
        8 => return random_bytes(client, random),
        9 | 10 => client.send(&request(path(random), &session, &rubbish(random))),
        11 | 12 => huge(&mut client, &session, random),
        13 => client.send(&request(&format!("/sessions/{session}/reward"), &session, "{\"done\": true}")),
        14 => client.send(&request("/sessions/no%20name/reward", "a b", &rubbish(random))),
        _ => client.send(&request("/messages", &"k".repeat(300), "{}")),
    }
    client.status()
}

/// Goes away while it is being answered.
fn disconnects(mut client: Client, session: &str, random: &mut Random) -> u16 {
    let stream = random.below(2) == 0;
    let more = json!({"n": 1 + random.below(32), "max_tokens": 300, "stream": stream});
    let body = chat(random, &more);
    client.send(&request(CHAT, session, &body));
    if stream {
        // It has begun to answer, or refused.
        let _ = client.0.read(&mut [0; 128]);
    }
    0
}

/// Stops in its head, in its body, or before it reads.
fn stalls(mut client: Client, session: &str, random: &mut Random) -> u16 {
    let whole = ask(random, session, true);
    let sent = [20, whole.len() - 7, whole.len()][random.below(3) as usize];
    client.send(&whole[..sent]);
    random.stall();
    0
}

fn random_bytes(mut client: Client, random: &mut Random) -> u16 {
    let bytes: Vec<u8> = (0..random.below(40_000)).map(|_| random.below(256) as u8).collect();
    client.send(&bytes);
    0
}

/// Sends more than is read: a body that is too long by its head or by its chunks, a long head, or a text that
/// is longer than the context.
fn huge(client: &mut Client, session: &str, random: &mut Random) {
    const LIMIT: usize = 4 << 20;
    match random.below(4) {
        0 => {
            client.send(head(path(random), session, LIMIT + 1).as_bytes());
            client.send(&vec![b'x'; 1 << 16]);
        }
        1 => {
            let path = path(random);
            let head = format!("POST /v1{path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
            client.send((head + "transfer-encoding: chunked\r\n\r\n").as_bytes());
            let chunk = format!("10000\r\n{}\r\n", "x".repeat(1 << 16));
            (0..=LIMIT >> 16).for_each(|_| client.send(chunk.as_bytes()));
            client.send(b"0\r\n\r\n");
        }
        2 => client.send(&request(CHAT, &"s".repeat(64 << 10), "{}")),
        _ => {
            let text = "1+2 ".repeat(20_000 << random.below(4));
            let body = json!({"messages": [{"role": "user", "content": text}]});
            client.send(&request(CHAT, session, &body.to_string()));
        }
    }
}
