//! `turnwise chat` over a pipe.

use std::path::Path;

use crate::binary::{Ran, arg, root, turnwise};

fn chat(model: &Path, args: &[&str], said: &str) -> Ran {
    turnwise(&[&["chat", "--model", arg(model)], args].concat(), said)
}

#[test]
fn the_tiny_model_runs_python_until_it_answers() {
    let tiny = root().join("models/tiny");
    // It has learnt to call from examples, without a description.
    let how = ["--format", "fenced_python", "--no-description", "--temperature", "0"];
    let args = [&how[..], &["--max-tokens", "48", "--max-turns", "6"]].concat();
    let ran = chat(&tiny, &args, "Compute (3 + 4) * 5\n\nCompute 2 + 2\n");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("```python"), "the call is shown: {}", ran.stdout);
    assert!(ran.stdout.lines().any(|line| line.starts_with("  | ")), "and its output: {}", ran.stdout);
    let again = chat(&tiny, &args, "Compute (3 + 4) * 5\n\nCompute 2 + 2\n");
    assert_eq!(again.stdout, ran.stdout, "a seed fixes the conversation");

    let named =
        chat(&tiny, &[&args[..], &["--chat", "chatml"]].concat(), "Compute (3 + 4) * 5\n\nCompute 2 + 2\n");
    assert_eq!(named.stdout, ran.stdout, "the tiny model's template is ChatML");
    let without = chat(&tiny, &["--no-tools", "--max-tokens", "8"], "Compute 2 + 2\n");
    assert_eq!(without.code, Some(0), "{}", without.stderr);
    assert!(!without.stdout.contains("  | "));
}

#[test]
fn a_conversation_that_fills_the_context_ends_with_a_line() {
    let tiny = root().join("models/tiny");
    let long = "12 + ".repeat(400) + "1\n";
    chat(&tiny, &["--no-tools"], &long).fails(1, &["fills the model's context of 512 tokens"]);
    chat(&tiny, &["--format", "hermess"], "").fails(2, &["unknown call format \"hermess\"", "hint: "]);
    chat(&tiny, &["--chat", "chat-ml"], "")
        .fails(2, &["unknown chat format \"chat-ml\"", "hint: ", "chatml"]);
}
