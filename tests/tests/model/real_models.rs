//! Real models against `transformers`: perplexity and greedy text. A model's test runs where the model is: in
//! its folder under `models`, or in the one that an environment variable names.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use turnwise_model::{HostModel, TokenBatch, Transformer, load, token_logprobs};
use turnwise_sampler::{GenerationRequest, Generator, Sampling, SequenceId, StopRule};
use turnwise_tests::{device, golden, model_folder, values};

#[derive(Deserialize)]
pub(crate) struct Expected {
    pub(crate) tokens: Vec<u32>,
    nll: f64,
    prompt: Vec<u32>,
    greedy: Vec<u32>,
}

/// A model and what is expected of it, if it is on this machine.
pub(crate) fn opened(variable: &str, folder: &str, expected: &str) -> Option<(Transformer, Expected)> {
    let named = std::env::var_os(variable).map(PathBuf::from);
    let folder = named.clone().unwrap_or_else(|| model_folder(folder));
    if named.is_none() && !folder.is_dir() {
        eprintln!("left out: {} is not there (`just fetch-{expected}` gets it)", folder.display());
        return None;
    }
    let text = std::fs::read_to_string(golden(&format!("real/{expected}.json"))).expect("the golden file");
    Some((load(&folder, &device()).expect("a model folder"), serde_json::from_str(&text).expect("its JSON")))
}

#[test]
fn smollm2_computes_what_it_computes_in_transformers() {
    if let Some((model, expected)) = opened("TURNWISE_SMOLLM2", "SmolLM2-135M-Instruct", "smollm2") {
        check(&model, &expected);
    }
}

#[test]
fn gemma3_computes_what_it_computes_in_transformers() {
    if let Some((model, expected)) = opened("TURNWISE_GEMMA3", "gemma-3-270m", "gemma3") {
        check(&model, &expected);
    }
}

/// Compares perplexity and greedy text.
fn check(model: &Transformer, expected: &Expected) {
    let batch = TokenBatch::new(&[&expected.tokens]);
    let wanted = vec![true; expected.tokens.len()];
    let logprobs = values(token_logprobs(model, &batch, &wanted, 1.0, false).logprobs);
    let nll = -logprobs.iter().map(|&l| f64::from(l)).sum::<f64>() / (expected.tokens.len() - 1) as f64;
    let ratio = (nll - expected.nll).exp();
    assert!((ratio - 1.0).abs() <= 1e-3, "perplexity is off by a factor of {ratio}");

    let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
    let on_host = Arc::new(HostModel::of(model));
    for mut generator in [Generator::new(model.clone(), greedy), Generator::on_host(on_host, greedy)] {
        let id = SequenceId { seed: 0, step: 0, task: 0, occurrence: 0, sample: 0, turn: 0 };
        let max_new = expected.greedy.len();
        let request = GenerationRequest { key: 0, tokens: &expected.prompt, max_new, rng: id.rng() };
        let stop = StopRule { tokens: &[], strings: &[], decode: None };
        let turn = generator.complete(&[request], &stop).unwrap().remove(0);
        assert_eq!(turn.tokens, expected.greedy);
    }
}
