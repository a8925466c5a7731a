//! Holds properties of every call format on generated texts.

mod claims;
#[path = "../../../fuzz/corpus.rs"]
mod corpus;
mod pieces;

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};
use turnwise_tools::format::{CallFormat, FormatName, Found, Opening};
use turnwise_tools::{ToolSpec, check_calls};
use turnwise_trajectory::{ToolCall, ViolationKind};

use claims::{OPENINGS, every_format};
use pieces::{HOSTILE, PIECES};

fn near_misses() -> impl Strategy<Value = String> {
    prop::collection::vec(select(PIECES), 0..40).prop_map(|pieces| pieces.concat())
}

fn pushed(format: &dyn CallFormat, opening: Opening, text: &[u8], cuts: &[usize]) -> Vec<Found> {
    let mut lexer = format.lexer_from(opening);
    let mut found = Vec::new();
    let mut at = 0;
    for cut in cuts.iter().map(|cut| cut % (text.len() + 1)).filter(|cut| *cut > 0) {
        let next = (at + cut).min(text.len());
        found.extend(lexer.push(&text[at..next]));
        at = next;
    }
    found.extend(lexer.push(&text[at..]));
    found.extend(lexer.finish());
    found
}

fn value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        near_misses(),
        any::<String>(),
        select(vec!["5", "true", "null", "[1]", "\"5\"", "", " x "]).prop_map(str::to_string)
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i32>().prop_map(|n| Value::from(f64::from(n) / 8.0)),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,3}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_split_gives_the_same_calls(text in near_misses(), cuts in prop::collection::vec(0usize..50, 0..30)) {
        for (format, opening) in every_format().iter().flat_map(|format| OPENINGS.map(|opening| (format, opening))) {
            let whole = format.examine_from(opening, &text);
            let place = format!("{}, {opening:?}: {text}", format.name());
            prop_assert_eq!(&pushed(&**format, opening, text.as_bytes(), &cuts), &whole, "in pieces, {}", place);
            let bytes = vec![1; text.len()];
            prop_assert_eq!(&pushed(&**format, opening, text.as_bytes(), &bytes), &whole, "by bytes, {}", place);
        }
    }

    #[test]
    fn what_was_found_stays_found(text in near_misses()) {
        for (format, opening) in every_format().iter().flat_map(|format| OPENINGS.map(|opening| (format, opening))) {
            let (mut lexer, mut found) = (format.lexer_from(opening), Vec::new());
            for (end, c) in text.char_indices().map(|(at, c)| (at + c.len_utf8(), c)) {
                found.extend(lexer.push(c.encode_utf8(&mut [0; 4]).as_bytes()));
                let whole = format.examine_from(opening, &text[..end]);
                prop_assert!(whole.starts_with(&found), "{}, {opening:?}: {}\n{found:?}\n{whole:?}", format.name(), &text[..end]);
            }
        }
    }

    #[test]
    fn thoughts_hide_whatever_they_hold(thought in near_misses(), arguments in prop::collection::btree_map("[a-z]{1,4}", value(), 0..3)) {
        let arguments: Map<String, Value> = arguments.into_iter().collect();
        let call = ToolCall { name: "some_tool".into(), arguments, span: 0..0 };
        for format in every_format().iter().filter(|format| !format.name().starts_with("fenced_python")) {
            for (opening, open) in [(Opening::Thought, ""), (Opening::Answer, "<think>\n")] {
                let thought = thought.replace("think>", "").replace("THINK]", "").replace("<|end|>", "");
                let text = format!("{open}{thought}\n");
                let found = format.examine_from(opening, &text);
                prop_assert!(found.is_empty(), "{}, {:?}: {}\n{:?}", format.name(), opening, text, found);
                // A draft may begin a string literal that the tag would lie in.
                let text = format!("{open}{}\n", thought.replace(['"', '\'', '{'], ""));
                let text = format!("{text}</think>\n{}", format.render(&call));
                let parsed = format.parse_from(opening, &text);
                prop_assert_eq!(parsed.len(), 1, "{}: {}\n{:?}", format.name(), text, parsed);
                let parsed = parsed[0].as_ref().map(|parsed| (&parsed.name, &parsed.arguments));
                prop_assert_eq!(parsed, Ok((&call.name, &call.arguments)), "{}: {}", format.name(), text);
            }
        }
    }

    #[test]
    fn spans_lie_in_the_text_in_order(text in near_misses()) {
        for format in every_format() {
            let mut last = 0;
            for found in format.examine(&text) {
                let span = found.span();
                prop_assert!(span.start >= last && span.start < span.end && text.get(span.clone()).is_some(),
                    "{}: {:?} in {}", format.name(), span, text);
                last = span.start;
            }
        }
    }

    #[test]
    fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..200), text in near_misses(), at in 0usize..100) {
        let mut mixed = text.into_bytes();
        let at = at.min(mixed.len());
        mixed.splice(at..at, bytes);
        for format in every_format() {
            for opening in OPENINGS {
                pushed(&*format, opening, &mixed, &[]);
            }
        }
    }

    #[test]
    fn what_is_rendered_parses_to_itself(arguments in prop::collection::btree_map("[a-z]{1,4}", value(), 0..4)) {
        let arguments: Map<String, Value> = arguments.into_iter().collect();
        let call = ToolCall { name: "some_tool".into(), arguments, span: 0..0 };
        for format in every_format() {
            // These hold one argument, text of Python, and are tested below.
            if format.name().starts_with("fenced_python") {
                continue;
            }
            let text = format!("Let me see.\n{}", format.render(&call));
            let parsed = format.parse(&text);
            prop_assert_eq!(parsed.len(), 1, "{}: {}\n{:?}", format.name(), text, parsed);
            let parsed = parsed[0].as_ref().map(|parsed| (&parsed.name, &parsed.arguments));
            prop_assert_eq!(parsed, Ok((&call.name, &call.arguments)), "{}: {}", format.name(), text);
        }
    }

    #[test]
    fn code_survives_every_format(lines in prop::collection::vec(select(vec![
        "x = 1", "print('```')", "s = \"</tool_call>\"", "# don't", "y = '''", "'''", "print(f'{x}')", "d = {'a': [1]}",
        "</parameter>", "<think>", "</think>", "```python", "   ```", "é = '😀'", "if x:\n    pass", "z = \"\\n\"", "[TOOL_CALLS]", "42",
    ]), 1..8)) {
        let code = lines.join("\n");
        // A literal that is never closed hides the closing fence.
        prop_assume!(code.matches("'''").count() % 2 == 0);
        let arguments = Map::from_iter([("code".to_string(), Value::from(code))]);
        let call = ToolCall { name: "python".into(), arguments, span: 0..0 };
        for format in every_format() {
            let text = format.render(&call);
            let parsed = format.parse_checked(&text, &[ToolSpec::python()]);
            prop_assert_eq!(parsed.len(), 1, "{}: {}\n{:?}", format.name(), text, parsed);
            let parsed = parsed[0].as_ref().map(|parsed| &parsed.arguments);
            prop_assert_eq!(parsed, Ok(&call.arguments), "{}: {}", format.name(), text);
        }
    }
}

#[test]
fn a_character_split_over_tokens_does_no_harm() {
    let text = "<tool_call>{\"name\":\"f\",\"arguments\":{\"x\":\"😀\"}}</tool_call>";
    let at = text.find('😀').unwrap();
    let format = FormatName::Hermes.build();
    let mut lexer = format.lexer();
    let mut found = lexer.push(&text.as_bytes()[..at]);
    for byte in 0..4 {
        found.extend(lexer.push(&text.as_bytes()[at + byte..=at + byte]));
        assert!(lexer.is_inside());
    }
    found.extend(lexer.push(&text.as_bytes()[at + 4..]));
    assert!(!lexer.is_inside(), "the sampler learns at once that the call is complete");
    assert_eq!(found[0].verdict.as_ref().unwrap().arguments["x"], "😀");
}

#[test]
fn every_format_offers_every_tool_and_shows_how_to_call() {
    let search = ToolSpec::new("search_the_web", "Finds pages.", json!({"type": "object", "properties": {}}));
    for format in every_format() {
        let text = format.describe(std::slice::from_ref(&search));
        // Formats of one tool name none.
        assert!(
            format.name().starts_with("fenced_python") || text.contains("search_the_web"),
            "{}: {text}",
            format.name()
        );
        assert!(format.render_output("some output").contains("some output"));
    }
}

#[test]
fn a_description_is_not_taken_for_an_unknown_tools_call() {
    let call = "<tool_call>{\"name\":\"search\",\"arguments\":{}}</tool_call>";
    let checked = check_calls(FormatName::Hermes.build().parse(call), &[ToolSpec::python()]);
    assert_eq!(checked[0].as_ref().unwrap_err().kind, ViolationKind::UnknownTool);
}

#[test]
fn time_is_linear_in_the_length_even_of_hostile_texts() {
    for format in every_format() {
        for piece in HOSTILE {
            let text = piece.repeat(200_000 / piece.len());
            let started = Instant::now();
            for opening in OPENINGS {
                std::hint::black_box(format.examine_from(opening, &text));
            }
            // It takes some 30 ms. A parser that reads the rest of the text once per marker takes minutes.
            let took = started.elapsed();
            assert!(took < Duration::from_secs(5), "{} on {piece:?}: {took:?}", format.name());
        }
    }
}

#[test]
fn every_stop_string_stops_and_none_does_inside_a_call() {
    for format in every_format() {
        let arguments = |text: &str| Map::from_iter([("code".to_string(), Value::from(text))]);
        for stop in format.stop_strings() {
            let text = format!("é {stop}");
            let (mut lexer, mut stops) = (format.lexer(), Vec::new());
            for byte in text.as_bytes().chunks(1) {
                lexer.push(byte);
                stops.push(lexer.stop());
            }
            assert_eq!(stops.pop().flatten(), Some(3..text.len()), "{}: {stop}", format.name());
            assert!(stops.iter().all(Option::is_none), "{}: {stop} fires early", format.name());

            let quoted = arguments(&format!("s = '{stop}'"));
            let call = format.render(&ToolCall { name: "python".into(), arguments: quoted, span: 0..0 });
            let mut lexer = format.lexer();
            lexer.push(call.as_bytes());
            assert_eq!(lexer.stop(), None, "{}: {call}", format.name());
        }
    }
}

/// Replays the corpus of the fuzzer.
#[test]
fn the_corpora_of_the_fuzz_targets_hold() {
    for format in every_format() {
        // Variants of a format share its corpus.
        let target = format.name().split(':').next().expect("a name");
        for target in [target, "lexer"] {
            corpus::replay(target, |bytes| claims::hold(&*format, bytes));
        }
    }
    corpus::replay("tool_file", claims::tool_file);
}

/// Returns whether a value holds a float.
fn has_float(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(has_float),
        Value::Object(entries) => entries.values().any(has_float),
        _ => false,
    }
}

#[test]
fn no_format_rounds_an_integer() {
    let call =
        ToolCall { name: "f".into(), arguments: Map::from_iter([("x".into(), 12345.into())]), span: 0..0 };
    for format in every_format() {
        // Blocks of code hold no values.
        if format.name().starts_with("fenced_python") {
            continue;
        }
        for big in ["18446744073709551616", "-9223372036854775809", "123456789012345678901234567890"] {
            let text = format.render(&call).replace("12345", big);
            let found = format.parse(&text);
            assert_eq!(found.len(), 1, "{}: {text}", format.name());
            // Text between tags keeps all digits.
            if let Ok(call) = &found[0] {
                assert_eq!(call.arguments["x"], big, "{}: {text}", format.name());
            }
            let recovered = format.examine(&text).into_iter().filter_map(|found| found.recovered);
            let floats = recovered.flat_map(|call| call.arguments).any(|(_, value)| has_float(&value));
            assert!(!floats, "{}: {text}", format.name());
        }
    }
}
