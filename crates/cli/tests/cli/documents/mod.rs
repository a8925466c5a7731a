//! The documents: every shell command in README.md and docs/ is run, and every message that is explained
//! exists.

mod blocks;
pub(crate) mod clients;
mod messages;
mod scratch;

use std::collections::BTreeSet;
use std::process::Command;

use crate::binary::{BINARY, ran, root};
use blocks::{Block, blocks};

/// Those with shell commands, each with its test below.
const WITH_COMMANDS: [&str; 25] = [
    "README.md",
    "docs/agents.md",
    "docs/commands.md",
    "docs/data.md",
    "docs/determinism.md",
    "docs/devices.md",
    "docs/diagnosis.md",
    "docs/models.md",
    "docs/openenv.md",
    "docs/precision.md",
    "docs/python-environments.md",
    "docs/ranks.md",
    "docs/rewards.md",
    "docs/runs.md",
    "docs/sandbox.md",
    "docs/serve.md",
    "docs/servers.md",
    "docs/sft.md",
    "docs/smollm2.md",
    "docs/tools-you-have.md",
    "docs/traces.md",
    "docs/troubleshooting.md",
    "docs/turns.md",
    "docs/tutorial.md",
    "docs/vllm.md",
];

/// Blocks that are not run, and why. Their arguments of `turnwise` are parsed all the same.
const NOT_RUN: [(&str, &str); 13] = [
    ("README.md", "compiles, and trains for minutes"),
    ("docs/devices.md", "compiles"),
    ("docs/models.md", "needs a network, and trains a real model"),
    ("docs/openenv.md", "needs openenv of PyPI"),
    ("docs/ranks.md", "compiles"),
    ("docs/ranks.md", "needs two machines"),
    ("docs/ranks.md", "needs GPUs"),
    ("docs/servers.md", "needs a server"),
    ("docs/smollm2.md", "needs a network, and trains a real model"),
    ("docs/tools-you-have.md", "needs a network and a model"),
    ("docs/tutorial.md", "compiles"),
    ("docs/vllm.md", "needs a server"),
    ("docs/vllm.md", "needs a server"),
];

fn read(document: &str) -> String {
    std::fs::read_to_string(root().join(document)).expect("a document")
}

/// README.md and docs/*.md.
fn documents() -> BTreeSet<String> {
    let entries = std::fs::read_dir(root().join("docs")).expect("docs");
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
    let pages = names.filter_map(|name| name.strip_suffix(".md").map(|name| format!("docs/{name}.md")));
    pages.chain(["README.md".to_string()]).collect()
}

fn commands(document: &str) -> Vec<Block> {
    blocks(&read(document)).into_iter().filter(|block| block.language == "sh").collect()
}

/// Runs the commands of a document from top to bottom.
#[track_caller]
fn runs(document: &str) {
    let folder = scratch::scratch(document);
    for block in commands(document).iter().filter(|block| block.not_run.is_none()) {
        scratch::run(&folder, &block.text);
    }
}

#[test]
fn the_commands_of_the_readme_run() {
    runs("README.md");
}

#[test]
fn the_commands_of_commands_run() {
    runs("docs/commands.md");
}

#[test]
fn the_commands_of_traces_run() {
    runs("docs/traces.md");
}

#[test]
fn the_commands_of_data_run() {
    runs("docs/data.md");
}

#[test]
fn the_commands_of_diagnosis_run() {
    runs("docs/diagnosis.md");
}

#[test]
fn the_commands_of_models_run() {
    runs("docs/models.md");
}

#[test]
fn the_commands_of_the_tutorial_run() {
    runs("docs/tutorial.md");
}

#[test]
fn the_commands_of_sft_run() {
    runs("docs/sft.md");
}

#[test]
fn the_commands_of_turns_run() {
    runs("docs/turns.md");
}

#[test]
fn the_commands_of_environments_in_python_run() {
    runs("docs/python-environments.md");
}

#[test]
fn the_commands_of_rewards_run() {
    runs("docs/rewards.md");
}

#[test]
fn the_commands_of_the_sandbox_run() {
    runs("docs/sandbox.md");
}

#[test]
fn the_commands_of_serve_run() {
    runs("docs/serve.md");
}

#[test]
fn the_commands_of_agents_run() {
    runs("docs/agents.md");
}

#[test]
fn the_commands_of_precision_run() {
    runs("docs/precision.md");
}

#[test]
fn the_commands_of_determinism_run() {
    runs("docs/determinism.md");
}

#[test]
fn the_commands_of_runs_run() {
    runs("docs/runs.md");
}

#[test]
fn the_commands_of_troubleshooting_run() {
    runs("docs/troubleshooting.md");
}

#[test]
fn every_document_with_commands_is_run() {
    let found = documents().into_iter().filter(|document| !commands(document).is_empty());
    assert_eq!(found.collect::<Vec<_>>(), WITH_COMMANDS);
}

/// Returns the arguments of a line that calls the binary.
fn arguments(line: &str) -> Option<Vec<&str>> {
    let line = line.split(" #").next().expect("split yields one");
    let arguments = match line.split_once("-p turnwise-cli ") {
        Some((_, rest)) => rest.split_once(" -- ").expect("arguments of `cargo run`").1,
        None => line.strip_prefix("turnwise ")?,
    };
    Some(arguments.split_whitespace().collect())
}

#[test]
fn what_is_not_run_is_listed_and_has_arguments_that_exist() {
    let mut found = Vec::new();
    for document in WITH_COMMANDS {
        for block in commands(document) {
            let Some(why) = block.not_run else { continue };
            found.push((document.to_string(), why));
            for arguments in block.text.lines().filter_map(arguments) {
                let ran = ran(Command::new(BINARY).args(&arguments).arg("--help"), "");
                assert_eq!(ran.code, Some(0), "{document}: {arguments:?}: {}", ran.stderr);
            }
        }
    }
    assert_eq!(found, NOT_RUN.map(|(document, why)| (document.to_string(), why.to_string())));
    assert_eq!(arguments("cargo run -p turnwise-cli --features x -- train a # b"), Some(vec!["train", "a"]));
}
