//! Requests are varied as the server requires.

use serde_json::{Value, json};

use crate::odd_server::{Ask, CALL, completion, ok, refuses};
use crate::scene::Scene;

#[test]
fn a_parameter_that_a_server_refuses_is_put_otherwise() {
    let check = |missing: &'static str, instead: Option<&'static str>, words: &'static str, status: u16| {
        let wants =
            move |ask: &Ask| ask.body.get(missing).is_none() && instead.is_none_or(|key| ask.body[key] == 64);
        let ran = Scene::default().plays(move |ask| {
            let refusal = json!({"error": {"message": words}});
            if wants(ask) { ok(&ask.good()) } else { refuses(status, &refusal.to_string()) }
        });
        ran.is_whole(words);
        assert!(ran.asked.len() <= 16 + 3, "it is learnt once: {}", ran.asked.len());
    };
    let o_series = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.";
    check("max_tokens", Some("max_completion_tokens"), o_series, 400);
    check("seed", None, "Extra inputs are not permitted: seed", 422);
    check(
        "temperature",
        None,
        "'temperature' does not support 1. Only the default (1) value is supported.",
        400,
    );
    check("top_p", None, "Unrecognized request argument supplied: top_p", 400);
}

fn roles(ask: &Ask) -> Vec<&str> {
    ask.messages().iter().map(|message| message["role"].as_str().expect("a role")).collect()
}

/// Two calls in the first turn.
fn twice(ask: &Ask) -> Vec<u8> {
    let text = if ask.turns() == 0 { format!("{CALL}\n{CALL}") } else { ask.right().to_string() };
    ok(&completion(&json!({"content": text}), &json!("stop")))
}

#[test]
fn two_outputs_are_one_message_where_roles_alternate() {
    for (status, words) in [
        (400, "Conversation roles must alternate user/assistant/user/assistant/..."),
        (500, "After the optional system message, conversation roles must alternate"),
        (400, "the template failed"),
    ] {
        let ran = Scene::default().plays(move |ask| {
            let repeated = roles(ask).windows(2).any(|pair| pair[0] == pair[1]);
            if repeated { refuses(status, words) } else { twice(ask) }
        });
        assert_eq!((ran.whole.len(), &ran.lost[..]), (8, &[][..]), "{words}");
        let last = ran.asked.iter().rfind(|ask| ask.turns() == 1).expect("a second turn");
        let said = last.messages().last().expect("outputs")["content"].as_str().expect("text");
        assert_eq!(said.matches("<tool_response>").count(), 2, "{said}");
    }
    let ran = Scene::default().plays(twice);
    let second = ran.asked.iter().find(|ask| ask.turns() == 1).expect("a second turn");
    assert_eq!(roles(second), ["system", "user", "assistant", "user", "user"], "two, where nobody minds");
}

#[test]
fn tools_are_described_to_the_user_where_there_is_no_system_role() {
    let ran = Scene::default().plays(|ask| {
        if roles(ask).contains(&"system") {
            refuses(400, "System role not supported")
        } else {
            ok(&ask.good())
        }
    });
    ran.is_whole("no system role");
    let first: &Value = &ran.asked.last().expect("a request").messages()[0];
    let text = first["content"].as_str().expect("text");
    assert!(first["role"] == "user" && text.contains("<tools>") && text.contains('?'), "{text}");
}
