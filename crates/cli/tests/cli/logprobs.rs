//! `turnwise logprobs`.

use serde::Deserialize;

use crate::binary::{arg, turnwise};
use crate::model::{Expected, llama};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    tokens: Vec<u32>,
    logprobs: Vec<Option<f32>>,
}

#[test]
fn logprobs_are_those_of_transformers() {
    let folder = llama();
    let expected = Expected::read(&folder);
    let (ids, wanted) = (expected.tokens("ids"), expected.floats("logprobs"));
    let columns = ids.len() / expected.rows("ids");
    let (row, wanted) = (&ids[..columns], &wanted[..columns]);
    let tokens = serde_json::to_string(row).unwrap();
    for stdin in [false, true] {
        let (argument, input) = if stdin { ("-", tokens.as_str()) } else { (tokens.as_str(), "") };
        let answer: Answer =
            turnwise(&["logprobs", "--model", arg(&folder), "--tokens", argument], input).json();
        assert_eq!(answer.tokens, row);
        assert_eq!(answer.logprobs.len(), row.len(), "entry t speaks of token t");
        assert_eq!(answer.logprobs[0], None);
        for (t, logp) in answer.logprobs.iter().enumerate().skip(1) {
            let logp = logp.expect("every token but the first has one");
            assert!((logp - wanted[t]).abs() <= 1e-4, "token {t}: {logp} against {}", wanted[t]);
        }
    }
}

#[test]
fn unusable_tokens_are_named() {
    let check = |tokens: &str, part: &str| {
        turnwise(&["logprobs", "--model", arg(&llama()), "--tokens", tokens], "").fails(1, &[part]);
    };
    check("[1, 2", "--tokens: the JSON ends inside a list");
    check("[1, -2]", "--tokens: the number -2, expected a whole number");
    check("[1, 64]", "token 64 at index 1 is not in the vocabulary: ids are below 64");
    check("[]", "no token");
    check(&format!("{:?}", vec![1; 129]), "129 tokens do not fit into the model's context of 128");
}
