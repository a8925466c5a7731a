//! The endpoint against a real server on this machine.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::*;

/// Answers one request: its number from 0, its headers and its body → status and body.
type Handler = fn(usize, &str, &Value) -> (u16, String);

/// Serves for the time of a test, and records requests.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Server {
    fn start(handler: Handler) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/v1/embeddings", listener.local_addr().expect("bound"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        // The thread ends with the process: it blocks in accept.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Some tests' clients give up.
                let _ = serve(stream, &log, handler);
            }
        });
        Self { url, asked }
    }

    fn endpoint(&self) -> Endpoint {
        let url = self.url.clone();
        Endpoint { url, retries: 3, retry_wait_s: 0.01, timeout_s: 5.0, ..Endpoint::default() }
    }

    fn asked(&self) -> Vec<Value> {
        self.asked.lock().expect("not poisoned").clone()
    }
}

fn serve(stream: TcpStream, log: &Mutex<Vec<Value>>, handler: Handler) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body: Value = serde_json::from_slice(&body).expect("a JSON request");
    let number = {
        let mut log = log.lock().expect("not poisoned");
        log.push(body.clone());
        log.len() - 1
    };
    let (status, answer) = handler(number, &head, &body);
    let length = answer.len();
    let mut stream = reader.into_inner();
    write!(stream, "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{answer}")
}

/// Turns the text "x y" into the vector (x, y). It answers the last text first, as the protocol allows.
fn vectors(body: &Value) -> String {
    let texts = body["input"].as_array().expect("texts");
    let embed = |(index, text): (usize, &Value)| {
        let numbers: Vec<f32> =
            text.as_str().expect("text").split(' ').map(|n| n.parse().expect("a number")).collect();
        json!({"object": "embedding", "index": index, "embedding": numbers})
    };
    let data: Vec<Value> = texts.iter().enumerate().rev().map(embed).collect();
    json!({"object": "list", "data": data, "model": "m"}).to_string()
}

fn works(_: usize, _: &str, body: &Value) -> (u16, String) {
    (200, vectors(body))
}

fn failure(endpoint: &Endpoint) -> String {
    Embeddings::new(endpoint).matrix(&["1 0"], &["0 1"]).expect_err("an error").to_string()
}

#[test]
fn cosines_of_the_server_s_vectors() {
    let server = Server::start(works);
    let measure = Embeddings::new(&server.endpoint());
    let matrix = measure.matrix(&["1 0", "1 1", ""], &["1 0", "0 2", "-1 0"]).expect("a working server");
    let half = 0.5_f64.sqrt();
    let expect = [[1.0, 0.0, 0.0], [half, half, 0.0], [0.0; 3]];
    for (got, expect) in matrix.iter().flatten().zip(expect.iter().flatten()) {
        assert!((got - expect).abs() < 1e-6, "{matrix:?}");
    }
    let asked = server.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0]["model"], "text-embedding-3-small");
    assert_eq!(asked[0]["input"], json!(["-1 0", "0 2", "1 0", "1 1"]), "each text once, nothing empty");
}

#[test]
fn what_is_known_is_not_asked_again_and_requests_are_split() {
    let server = Server::start(works);
    let batch = std::num::NonZeroUsize::new(2).expect("two");
    let measure = Embeddings::new(&Endpoint { batch, ..server.endpoint() });
    measure.matrix(&["1 0", "1 1"], &["0 1"]).expect("a working server");
    assert_eq!(server.asked().len(), 2, "three texts, two at a time");
    measure.matrix(&["1 1"], &["0 1", "2 1"]).expect("a working server");
    assert_eq!(server.asked()[2]["input"], json!(["2 1"]));
    let without = Embeddings::new(&Endpoint { cache: 0, ..server.endpoint() });
    without.matrix(&["1 0"], &["0 1"]).expect("a working server");
    without.matrix(&["1 0"], &["0 1"]).expect("a working server");
    assert_eq!(server.asked().len(), 5);
}

#[test]
fn a_passing_failure_is_tried_again() {
    let server = Server::start(|number, _, body| match number {
        0 => (503, "loading".into()),
        1 => (429, "slow down".into()),
        2 => (200, json!({"error": {"message": "overloaded", "code": 502}}).to_string()),
        3 => (408, "too late".into()),
        4 => (200, vectors(body)[..20].into()),
        _ => (200, vectors(body)),
    });
    let endpoint = Endpoint { retries: 5, ..server.endpoint() };
    let matrix = Embeddings::new(&endpoint).matrix(&["1 0"], &["1 0"]).expect("the sixth attempt");
    assert_eq!((matrix, server.asked().len()), (vec![vec![1.0]], 6));
    // The total time bounds any number of retries.
    let server = Server::start(|_, _, _| (503, "loading".into()));
    let endpoint = Endpoint { retries: u32::MAX, retry_total_s: 0.05, ..server.endpoint() };
    assert!(failure(&endpoint).contains("status 503: loading (after "));
}

#[test]
fn a_text_that_is_too_long_is_like_nothing_and_costs_no_other() {
    let server = Server::start(|_, _, body| {
        let long = body["input"].as_array().expect("texts").iter().any(|text| text == "0 1");
        if long { (400, "maximum context length is 512 tokens".into()) } else { (200, vectors(body)) }
    });
    let matrix =
        Embeddings::new(&server.endpoint()).matrix(&["1 0", "0 1", "2 0"], &["1 0", "0 1"]).expect("vectors");
    assert_eq!(matrix, [[1.0, 0.0], [0.0, 0.0], [1.0, 0.0]]);
}

#[test]
fn a_lasting_failure_is_one_clear_line() {
    let check = |handler: Handler, expect: &str, attempts: usize| {
        let server = Server::start(handler);
        let reason = failure(&server.endpoint());
        let start = format!("similarity `endpoint`: POST {}: ", server.url);
        assert!(reason.starts_with(&start) && reason.contains(expect), "{reason}");
        assert!(!reason.contains('\n'));
        assert_eq!(server.asked().len(), attempts);
    };
    check(|_, _, _| (401, "wrong key\nmore".into()), "status 401: wrong key more", 1);
    check(|_, _, _| (500, "broken".into()), "status 500: broken (after 4 tries)", 4);
    check(|_, _, _| (200, "<html>".into()), "a web page in place of JSON: <html> (after 4 tries)", 4);
    check(|_, _, _| (200, "{\"data\": [{\"ind".into()), "the answer is no whole JSON", 4);
    check(|_, _, _| (200, "{\"data\": 3}".into()), "the answer is not what the protocol says", 1);
    check(
        |_, _, _| (200, json!({"error": {"message": "no such model", "code": 404}}).to_string()),
        "status 404: ",
        1,
    );
    check(|_, _, _| (200, json!({"data": []}).to_string()), "0 embeddings for 2 texts", 1);
    check(
        |_, _, _| {
            let twice = json!({"index": 0, "embedding": [1.0]});
            (200, json!({"data": [twice, twice]}).to_string())
        },
        "embedding 0 of 2 is answered twice or was not asked for",
        1,
    );
    check(
        |_, _, _| {
            let data = json!([{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0, 2.0]}]);
            (200, json!({"data": data}).to_string())
        },
        "embedding 1 has 2 numbers",
        1,
    );
}

#[test]
fn a_server_that_hangs_is_given_up_in_time() {
    let server = Server::start(|_, _, body| {
        thread::sleep(Duration::from_secs(2));
        (200, vectors(body))
    });
    let start = Instant::now();
    let reason = failure(&Endpoint { timeout_s: 0.1, retries: 1, ..server.endpoint() });
    assert!(reason.contains("timeout") && reason.contains("(after 2 tries)"), "{reason}");
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[test]
fn nobody_there_and_no_key() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound");
    let url = format!("http://{closed}/v1/embeddings");
    let endpoint = Endpoint { url, retries: 1, retry_wait_s: 0.0, ..Endpoint::default() };
    assert!(failure(&endpoint).contains("(after 2 tries); hint: is the server running?"));
    let keyless = Endpoint { api_key_env: "TURNWISE_TEST_NO_SUCH_KEY".into(), ..endpoint };
    assert!(failure(&keyless).contains("the environment variable TURNWISE_TEST_NO_SUCH_KEY is not set"));
}

#[test]
fn the_key_is_sent() {
    let server = Server::start(|_, head, body| {
        let sent = head.to_lowercase().lines().any(|l| l.starts_with("authorization: bearer /"));
        if sent { (200, vectors(body)) } else { (401, "no key".into()) }
    });
    // A variable that is always set and starts with a slash.
    let endpoint = Endpoint { api_key_env: "PATH".into(), ..server.endpoint() };
    Embeddings::new(&endpoint).matrix(&["1 0"], &["1 0"]).expect("the key was sent");
}

#[cfg(not(feature = "https"))]
#[test]
fn https_names_the_feature_that_it_needs() {
    let endpoint =
        Endpoint { url: "https://127.0.0.1:1/v1/embeddings".into(), retries: 0, ..Endpoint::default() };
    assert!(failure(&endpoint).contains("--features https"), "{}", failure(&endpoint));
}
