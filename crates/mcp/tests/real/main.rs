//! Servers made with the official SDKs of Python and JavaScript, and with fastmcp, over both transports.
//!
//! They are installed once into `target/tools`, pinned. Without a registry or an interpreter the tests say
//! that they are skipped.

mod guarded;
mod install;
mod javascript;
mod python;

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use turnwise_mcp::{Address, McpConfig, Server};
use turnwise_tools::{CallContext, observation};
use turnwise_trajectory::OutputStatus;

/// Says that a test wasn't made. With `TURNWISE_TEST_NO_SKIPS` that is a failure.
fn skip(test: &str, reason: &str) {
    assert!(std::env::var_os("TURNWISE_TEST_NO_SKIPS").is_none(), "{test} must not be skipped: {reason}");
    println!("{test} skipped: {reason}");
}

/// A process that ends with the value.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address").port()
}

/// Starts a server on HTTP and waits until it listens.
fn listening(command: &[String], port: u16) -> Ends {
    let mut child = Command::new(&command[0]);
    child.args(&command[1..]).env("PORT", port.to_string());
    let child = child.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let (mut server, start) = (Ends(child.expect("the server starts")), Instant::now());
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(server.0.try_wait().expect("a child").is_none(), "{command:?} has ended");
        assert!(start.elapsed() < Duration::from_mins(2), "{command:?} doesn't listen");
        std::thread::sleep(Duration::from_millis(50));
    }
    server
}

fn on_stdio(command: &[String]) -> McpConfig {
    McpConfig { start_seconds: 120.0, ..McpConfig::new(Address::Command(command.to_vec())) }
}

fn on_http(port: u16) -> McpConfig {
    McpConfig::new(Address::Url(format!("http://127.0.0.1:{port}/mcp")))
}

fn open(config: &McpConfig) -> Server {
    Server::open("real", config).unwrap_or_else(|error| panic!("{error}"))
}

/// Calls a tool of a new trajectory once for each of the arguments. Returns statuses and texts.
fn calls(server: &Server, calls: &[(&str, Value)]) -> Vec<(OutputStatus, String)> {
    let tools = server.tools();
    let call = |(name, arguments): &(&str, Value)| {
        let tool = tools.iter().find(|tool| tool.spec().name == *name).expect("a tool of this name");
        let output = tool.call(arguments.as_object().expect("an object"), CallContext::default());
        let output = output.unwrap_or_else(|fault| panic!("{fault}"));
        (output.status, observation(&output))
    };
    calls.iter().map(call).collect()
}

/// Returns the config with one tool on offer.
fn only(config: McpConfig, name: &str) -> McpConfig {
    McpConfig { only: Some(vec![name.into()]), ..config }
}

/// A trajectory's arguments for the notes of the Python servers.
fn note(text: &str) -> (&'static str, Value) {
    ("note", json!({"text": text}))
}
