//! A client that costs little beside what it measures.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Posts in a session; returns the JSON of an answer with the status 200. A connection carries one request.
pub(crate) fn post(address: &str, session: &str, path: &str, body: &Value) -> Result<Value> {
    let mut stream = TcpStream::connect(address).context("turnwise serve listens")?;
    stream.set_nodelay(true)?;
    let body = body.to_string();
    let head = format!("POST {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {session}");
    let request = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer has a head")?;
    ensure!(head.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
    Ok(serde_json::from_str(body)?)
}
