//! Answers in every form that servers give them, and the losses from those without a turn.

use serde_json::{Value, json};
use turnwise_trajectory::{Finish, Stop};

use crate::odd_server::{Ask, CALL, completion, ok, refuses, response};
use crate::scene::Scene;

fn says(message: &Value, finish: &Value) -> Vec<u8> {
    ok(&completion(message, finish))
}

/// Checks a play in which every answer has this form.
fn check(case: &str, put: impl Fn(&Ask) -> Vec<u8> + Send + Sync + 'static) {
    Scene::default().plays(put).is_whole(case);
}

#[test]
fn answers_are_read_in_every_form() {
    check("parts", move |ask| {
        let parts =
            json!([{"type": "text", "text": &ask.right()[..5]}, {"type": "text", "text": &ask.right()[5..]}]);
        says(&json!({"role": "assistant", "content": parts}), &json!("stop"))
    });
    for arguments in [json!({"code": "print(6*7)"}), json!("{\"code\": \"print(6*7)\"}")] {
        check("parsed calls", move |ask| {
            if ask.turns() > 0 {
                return ok(&ask.good());
            }
            let function = json!({"name": "python", "arguments": arguments});
            let call = json!({"id": "x", "type": "function", "function": function});
            says(&json!({"content": null, "tool_calls": [call]}), &json!("tool_calls"))
        });
    }
    check("no calls in spite of the reason", move |ask| {
        says(&json!({"content": ask.right(), "tool_calls": []}), &json!("tool_calls"))
    });
    check("no reason", move |ask| says(&json!({"content": ask.right()}), &Value::Null));
    check("thoughts beside", move |ask| {
        let said = json!({"content": ask.right(), "reasoning_content": "Maybe <tool_call>", "refusal": null});
        says(&said, &json!("stop"))
    });
    check("the older protocol", |ask| {
        ok(&json!({"choices": [{"text": ask.right(), "finish_reason": "stop"}]}))
    });
}

#[test]
fn bytes_are_read_in_every_form() {
    let with = |ask: &Ask, more: &str| {
        let text = ask.good().to_string();
        format!("{},{more}}}", &text[..text.len() - 1])
    };
    check("byte mark", |ask| response(200, "", format!("\u{feff}{}", ask.good()).as_bytes()));
    check("NaN", move |ask| refuses(200, &with(ask, "\"logprob\": NaN")));
    check("half a pair", move |ask| refuses(200, &with(ask, "\"x\": \"\\ud83d\"")));
    check("Latin-1", move |ask| {
        let text = with(ask, "\"x\": \"caf~\"");
        let bytes: Vec<u8> = text.bytes().map(|byte| if byte == b'~' { 0xe9 } else { byte }).collect();
        response(200, "", &bytes)
    });
    check("chunks", |ask| {
        let text = ask.good().to_string();
        let chunks = text
            .as_bytes()
            .chunks(7)
            .flat_map(|part| [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat());
        let head: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        head.iter().copied().chain(chunks).chain(*b"0\r\n\r\n").collect()
    });
    check("a stream that wasn't asked for", |ask| {
        let (begin, rest) = ask.right().split_at(7);
        let event = |delta: Value, finish: Value| {
            let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
            format!("data: {}\n\n", json!({"object": "chat.completion.chunk", "choices": [choice]}))
        };
        let events = [
            event(json!({"role": "assistant", "content": begin}), Value::Null),
            ": ping\n\n".into(),
            event(json!({"content": rest}), Value::Null),
            event(json!({}), json!("stop")),
            "data: [DONE]\n\n".into(),
        ];
        response(200, "content-type: text/event-stream\r\n", events.concat().as_bytes())
    });
    check("HTTP/1.0", |ask| format!("HTTP/1.0 200 OK\r\n\r\n{}", ask.good()).into_bytes());
    check("gzip", |ask| {
        response(200, "content-encoding: gzip\r\n", &gzip(ask.good().to_string().as_bytes()))
    });
    let moved = Scene { path: "/old", ..Scene::default() };
    for status in [301, 302, 307, 308] {
        let ran = moved.plays(move |ask| match ask.path.as_str() {
            "/v1/old/chat/completions" => response(status, "location: /v1/chat/completions\r\n", b""),
            "/v1/chat/completions" => ok(&ask.good()),
            other => panic!("{other}"),
        });
        ran.is_whole("redirect");
    }
}

/// Returns bytes as a gzip file, uncompressed.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let crc = !bytes.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    });
    let length = u16::try_from(bytes.len()).expect("a short text");
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    file.extend(length.to_le_bytes());
    file.extend((!length).to_le_bytes());
    file.extend(bytes);
    file.extend(crc.to_le_bytes());
    file.extend(u32::from(length).to_le_bytes());
    file
}

#[test]
fn an_odd_answer_is_data_on_its_trajectory() {
    let check = |case: &str, answer: Vec<u8>, stop: Stop, finish: Finish, text: &str| {
        let ran = Scene::default().plays(move |ask| {
            if ask.is_odd() && ask.turns() == 1 { answer.clone() } else { ok(&ask.good()) }
        });
        let odd = ran.odd(case);
        assert_eq!((odd.len(), ran.lost.len()), (2, 0), "{case}");
        for trajectory in odd {
            let last = trajectory.turns.last().unwrap();
            assert_eq!((trajectory.turns.len(), trajectory.stop, last.finish), (2, stop, finish), "{case}");
            assert!(last.text == text && last.observation.is_empty(), "{case}: {:?}", last.text);
        }
    };
    let says = |message: Value, finish: &str| ok(&completion(&message, &json!(finish)));
    let thought = json!({"content": null, "reasoning_content": "Let me think about"});
    check("all thoughts", says(thought.clone(), "length"), Stop::Truncated, Finish::Length, "");
    check("nothing but a thought", says(thought, "stop"), Stop::Answer, Finish::EndOfTurn, "");
    check("no content", says(json!({"role": "assistant"}), "stop"), Stop::Answer, Finish::EndOfTurn, "");
    check("empty", says(json!({"content": ""}), "stop"), Stop::Answer, Finish::EndOfTurn, "");
    let filtered = says(json!({"content": "Answer: 4"}), "content_filter");
    check("filtered", filtered, Stop::Truncated, Finish::Length, "Answer: 4");
    let refused = says(json!({"content": null, "refusal": "I can't."}), "stop");
    check("refusal", refused, Stop::Answer, Finish::EndOfTurn, "I can't.");
    let long = says(json!({"content": "é".repeat(1 << 20)}), "stop");
    check("endless", long, Stop::Truncated, Finish::Length, &"é".repeat(1 << 19));
    let halves = refuses(200, r#"{"choices":[{"message":{"content":"\ud83d 42"},"finish_reason":"stop"}]}"#);
    check("half a pair", halves, Stop::Answer, Finish::EndOfTurn, "\u{fffd} 42");
}

#[test]
fn a_full_context_ends_its_trajectory_at_that_limit() {
    let full = "This model's maximum context length is 4096 tokens. However, you requested 4137 tokens.";
    let bodies = [
        (400, json!({"object": "error", "message": full, "type": "BadRequestError", "code": 400})),
        (400, json!({"error": {"message": full, "code": "context_length_exceeded"}})),
        (413, json!("too large")),
        (200, json!({"error": {"message": full, "code": 400}})),
        (500, json!({"error": {"code": 500, "message": "the request exceeds the available context size"}})),
    ];
    for (status, body) in bodies {
        for turn in [0, 1] {
            let body = body.to_string();
            let ran = Scene::default().plays(move |ask| {
                if ask.is_odd() && ask.turns() == turn { refuses(status, &body) } else { ok(&ask.good()) }
            });
            let odd = ran.odd("full");
            assert_eq!((odd.len(), ran.lost.len()), (2, 0));
            for trajectory in odd {
                assert_eq!((trajectory.stop, trajectory.turns.len()), (Stop::ContextLimit, turn));
                assert!(trajectory.turns.iter().all(|turn| turn.text == CALL && turn.observation.is_empty()));
            }
            assert_eq!(ran.asked.len(), 14 + 2 * turn, "a full context isn't asked twice");
        }
    }
}

#[test]
fn a_turn_ends_where_the_environment_goes_on() {
    for (stop_at_call, end) in [(true, CALL.to_string()), (false, format!("{CALL}\n<tool_response>"))] {
        let scene = Scene { stop_at_call, ..Scene::default() };
        let ran = scene.plays(|ask| {
            let text = format!("{CALL}\n<tool_response>\n42\n</tool_response>\nAnswer: 42");
            let text = if ask.turns() == 0 { text.as_str() } else { ask.right() };
            ok(&completion(&json!({"content": text}), &json!("length")))
        });
        for trajectory in &ran.whole {
            assert_eq!(
                (trajectory.turns[0].text.as_str(), trajectory.turns[0].finish),
                (end.as_str(), Finish::StopString)
            );
        }
        let second = ran.asked.iter().find(|ask| ask.turns() == 1).expect("play goes on");
        assert!(
            second.messages().iter().any(|message| message["content"] == end),
            "and the server reads what is left"
        );
    }
}
