//! Temporary faults are retried, without an effect on the rollouts.

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::odd_server::{ANSWER, Ask, SLOWLY, ok, refuses, response};
use crate::scene::Scene;

/// Two requests meet the fault.
fn check(case: &'static str, fault: impl Fn(&Ask) -> Vec<u8> + Send + Sync + 'static) {
    let handler = move |ask: &Ask| if matches!(ask.number, 1 | 5) { fault(ask) } else { ok(&ask.good()) };
    let ran = Scene { parallel: 8, ..Scene::default() }.plays(handler);
    ran.is_whole(case);
    assert!(ran.asked.len() >= 18, "{case}: both were asked again");
}

#[test]
fn busy_servers_are_asked_again() {
    let after = |status, headers: &'static str| {
        move |_: &Ask| response(status, headers, b"{\"error\":\"slow down\"}")
    };
    check("429", after(429, "retry-after: 0.2\r\n"));
    check("429 in milliseconds", after(429, "retry-after-ms: 20\r\n"));
    check("503 with a date", after(503, "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n"));
    check("408", after(408, ""));
    check("529", after(529, ""));
    check("502 of a proxy", |_| refuses(502, "<html><body>Bad Gateway</body></html>"));
    check("loading", |_| {
        refuses(503, r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#)
    });
    check("an error in a 200", |_| ok(&json!({"error": {"message": "provider overloaded", "code": 502}})));
    check("an error without a code", |_| ok(&json!({"error": "overloaded"})));
    let failed = json!({"message": {"content": ""}, "error": {"code": 502}, "finish_reason": "error"});
    check("an error in the choice", move |_| ok(&json!({"choices": [failed]})));
    let aborted = json!({"choices": [{"message": {"content": "Answer: 4"}, "finish_reason": "abort"}]});
    check("abort", move |_| ok(&aborted));
    check("a web page", |_| response(200, "content-type: text/html\r\n", b"<!doctype html><p>Back soon"));
}

#[test]
fn broken_connections_and_cut_answers_are_asked_again() {
    let good = |ask: &Ask| ask.good().to_string();
    check("no answer", |_| Vec::new());
    check("no whole head", |_| b"HTTP/1.1 200 OK\r\nContent-Le".to_vec());
    check("no HTTP", |_| b"\x00\xff\x13 what?\r\n\r\n".to_vec());
    check("a body shorter than it says", move |ask| {
        let whole = response(200, "", good(ask).as_bytes());
        whole[..whole.len() - 20].to_vec()
    });
    check("a body longer than it says", move |ask| {
        let text = good(ask);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", text.len() - 20);
        (head + &text).into_bytes()
    });
    check("cut JSON", move |ask| refuses(200, &good(ask)[..50]));
    check("an empty body", |_| refuses(200, ""));
    check("broken chunks", |_| {
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nnonsense".to_vec()
    });
    check("chunks that end early", |_| {
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"cho".to_vec()
    });
    check("no gzip", |_| response(200, "content-encoding: gzip\r\n", b"not at all"));
    check("a choice that is missing", |_| ok(&json!({"choices": []})));
}

#[test]
fn an_answer_that_comes_too_late_is_asked_for_again() {
    let scene = Scene { parallel: 8, timeout: Duration::from_secs(2), ..Scene::default() };
    let ran = scene.plays(|ask| {
        match ask.number {
            3 => sleep(Duration::from_secs(6)),
            5 => return response(200, SLOWLY, ask.good().to_string().as_bytes()),
            _ => {}
        }
        ok(&ask.good())
    });
    ran.is_whole("late");
    assert!(ran.asked.len() >= 18);
}

#[test]
fn a_retry_asks_the_same_again() {
    let ran = Scene { parallel: 1, ..Scene::default() }
        .plays(|ask| if ask.number == 1 { refuses(500, "") } else { ok(&ask.good()) });
    ran.is_whole("500");
    let bodies: Vec<&Value> = ran.asked.iter().map(|ask| &ask.body).collect();
    assert_eq!(bodies[1], bodies[2]);
    assert_ne!(bodies[0]["seed"], bodies[1]["seed"], "each turn has its own seed");
    assert!(ran.whole.iter().all(|trajectory| trajectory.turns[1].text == ANSWER));
}
