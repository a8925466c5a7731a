//! Lost rollouts, and servers that a play gives up.

use std::time::Duration;

use serde_json::json;

use crate::odd_server::{ANSWER, Ask, completion, ok, refuses, response};
use crate::scene::Scene;

/// An hour: a test that waits for it never ends.
const HOUR: Duration = Duration::from_hours(1);

#[test]
fn what_cannot_be_had_is_lost_and_counted() {
    let check = |case: &str, answer: Vec<u8>, retry: Duration, reason: &str| {
        for parallel in [1, 8] {
            let answer = answer.clone();
            let scene = Scene { parallel, retry, ..Scene::default() };
            let ran = scene.plays(move |ask| if ask.is_odd() { answer.clone() } else { ok(&ask.good()) });
            assert_eq!((ran.odd(case).len(), ran.lost.len()), (0, 2), "{case}");
            assert!(ran.lost.iter().all(|lost| lost.reason.contains(reason)), "{case}: {}", ran.lost[0]);
        }
    };
    check("400", refuses(400, r#"{"error":"no idea what you mean"}"#), HOUR, "status 400: ");
    check("403", refuses(403, r#"{"error":"your input was flagged by moderation"}"#), HOUR, "status 403: ");
    let later = response(429, "retry-after: 7200\r\n", b"busy");
    check("a wait longer than the time for retries", later, HOUR, "status 429: busy");
    let second = Duration::from_secs(1);
    check("500", refuses(500, "boom"), second, "status 500: boom (after ");
    check("no choice", ok(&json!({"choices": [], "prompt_feedback": "blocked"})), HOUR, "no choice");
    let huge = ok(&json!({"choices": [{"message": {"content": "x".repeat(17 << 20)}}]}));
    check("huge", huge, HOUR, "longer than 16777216 bytes");
    let drips = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec();
    check("half", drips, second, "(after ");
}

#[test]
fn a_wrong_key_name_or_address_ends_the_play_at_once() {
    let check = |status: u16, words: &'static str, hint: &str| {
        let scene = Scene { retry: HOUR, ..Scene::default() };
        let ran = scene.plays(move |_| refuses(status, words));
        let error = ran.error.expect("an end");
        assert!(error.contains(&format!("/v1: status {status}: {words}\n  hint: ")), "{error}");
        assert!(error.contains(hint) && error.lines().count() == 2, "{error}");
        assert!(ran.asked.len() <= 3, "one per thread: {}", ran.asked.len());
    };
    check(401, "who are you", "TURNWISE_API_KEY");
    check(403, "forbidden", "TURNWISE_API_KEY");
    check(404, "the model `m` does not exist", "/models");
    check(405, "method not allowed", "the endpoint is a base such as");
}

#[test]
fn a_server_that_answers_nobody_ends_the_play_with_what_has_ended() {
    let refusal = "no such parameter";
    let ran = Scene { parallel: 1, retry: HOUR, ..Scene::default() }.plays(move |_| refuses(400, refusal));
    let error = ran.error.expect("an end");
    assert!(error.contains("status 400: no such parameter\n  hint: "), "{error}");
    assert_eq!((ran.whole.len(), ran.asked.len()), (0, 7), "the first request of a fourth task is the last");

    // The first task's trajectories have ended when the server goes down.
    let right = completion(&json!({"content": ANSWER}), &json!("stop"));
    let dies = move |ask: &Ask| if ask.number < 2 { ok(&right) } else { refuses(400, refusal) };
    let ran = Scene { parallel: 1, ..Scene::default() }.plays(dies.clone());
    assert_eq!((ran.error, ran.whole.len(), ran.lost.len()), (None, 2, 6), "three tasks are not four");
    let dies = move |ask: &Ask| if ask.is_odd() { dies(ask) } else { refuses(400, refusal) };
    let ran = Scene { parallel: 1, samples: 3, ..Scene::default() }.plays(dies);
    assert_eq!(
        (ran.error.is_some(), ran.whole.len()),
        (true, 2),
        "the odd task's third sample makes it four"
    );
}
