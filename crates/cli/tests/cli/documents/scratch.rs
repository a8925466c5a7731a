//! A folder like the repository's root, in which the commands of a document are run.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use tempfile::TempDir;

use crate::binary::{BINARY, ran, root};
use crate::documents::blocks::blocks;
use crate::documents::read;

/// The binary as the documents call it. Long commands get small settings in front of theirs, and a page that
/// is served until somebody stops it is stopped once it has an address.
const SHIM: &str = r#"#!/usr/bin/env bash
set -euo pipefail
command=$1; shift
case $command in
train | eval | rollout)
    exec "$TURNWISE" "$command" --set train.steps=2 --set rollout.groups=2 --set rollout.samples=2 --set eval.tasks=2 \
        --set rollout.max_turns=3 --set rollout.max_turn_tokens=24 --set rollout.max_tokens=320 \
        --set rollout.describe_tools=false --set rollout.executor.python.workers=1 "$@" ;;
sft)
    exec "$TURNWISE" sft --set steps=2 --set batch=4 --set eval.tasks=2 --set rollout.max_turn_tokens=16 "$@" ;;
view)
    said=$(mktemp)
    "$TURNWISE" view "$@" > "$said" &
    for _ in $(seq 1200); do
        if [ -s "$said" ] || ! kill -0 $! 2> /dev/null; then break; fi
        sleep 0.05
    done
    kill $!
    grep -q '^http://127.0.0.1:[0-9]*/' "$said" ;;
*) exec "$TURNWISE" "$command" "$@" ;;
esac
"#;

/// Text of a document, and the shorter work that is run instead.
const STAND_INS: [(&str, &str); 6] = [
    ("--set steps=20 ", "--set steps=2 "),
    ("train.steps=24", "train.steps=3"),
    ("step_00024", "step_00003"),
    ("step_00200", "step_00002"),
    ("eval.samples=8", "eval.samples=2"),
    ("eval.tasks=16 --set eval.samples=64", "eval.tasks=3 --set eval.samples=24"),
];

/// Questions in GSM8K's form.
fn questions(from: usize) -> String {
    let line = |n| format!("{{\"question\": \"{n} + 1?\", \"answer\": \"#### {}\"}}\n", n + 1);
    (from..from + 8).map(line).collect()
}

/// Makes the folder: models, configs, data, the run files that the document and the README name, the binary.
pub(crate) fn scratch(document: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    for name in ["models", "data", "bin"] {
        std::fs::create_dir(at(name)).expect("a folder");
    }
    for (file, name) in [
        ("models/tiny", "models/tiny"),
        // Any model will do to try a command.
        ("models/tiny", "models/SmolLM2-135M-Instruct"),
        ("models/tiny", "models/SmolLM2-135M-tools"),
        ("configs", "configs"),
        ("crates", "crates"),
        ("python", "python"),
        ("tests/golden/gguf/qwen2.gguf", "model.gguf"),
    ] {
        symlink(root().join(file), at(name)).expect("a link");
    }
    std::fs::write(at("data/train.jsonl"), questions(0)).expect("a file");
    std::fs::write(at("data/test.jsonl"), questions(100)).expect("a file");
    std::fs::write(at("faster.toml"), "[optimizer]\nlr = 1e-3\n").expect("a file");
    std::fs::write(at("bin/turnwise"), SHIM).expect("a file");
    std::fs::set_permissions(at("bin/turnwise"), PermissionsExt::from_mode(0o755)).expect("a program");
    for block in blocks(&read("README.md")).iter().chain(&blocks(&read(document))) {
        if let Some(name) = block.file_name() {
            std::fs::write(at(name), &block.text).expect("a file");
        }
    }
    folder
}

/// Runs a block of shell commands there. Stops at the first that fails.
#[track_caller]
pub(crate) fn run(folder: &TempDir, commands: &str) {
    let mut commands = commands.to_string();
    for (said, done) in STAND_INS {
        commands = commands.replace(said, done);
    }
    let path = format!("{}:{}", folder.path().join("bin").display(), std::env::var("PATH").expect("a PATH"));
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", &commands]).current_dir(folder.path());
    let ran = ran(shell.env("PATH", path).env("TURNWISE", BINARY), "");
    assert_eq!(ran.code, Some(0), "{commands}\n{}\n{}", ran.stdout, ran.stderr);
}
