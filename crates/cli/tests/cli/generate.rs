//! `turnwise generate`.

use serde::Deserialize;

use crate::binary::{Ran, arg, turnwise};
use crate::model::{Expected, llama, with_tokenizer};

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    prompt_tokens: Vec<u32>,
    tokens: Vec<u32>,
    logprobs: Vec<f32>,
    text: Option<String>,
    stop: String,
}

/// Returns the answer of `turnwise logprobs`.
#[derive(Deserialize)]
struct Logprobs {
    logprobs: Vec<Option<f32>>,
}

fn generate(model: &std::path::Path, args: &[&str]) -> Ran {
    turnwise(&[&["generate", "--model", arg(model), "--json"], args].concat(), "")
}

#[test]
fn greedy_tokens_are_those_of_transformers_and_need_no_tokenizer() {
    let expected = Expected::read(&llama());
    let (prompt, greedy) = (expected.tokens("prompt"), expected.tokens("greedy"));
    let tokens = serde_json::to_string(&prompt).unwrap();
    let args = ["--tokens", &tokens, "--temperature", "0", "--max-tokens", "64", "--ignore-eos"];
    let answer: Answer = generate(&llama(), &args).json();
    assert_eq!((answer.prompt_tokens, &answer.tokens), (prompt.clone(), &greedy));
    assert_eq!((answer.text, answer.stop.as_str()), (None, "length"));

    // The sampler's records equal the answer of `logprobs` for the same tokens.
    let whole = serde_json::to_string(&[prompt.clone(), greedy].concat()).unwrap();
    let again: Logprobs = turnwise(&["logprobs", "--model", arg(&llama()), "--tokens", &whole], "").json();
    for (t, logp) in answer.logprobs.iter().enumerate() {
        let again = again.logprobs[prompt.len() + t].unwrap();
        assert!((logp - again).abs() <= 1e-4, "token {t}: {logp} against {again}");
    }
}

#[test]
fn a_seed_fixes_the_sample() {
    let sample = |seed: &str| -> Answer {
        generate(&llama(), &["--tokens", "[5]", "--seed", seed, "--max-tokens", "40", "--ignore-eos"]).json()
    };
    assert_eq!(sample("1"), sample("1"));
    assert_ne!(sample("1").tokens, sample("2").tokens);
}

#[test]
fn a_turn_ends_at_end_tokens_stop_strings_and_limits() {
    let folder = with_tokenizer();
    let args = ["--tokens", "[5]", "--temperature", "0", "--max-tokens", "30"];
    let free: Answer = generate(folder.path(), &[&args[..], &["--ignore-eos"]].concat()).json();
    assert_eq!((free.stop.as_str(), free.tokens.len()), ("length", 30));

    // Say that the fifth greedy token ends a text: the turn ends where it first appears.
    let end = free.tokens[4];
    let settings = format!("{{\"eos_token_id\": [{end}, 63]}}");
    std::fs::write(folder.path().join("generation_config.json"), settings).unwrap();
    let ended: Answer = generate(folder.path(), &args).json();
    let first = free.tokens.iter().position(|&token| token == end).unwrap();
    assert_eq!((ended.stop.as_str(), ended.tokens), ("end_of_turn", free.tokens[..=first].to_vec()));
    assert_eq!(ended.logprobs.len(), first + 1, "the end token is sampled, so it has a log-probability");
    assert!(!ended.text.unwrap().contains(&format!("w{end} ")), "and it is not part of the text");

    let word = free.tokens.iter().find(|&&token| token < 60 && token != free.tokens[0]).unwrap();
    let stop = format!("w{word}");
    let stopped: Answer =
        generate(folder.path(), &[&args[..], &["--ignore-eos", "--stop", &stop]].concat()).json();
    assert_eq!(stopped.stop, "stop_string");
    assert!(stopped.text.unwrap().ends_with(&stop));

    let full: Answer =
        generate(folder.path(), &["--tokens", "[5]", "--max-tokens", "1000", "--ignore-eos"]).json();
    assert_eq!(full.tokens.len(), 127, "the context holds 128 tokens");
}

#[test]
fn text_and_messages_are_prompts_too() {
    let folder = with_tokenizer();
    let answer: Answer = generate(folder.path(), &["--prompt", "w1 w2", "--max-tokens", "2"]).json();
    assert_eq!(answer.prompt_tokens, [1, 2]);
    let messages = folder.path().join("messages.json");
    std::fs::write(&messages, "[{\"role\": \"user\", \"content\": \"w7\"}]").unwrap();
    let answer: Answer = generate(folder.path(), &["--messages", arg(&messages), "--max-tokens", "2"]).json();
    let start = answer.prompt_tokens.iter().filter(|&&token| token == 60).count();
    let end = answer.prompt_tokens.iter().filter(|&&token| token == 61).count();
    assert_eq!((start, end), (2, 1), "one closed message and an open turn: {:?}", answer.prompt_tokens);
    assert!(answer.prompt_tokens.contains(&7));

    // A template of the folder's own, with tools.
    std::fs::write(
        folder.path().join("chat_template.jinja"),
        "{% for t in tools or [] %}w{{ t.function.name }} {% endfor %}{% for m in messages %}{{ m.content }}{% endfor %} w9",
    )
    .unwrap();
    let tools = folder.path().join("tools.json");
    std::fs::write(&tools, "[{\"type\": \"function\", \"function\": {\"name\": \"3\"}}]").unwrap();
    let args = ["--messages", arg(&messages), "--max-tokens", "2", "--tools", arg(&tools)];
    let answer: Answer = generate(folder.path(), &args).json();
    assert_eq!(answer.prompt_tokens, [3, 7, 9]);
    std::fs::remove_file(folder.path().join("chat_template.jinja")).unwrap();
    generate(folder.path(), &args).fails(1, &["no chat template to offer tools with", "hint: "]);

    let plain = turnwise(
        &["generate", "--model", arg(folder.path()), "--prompt", "w1", "--max-tokens", "3", "--ignore-eos"],
        "",
    );
    assert_eq!((plain.code, plain.stderr.as_str()), (Some(0), ""));
    assert!(plain.stdout.starts_with('w') && plain.stdout.ends_with('\n'), "without --json: the text");
}

#[test]
fn unusable_prompts_are_named() {
    let folder = with_tokenizer();
    let check = |args: &[&str], code, part: &str| generate(folder.path(), args).fails(code, &[part]);
    check(&["--tokens", "[64]"], 1, "token 64 at index 0");
    check(&["--prompt", ""], 1, "no token");
    check(&["--tokens", &format!("{:?}", vec![1; 128])], 1, "leave no room in the model's context of 128");
    check(&["--tokens", "[1]", "--temperature=-1"], 2, "--temperature -1: expected a number from 0 to 100");
    let messages = folder.path().join("messages.json");
    std::fs::write(&messages, "[\n{\"role\": \"robot\", \"content\": \"\"}]").unwrap();
    check(&["--messages", arg(&messages)], 1, "messages.json:2: unknown value `robot`");
    generate(&llama(), &["--prompt", "w1"])
        .fails(1, &["tokenizer.json", "hint: a Hugging Face folder has one"]);
    assert_eq!(generate(folder.path(), &[]).code, Some(2), "a prompt is needed");
    assert_eq!(generate(folder.path(), &["--prompt", "w1", "--tokens", "[1]"]).code, Some(2), "and only one");
}
