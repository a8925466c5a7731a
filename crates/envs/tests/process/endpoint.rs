//! Serves the part of the OpenAI chat protocol that a grader needs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};

/// Serves until the test ends, and returns the base of its addresses. `answer` maps the last message to the
/// reply, and none is a server's error.
pub(crate) fn serve(answer: impl Fn(&str) -> Option<String> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            reply(stream.unwrap(), &answer);
        }
    });
    url
}

fn reply(mut stream: TcpStream, answer: &dyn Fn(&str) -> Option<String>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut length, mut first) = (0, true);
    for line in reader.by_ref().lines().map(Result::unwrap) {
        if std::mem::take(&mut first) {
            assert_eq!(line, "POST /v1/chat/completions HTTP/1.1");
        }
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let asked: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(asked["temperature"], 0);
    let said = answer(asked["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap());
    let (status, body) = match said {
        Some(text) => ("200 OK", json!({"choices": [{"message": {"role": "assistant", "content": text}}]})),
        None => ("503 Service Unavailable", json!({"error": {"message": "overloaded"}})),
    };
    let body = body.to_string();
    let length = body.len();
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
        .unwrap();
}
