//! Builds the request of a turn, and variants for servers that refuse the usual one.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use turnwise_http::Refusal;
use turnwise_trajectory::{Message, Role};

use super::Endpoint;

/// Names a deviation of a server's protocol, learnt from a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Quirk {
    /// The limit of tokens is called `max_completion_tokens`.
    CompletionTokens,
    /// Roles alternate: consecutive messages of one role are sent as one.
    Alternation,
    /// There is no system role: its text starts the first user message.
    NoSystem,
    /// It takes no seed.
    NoSeed,
    /// It takes no `top_p`, and keeps all tokens.
    NoTopP,
    /// It takes no temperature but its default, 1, which is also the configured one.
    NoTemperature,
}

/// Words of a refusal that refer to a parameter, not to its value or to the conversation.
const UNWANTED: [&str; 9] = [
    "unsupported",
    "not support",
    "not permitted",
    "forbidden",
    "unknown",
    "unrecognized",
    "unexpected",
    "not allowed",
    "only the default",
];

/// Returns the body of a request. `seed` is the turn's.
pub(super) fn body(
    endpoint: &Endpoint,
    messages: &[Message],
    max_new: usize,
    seed: u64,
    quirks: &BTreeSet<Quirk>,
) -> Value {
    let has = |quirk| quirks.contains(&quirk);
    let mut spoken = spoken(messages);
    if has(Quirk::NoSystem) {
        fold_system(&mut spoken);
    }
    if has(Quirk::Alternation) {
        spoken = alternating(spoken);
    }
    let messages: Vec<Value> =
        spoken.iter().map(|(role, text)| json!({"role": role.name(), "content": text})).collect();
    let limit = if has(Quirk::CompletionTokens) { "max_completion_tokens" } else { "max_tokens" };
    let mut body = json!({"model": endpoint.model, "messages": messages, limit: max_new, "stream": false});
    if !has(Quirk::NoTemperature) {
        body["temperature"] = json!(endpoint.temperature);
    }
    if !has(Quirk::NoTopP) {
        body["top_p"] = json!(endpoint.top_p);
    }
    if !has(Quirk::NoSeed) {
        body["seed"] = json!(seed);
    }
    body
}

/// Returns a variation to try after a refusal, if one may help and hasn't been tried.
pub(super) fn quirk(
    refusal: &Refusal,
    endpoint: &Endpoint,
    messages: &[Message],
    known: &BTreeSet<Quirk>,
) -> Option<Quirk> {
    let spoken = spoken(messages);
    let unwanted = |name: &str| refusal.says(&[name]) && refusal.says(&UNWANTED);
    let repeated = spoken.windows(2).any(|pair| pair[0].0 == pair[1].0);
    let has_system = spoken.first().is_some_and(|(role, _)| *role == Role::System);
    let about_request = matches!(refusal.status, 400 | 422);
    let tried = [
        (Quirk::Alternation, repeated && refusal.says(&["alternat", "consecutive"])),
        (
            Quirk::NoSystem,
            has_system && refusal.says(&["system role", "system message", "role system", "'system'"]),
        ),
        (Quirk::CompletionTokens, about_request && refusal.says(&["max_completion_tokens"])),
        (Quirk::NoSeed, about_request && unwanted("seed")),
        (Quirk::NoTopP, about_request && endpoint.top_p == 1.0 && unwanted("top_p")),
        (Quirk::NoTemperature, about_request && endpoint.temperature == 1.0 && unwanted("temperature")),
        // The words of a template's refusal can be any.
        (Quirk::Alternation, about_request && repeated),
    ];
    tried.into_iter().find(|(quirk, helps)| *helps && !known.contains(quirk)).map(|(quirk, _)| quirk)
}

/// Returns roles and texts. Tool output is a user message, as in ChatML: the `tool` role needs calls that the
/// server parsed itself.
fn spoken(messages: &[Message]) -> Vec<(Role, String)> {
    let role = |message: &Message| if message.role == Role::Tool { Role::User } else { message.role };
    messages.iter().map(|message| (role(message), message.content.clone())).collect()
}

fn fold_system(messages: &mut Vec<(Role, String)>) {
    if messages.first().is_none_or(|(role, _)| *role != Role::System) {
        return;
    }
    let (_, system) = messages.remove(0);
    match messages.first_mut() {
        Some((Role::User, text)) => *text = format!("{system}\n\n{text}"),
        _ => messages.insert(0, (Role::User, system)),
    }
}

fn alternating(messages: Vec<(Role, String)>) -> Vec<(Role, String)> {
    let mut merged: Vec<(Role, String)> = Vec::new();
    for (role, text) in messages {
        match merged.last_mut() {
            Some((last, all)) if *last == role => *all = format!("{all}\n{text}"),
            _ => merged.push((role, text)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn endpoint(temperature: f64) -> Endpoint {
        Endpoint {
            url: String::new(),
            model: "m".into(),
            key: None,
            temperature,
            top_p: 1.0,
            seed: 0,
            parallel: 1,
            timeout: Duration::ZERO,
            retry: Duration::ZERO,
        }
    }

    fn refusal(status: u16, text: &str) -> Refusal {
        Refusal { status, wait: None, text: text.into() }
    }

    fn conversation() -> Vec<Message> {
        let said = [
            (Role::System, "s"),
            (Role::User, "u"),
            (Role::Assistant, "a"),
            (Role::Tool, "1"),
            (Role::Tool, "2"),
        ];
        said.map(|(role, text)| Message::new(role, text)).to_vec()
    }

    #[test]
    fn a_refusal_names_the_quirk() {
        let check = |temperature: f64, status: u16, text: &str, expect: Option<Quirk>| {
            let found =
                quirk(&refusal(status, text), &endpoint(temperature), &conversation()[..4], &BTreeSet::new());
            assert_eq!(found, expect, "{text}");
        };
        let o_series = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.";
        check(0.5, 400, o_series, Some(Quirk::CompletionTokens));
        let default = "'temperature' does not support 1. Only the default (1) value is supported.";
        check(1.0, 400, default, Some(Quirk::NoTemperature));
        check(0.5, 400, default, None);
        let extra = r#"{"detail":[{"type":"extra_forbidden","loc":["body","seed"]}]}"#;
        check(0.5, 422, extra, Some(Quirk::NoSeed));
        check(0.5, 400, "Unknown parameter: top_p", Some(Quirk::NoTopP));
        check(0.5, 500, "System role not supported", Some(Quirk::NoSystem));
        check(0.5, 400, "no idea", None);
        check(0.5, 401, "Unsupported seed", None);
        let found = |text: &str, known: &[Quirk]| {
            let known = known.iter().copied().collect();
            quirk(&refusal(400, text), &endpoint(0.5), &conversation(), &known)
        };
        let roles =
            "After the optional system message, conversation roles must alternate user/assistant/user";
        assert_eq!(found(roles, &[]), Some(Quirk::Alternation));
        assert_eq!(
            found("template error", &[]),
            Some(Quirk::Alternation),
            "two outputs in a row may be the reason"
        );
        assert_eq!(found("template error", &[Quirk::Alternation]), None);
    }

    #[test]
    fn messages_are_put_as_the_server_wants_them() {
        let check = |quirks: &[Quirk], expect: &[(&str, &str)]| {
            let body = body(&endpoint(1.0), &conversation(), 7, 5, &quirks.iter().copied().collect());
            let got: Vec<(&str, &str)> = body["messages"]
                .as_array()
                .unwrap()
                .iter()
                .map(|message| (message["role"].as_str().unwrap(), message["content"].as_str().unwrap()))
                .collect();
            assert_eq!(got, expect, "{quirks:?}");
            body
        };
        let plain =
            check(&[], &[("system", "s"), ("user", "u"), ("assistant", "a"), ("user", "1"), ("user", "2")]);
        assert_eq!(
            (&plain["max_tokens"], &plain["seed"], &plain["temperature"]),
            (&json!(7), &json!(5), &json!(1.0))
        );
        let one = [("system", "s"), ("user", "u"), ("assistant", "a"), ("user", "1\n2")];
        check(&[Quirk::Alternation], &one);
        let all = [("user", "s\n\nu"), ("assistant", "a"), ("user", "1\n2")];
        check(&[Quirk::Alternation, Quirk::NoSystem], &all);
        let quirks = [Quirk::CompletionTokens, Quirk::NoSeed, Quirk::NoTopP, Quirk::NoTemperature].into();
        let body = body(&endpoint(1.0), &conversation(), 7, 5, &quirks);
        let mut keys: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["max_completion_tokens", "messages", "model", "stream"]);
    }
}
