//! Many clients that disconnect, stall, send rubbish and huge bodies; then a correct answer.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use turnwise_serve::Limits;

use crate::scene::Scene;

const CLIENTS: usize = 48;
const REQUESTS: usize = 40;

/// Counts the open descriptors of this process; none without Linux's /proc.
fn descriptors() -> Option<usize> {
    std::fs::read_dir("/proc/self/fd").ok().map(Iterator::count)
}

/// Writes bytes, and then reads if `reads`, for a moment.
fn client(address: &str, bytes: &[u8], reads: bool) {
    // A server that is full lets a connection wait.
    let Ok(mut stream) = TcpStream::connect(address) else { return };
    let short = Some(Duration::from_millis(40));
    stream.set_read_timeout(short).expect("a time");
    // It may refuse before it has read everything.
    let _ = stream.write_all(bytes);
    if reads {
        let mut some = [0; 512];
        let _ = stream.read(&mut some);
    }
}

fn request(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST /v1{path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// Returns what a client sends: whole requests of each dialect, streamed or not, and every kind of rubbish.
fn bytes(number: usize) -> Vec<u8> {
    let messages = json!([{"role": "user", "content": format!("{number}")}]);
    let stream = number.is_multiple_of(2);
    let whole = |path: &str, mut body: Value| {
        body["stream"] = stream.into();
        request(path, &body.to_string())
    };
    match number % 12 {
        0 | 1 => whole("/chat/completions", json!({"messages": messages, "n": 3})),
        2 => whole("/completions", json!({"prompt": [5, 6]})),
        3 => whole("/responses", json!({"input": "?"})),
        4 => whole("/messages", json!({"messages": messages, "max_tokens": 5})),
        5 => request("/chat/completions", &"[".repeat(9000)),
        6 => request("/chat/completions", &"x".repeat(100_000)),
        7 => b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n{".to_vec(),
        8 => b"POST /v1/chat/comple".to_vec(),
        9 => vec![0xff; 40_000],
        10 => request("/sessions/x/reward", "{\"rewards\": {\"acc\": 1}}"),
        _ => Vec::new(),
    }
}

#[test]
fn a_thousand_hostile_clients_leave_nothing_behind() {
    let limits = Limits { body: 1 << 16, bodies: 1 << 20, sequences: 64, ..Limits::default() };
    let mut scene = Scene::with(limits, None);
    let address = scene.url.strip_prefix("http://").unwrap().strip_suffix("/v1").unwrap().to_string();
    client(&address, &bytes(2), true);
    scene.script.until_running(0);
    let before = descriptors();
    std::thread::scope(|threads| {
        for at in 0..CLIENTS {
            let address = &address;
            threads.spawn(move || {
                for nth in 0..REQUESTS {
                    let number = at * REQUESTS + nth;
                    client(address, &bytes(number), number % 5 < 3);
                }
            });
        }
    });
    // The last connections close when the server has seen that their clients are gone.
    let patient = |seen: &dyn Fn() -> bool| {
        (0..400).any(|_| {
            std::thread::sleep(Duration::from_millis(25));
            seen()
        })
    };
    if let Some(before) = before {
        let closed = patient(&|| descriptors().is_some_and(|now| now <= before + 2));
        assert!(closed, "{:?} descriptors, {before} before", descriptors());
    }
    let question = json!({"messages": [{"role": "user", "content": "?"}]});
    let mut all = question.clone();
    all["n"] = 64.into();
    let free = patient(&|| scene.post("s", "/chat/completions", &all).status == 200);
    assert!(free, "every place is free again");
    scene.script.until_running(0);
    scene.script.says("fine");
    let answer = scene.chat("s", &question);
    assert_eq!(answer["choices"][0]["message"]["content"], "fine");
    scene.end();
}
