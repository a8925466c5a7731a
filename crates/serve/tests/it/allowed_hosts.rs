//! Who is answered, within which limits, and what becomes of clients that go away.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use turnwise_serve::Limits;

use crate::scene::Scene;
use crate::script::CONTEXT;

const CHAT: &str = "/chat/completions";

fn question() -> Value {
    json!({"messages": [{"role": "user", "content": "?"}]})
}

/// Connects and sends bytes.
fn connect(scene: &Scene, bytes: &[u8]) -> TcpStream {
    let address = scene.url.strip_prefix("http://").unwrap().strip_suffix("/v1").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

/// Returns the whole answer to bytes.
fn raw(scene: &Scene, bytes: &[u8]) -> String {
    let mut text = Vec::new();
    // A server that refuses early may reset the connection after its answer.
    let _ = connect(scene, bytes).read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn posted(path: &str, body: &str, more: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST /v1{path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n{more}\r\n{body}")
        .into_bytes()
}

#[test]
fn only_own_hosts_and_origins_are_answered() {
    let scene = Scene::new();
    let get = |headers: &str| raw(&scene, format!("GET /v1/models HTTP/1.1\r\n{headers}\r\n\r\n").as_bytes());
    for fine in ["host: localhost", "host: 127.0.0.1:1", "host: localhost:8000"] {
        assert!(get(fine).starts_with("HTTP/1.1 200"), "{fine}");
    }
    for other in [
        "host: evil.com",
        "host: evil.com:80",
        "x: y",
        "host: localhost\r\norigin: https://evil.com",
        "host: localhost\r\norigin: null",
        "host: localhost\r\norigin: http://localhost:1",
    ] {
        let answer = get(other);
        assert!(
            answer.starts_with("HTTP/1.1 403") || answer.starts_with("HTTP/1.1 400"),
            "{other}: {answer}"
        );
    }
    let sent = scene.send(CHAT, &[("origin", "null")], &question().to_string());
    assert!(sent.refusal(403).contains("Origin"));
}

#[test]
fn rubbish_and_huge_requests_are_refused_and_the_next_is_answered() {
    let scene = Scene::with(Limits { body: 4096, bodies: 8192, ..Limits::default() }, None);
    let long = "x".repeat(5000);
    assert!(scene.send(CHAT, &[], "{").refusal(400).contains("no JSON"));
    assert!(scene.send(CHAT, &[], "[]").refusal(400).starts_with("the request: a list"));
    assert!(scene.send(CHAT, &[], "").refusal(400).contains("no JSON"));
    let deep = "[".repeat(4000);
    assert!(scene.send(CHAT, &[], &deep).refusal(400).contains("recursion"));
    assert!(raw(&scene, &posted(CHAT, &long, "")).starts_with("HTTP/1.1 413"));
    let chunked = format!(
        "POST /v1{CHAT} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n1388\r\n{long}\r\n0\r\n\r\n"
    );
    assert!(raw(&scene, chunked.as_bytes()).starts_with("HTTP/1.1 413"));
    assert!(scene.send("/nothing", &[], "").refusal(404).contains("nothing at this address"));
    // Anthropic's clients read its form only.
    let below = raw(&scene, &posted("/messages/count_tokens", "{}", ""));
    assert!(below.contains("\"type\":\"not_found_error\""), "{below}");
    assert!(
        raw(&scene, b"GET /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .starts_with("HTTP/1.1 405")
    );
    for rubbish in ["\0\x01\x02\r\n\r\n", "POST\r\n\r\n", "GET / HTTP/9.9\r\n\r\n"] {
        let answer = raw(&scene, rubbish.as_bytes());
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    for name in ["", "a b", &"k".repeat(257), "\u{e9}"] {
        let header = format!("authorization: Bearer {name}\r\n");
        let answer = raw(&scene, &posted(CHAT, &question().to_string(), &header));
        assert!(answer.starts_with("HTTP/1.1 401"), "{name:?}: {answer}");
    }
    scene.script.says("fine");
    assert_eq!(scene.chat("s", &question())["choices"][0]["message"]["content"], "fine");
}

#[test]
fn another_method_is_refused_with_words_at_every_address() {
    let scene = Scene::new();
    for path in ["/models", CHAT, "/completions", "/responses", "/messages", "/sessions/s/reward"] {
        for method in ["GET", "PUT", "OPTIONS", "HEAD", "DELETE"] {
            if path == "/models" && ["GET", "HEAD"].contains(&method) {
                continue;
            }
            let request =
                format!("{method} /v1{path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
            let answer = raw(&scene, request.as_bytes());
            assert!(answer.starts_with("HTTP/1.1 405"), "{method} {path}: {answer}");
            let has_words = answer.contains("this address takes another method");
            assert_eq!(has_words, method != "HEAD", "{method} {path}: {answer}");
        }
    }
    let odd = posted("/sessions/%ff/reward", "{}", "connection: close\r\n");
    let answer = raw(&scene, &odd);
    assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("there is no such session"), "{answer}");
}

#[test]
fn a_body_that_breaks_off_is_not_called_too_long() {
    let scene = Scene::new();
    let head = format!("POST /v1{CHAT} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    for rest in [
        "transfer-encoding: chunked\r\n\r\n5\r\n{\"a\":\r\nzz\r\n",
        "transfer-encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n",
        "content-length: 100\r\n\r\n{\"messages\": ",
    ] {
        let mut stream = connect(&scene, format!("{head}{rest}").as_bytes());
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        // The server may see that the client goes away before it answers.
        let told = answer.starts_with("HTTP/1.1 400") && answer.contains("the body broke off");
        assert!(answer.is_empty() || told || answer.starts_with("HTTP/1.1 400"), "{rest:?}: {answer}");
    }
    let bad = format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\n");
    let answer = raw(&scene, bad.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("its chunks are malformed"), "{answer}");
}

#[test]
fn only_bytes_of_bodies_that_have_arrived_take_memory_from_others() {
    let scene = Scene::with(Limits { body: 8192, bodies: 32 << 10, ..Limits::default() }, None);
    let head = format!("POST /v1{CHAT} HTTP/1.1\r\nhost: localhost\r\n");
    let stalled = |nth: usize| {
        let rest = ["transfer-encoding: chunked\r\n\r\n1\r\n{\r\n", "content-length: 8000\r\n\r\n{"];
        connect(&scene, format!("{head}{}", rest[nth % 2]).as_bytes())
    };
    let waiting: Vec<TcpStream> = (0..24).map(stalled).collect();
    for _ in 0..20 {
        scene.chat("s", &question());
        std::thread::sleep(Duration::from_millis(5));
    }
    // Bodies that arrive but for their last bytes fill it, until their clients go away.
    let large = format!("{head}content-length: 8000\r\n\r\n{}", "x".repeat(7900));
    let filling: Vec<TcpStream> = (0..4).map(|_| connect(&scene, large.as_bytes())).collect();
    let comes = |status: u16| {
        (0..400).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            scene.post("s", CHAT, &question()).status == status
        })
    };
    assert!(comes(503), "their memory is bounded");
    drop((filling, waiting));
    assert!(comes(200));
}

#[test]
fn a_body_of_too_many_values_is_refused_before_it_takes_memory() {
    let scene = Scene::new();
    for value in ["[],", "{},", "{\"\":0},", "0,", "\"\","] {
        let body = format!("{{\"messages\":[{}0]}}", value.repeat(4_000_000 / value.len()));
        let refused = scene.send(CHAT, &[], &body).refusal(413);
        assert!(refused.ends_with("values; at most 131072 are read"), "{refused}");
    }
    // Long texts are one value.
    let long = format!("{{\"messages\":[{{\"role\":\"user\",\"content\":\"{}\"}}]}}", "[],".repeat(500_000));
    assert!(scene.send(CHAT, &[], &long).refusal(400).contains("the context length is"));
}

#[test]
fn a_text_that_is_far_too_long_is_refused_before_it_is_tokenised() {
    let scene = Scene::new();
    for (path, body) in [
        (CHAT, json!({"messages": [{"role": "user", "content": "1+2 ".repeat(900_000)}]})),
        ("/completions", json!({"prompt": "1+2 ".repeat(900_000)})),
        (CHAT, json!({"messages": vec![json!({"role": "user", "content": "1+2 ".repeat(900)}); 1000]})),
    ] {
        let started = Instant::now();
        let refused = scene.post("s", path, &body).refusal(400);
        let most = 2 * CONTEXT;
        let expected = format!("the prompt has more than {most} tokens, and the context length is {CONTEXT}");
        assert_eq!(refused, expected);
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    }
    // A text that may fit is counted.
    let long = json!({"messages": [{"role": "user", "content": "1+2 ".repeat(1100)}]});
    assert_eq!(
        scene.post("s", CHAT, &long).refusal(400),
        "the prompt has 4408 tokens, and the context length is 4096"
    );
}

#[test]
fn a_full_queue_says_when_to_come_again() {
    let scene = Scene::with(Limits { sequences: 3, ..Limits::default() }, None);
    scene.script.hold(true);
    std::thread::scope(|threads| {
        let first = threads.spawn(|| scene.chat("a", &json!({"messages": question()["messages"], "n": 2})));
        scene.script.until_running(2);
        let busy = scene.post("b", CHAT, &json!({"messages": question()["messages"], "n": 2}));
        assert!(busy.refusal(503).contains("being sampled"));
        assert_eq!(busy.retry_after.as_deref(), Some("1"));
        let second = threads.spawn(|| scene.chat("c", &question()));
        scene.script.until_running(3);
        assert_eq!(scene.post("d", CHAT, &question()).status, 503);
        scene.script.hold(false);
        first.join().unwrap();
        second.join().unwrap();
    });
    scene.chat("d", &question());
}

#[test]
fn a_client_that_goes_away_frees_its_places() {
    let mut scene = Scene::with(Limits { sequences: 2, ..Limits::default() }, None);
    scene.script.hold(true);
    for stream in [false, true] {
        let mut request = question();
        request["n"] = 2.into();
        request["stream"] = stream.into();
        let client = connect(&scene, &posted(CHAT, &request.to_string(), "authorization: Bearer s\r\n"));
        scene.script.until_running(2);
        drop(client);
        scene.script.until_running(0);
    }
    assert_eq!(scene.script.dropped(), 4);
    scene.script.hold(false);
    scene.script.says("fine");
    assert_eq!(scene.chat("s", &question())["choices"][0]["message"]["content"], "fine");
    scene.end();
    let calls = scene.lines()[0]["calls"].clone();
    assert_eq!(
        (calls.as_array().unwrap().len(), &calls[0]["call"]),
        (1, &json!(4)),
        "only what was answered"
    );
}

#[test]
fn slow_bodies_and_slow_answers_end() {
    let short = Duration::from_millis(200);
    let scene = Scene::with(Limits { body_time: short, answer_time: short, ..Limits::default() }, None);
    let whole = posted(CHAT, &question().to_string(), "");
    assert!(raw(&scene, &whole[..whole.len() - 9]).starts_with("HTTP/1.1 408"));
    scene.script.hold(true);
    assert!(scene.post("s", CHAT, &question()).refusal(504).contains("took longer"));
    let mut request = question();
    request["stream"] = true.into();
    let broken = scene.post("s", CHAT, &request);
    assert!(broken.text.contains("took longer") && !broken.text.contains("[DONE]"), "{}", broken.text);
    scene.script.until_running(0);
    scene.script.hold(false);
    scene.chat("s", &question());
}

#[test]
fn a_session_is_not_done_while_a_call_is_being_answered() {
    let scene = Scene::new();
    scene.script.hold(true);
    std::thread::scope(|threads| {
        let call = threads.spawn(|| scene.chat("s", &question()));
        scene.script.until_running(1);
        let done = scene.send("/sessions/s/reward", &[], r#"{"done": true}"#);
        assert!(done.refusal(409).contains("being answered"));
        scene.script.hold(false);
        call.join().unwrap();
    });
    scene.send("/sessions/s/reward", &[], r#"{"done": true}"#).json();
}
