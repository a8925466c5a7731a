//! Tokens and masks are those of `transformers` (tests/golden/sft/make.py).

use serde::Deserialize;
use serde_json::Value;
use turnwise_demonstrations::{Conversation, Reason, Sequence, TrainOn, Writer};
use turnwise_tools::format::FormatName;

use crate::{named, root};

#[derive(Deserialize)]
struct Expected {
    template: String,
    case: String,
    turns: Vec<Turn>,
    whole: Vec<u32>,
    mask: Option<Vec<u8>>,
}

#[derive(Deserialize)]
struct Turn {
    prompt: Vec<u32>,
    turn: Vec<u32>,
}

fn text(name: &str) -> String {
    std::fs::read_to_string(root().join("tests/golden/sft").join(name)).expect(name)
}

#[test]
fn every_turn_is_trained_behind_its_prompt_as_transformers_renders_both() {
    let cases: Vec<Value> = serde_json::from_str(&text("conversations.json")).unwrap();
    let (mut whole, mut several, mut masks) = (0, 0, 0);
    for line in text("expected.jsonl").lines() {
        let expected: Expected = serde_json::from_str(line).unwrap();
        let place = format!("{}, {}", expected.template, expected.case);
        let case = cases.iter().find(|case| case["name"] == expected.case.as_str()).expect("a case");
        let rendering = named(&expected.template);
        let format = FormatName::Hermes.build();
        let conversation = Conversation::read(case).unwrap();
        let written = Writer::new(&rendering, &*format, true).write(1, &conversation, TrainOn::Assistant);
        if expected.template == "calls_without_content" && expected.case == "a call and an answer" {
            let why = written.unwrap_err();
            assert_eq!(why.reason, Reason::Template, "{place}");
            assert_eq!(why.message, "messages[1]: the chat template leaves out the call of \"search\"");
            continue;
        }
        let sequences = written.unwrap_or_else(|why| panic!("{place}: {}", why.message)).sequences;
        let all: usize = expected.turns.iter().map(|turn| turn.turn.len()).sum();
        assert_eq!(sequences.iter().map(Sequence::trained).sum::<usize>(), all, "{place}");
        for Turn { prompt, turn } in &expected.turns {
            let tokens = [prompt.as_slice(), turn].concat();
            let range = prompt.len()..tokens.len();
            let found = sequences.iter().find(|s| s.tokens.starts_with(&tokens) && s.mask[range.start]);
            let found = found.unwrap_or_else(|| panic!("{place}: no sequence has the turn"));
            assert!(found.mask[range.clone()].iter().all(|trained| *trained), "{place}");
            assert!(!found.mask[range.start - 1], "{place}: the prompt isn't trained");
            assert!(found.mask.get(range.end).is_none_or(|trained| !trained), "{place}");
        }
        let in_one = sequences.len() == 1;
        if in_one {
            assert_eq!(sequences[0].tokens, expected.whole, "{place}");
            whole += 1;
        } else {
            several += 1;
        }
        if let Some(mask) = expected.mask.filter(|_| in_one) {
            let ours: Vec<u8> = sequences[0].mask.iter().map(|trained| u8::from(*trained)).collect();
            assert_eq!(ours, mask, "{place}");
            masks += 1;
        }
    }
    assert!(whole >= 15 && several >= 2 && masks >= 6, "{whole}, {several} and {masks}");
}
