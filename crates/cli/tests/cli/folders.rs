//! Model folders whose files don't go together or aren't what their names say: one line from every command
//! that opens one.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::binary::{BINARY, Ran, arg, ran, root, turnwise};
use crate::model::copy;

/// A copy of the committed model.
fn tiny() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(root().join("models/tiny")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    folder
}

fn change(path: &Path, with: impl FnOnce(&mut Value)) {
    let mut json: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    with(&mut json);
    std::fs::write(path, json.to_string()).unwrap();
}

#[test]
fn ids_beyond_the_embedding_are_refused_wherever_a_folder_is_opened() {
    let (folder, out) = (tiny(), tempfile::tempdir().unwrap());
    change(&folder.path().join("tokenizer.json"), |tokenizer| {
        let mut added = tokenizer["added_tokens"][0].clone();
        (added["id"], added["content"]) = (json!(320), json!("<|new|>"));
        tokenizer["added_tokens"].as_array_mut().unwrap().push(added);
    });
    let (model, run, made) = (arg(folder.path()), out.path().join("run"), out.path().join("made"));
    let (set, start) = (format!("model={model}"), format!("model.folder={model}"));
    let (config, sft) = ("configs/tiny.toml", "configs/tiny-sft.toml");
    let check = |args: &[&str], stdin: &str| {
        let said = "token 320 (\"<|new|>\") is not in the model's vocabulary: ids are below 320";
        turnwise(args, stdin).fails(1, &["tokenizer.json: ", said, "\n  hint: "]);
    };
    check(&["logprobs", "--model", model, "--tokens", "[1,2]"], "");
    check(&["generate", "--model", model, "--tokens", "[1,2]", "--json"], "");
    check(&["generate", "--model", model, "--prompt", "1 + 1"], "");
    check(&["chat", "--model", model, "--no-tools"], "Hello\n");
    check(&["rollout", "--model", model, "--config", config], "");
    check(&["eval", "--model", model, "--config", config], "");
    check(&["train", config, "--set", &set, "--run", arg(&run)], "");
    check(&["sft", sft, "--set", &start, "--out", arg(&made)], "");
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0, "nothing was begun");
}

/// Runs `logprobs` on a folder within six GiB and a quarter of a minute.
fn logprobs(folder: &Path) -> Ran {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -v 6000000 && exec timeout 15 \"$@\"", "sh", BINARY]);
    command.args(["logprobs", "--model", arg(folder), "--tokens", "[1, 2]"]).current_dir(root());
    ran(&mut command, "")
}

#[test]
fn pipes_devices_and_folders_are_no_files_of_a_model() {
    let check = |name: &str, replace: &dyn Fn(&Path)| {
        let folder = copy();
        let path = folder.path().join(name);
        let _ = std::fs::remove_file(&path);
        replace(&path);
        logprobs(folder.path()).fails(1, &[name, "not a regular file"]);
    };
    let pipe = |path: &Path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    let device = |path: &Path| std::os::unix::fs::symlink("/dev/zero", path).unwrap();
    let directory = |path: &Path| std::fs::create_dir(path).unwrap();
    for name in ["config.json", "model.safetensors"] {
        check(name, &pipe);
        check(name, &device);
        check(name, &directory);
    }
}

#[test]
fn files_of_absurd_sizes_and_depths_are_refused_at_once() {
    let length = |path: &Path, bytes: u64| {
        std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(bytes).unwrap();
    };
    for (name, part) in [
        ("config.json", "has 1099511627776 bytes, more than the"),
        ("model.safetensors", "not a whole safetensors file (1099511627776 bytes)"),
    ] {
        let folder = copy();
        length(&folder.path().join(name), 1 << 40);
        logprobs(folder.path()).fails(1, &[name, part]);
    }
    // Weights of two TiB: every claim is right, and they are holes.
    let folder = copy();
    let (rows, wide) = (1_u64 << 19, 1_u64 << 20);
    change(&folder.path().join("config.json"), |config| {
        (config["vocab_size"], config["hidden_size"]) = (json!(rows), json!(wide));
    });
    let header = json!({"model.embed_tokens.weight": {
        "dtype": "F32", "shape": [rows, wide], "data_offsets": [0, 4 * rows * wide],
    }});
    let text = header.to_string().into_bytes();
    let path = folder.path().join("model.safetensors");
    std::fs::write(&path, [&(text.len() as u64).to_le_bytes()[..], &text].concat()).unwrap();
    length(&path, 8 + text.len() as u64 + 4 * rows * wide);
    logprobs(folder.path()).fails(1, &["model.safetensors: weights of 2048.0 GiB", "of memory are left"]);
    for deep in ["[".repeat(1 << 20), "{\"a\":".repeat(1 << 20)] {
        let folder = copy();
        std::fs::write(folder.path().join("config.json"), &deep).unwrap();
        logprobs(folder.path()).fails(1, &["config.json: not a JSON object"]);
        let folder = copy();
        let index = format!("{{\"weight_map\":{deep}");
        std::fs::remove_file(folder.path().join("model.safetensors")).unwrap();
        std::fs::write(folder.path().join("model.safetensors.index.json"), index).unwrap();
        logprobs(folder.path()).fails(1, &["index.json: not an index of shards"]);
    }
}

#[test]
fn the_context_of_yarn_is_the_one_that_it_stretches_to() {
    let folder = copy();
    change(&folder.path().join("config.json"), |config| {
        config["max_position_embeddings"] = json!(64);
        config.as_object_mut().unwrap().remove("rope_parameters");
        config["rope_scaling"] =
            json!({"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64});
    });
    let ask = |count: usize| {
        let tokens = Value::from(vec![5; count]).to_string();
        turnwise(&["logprobs", "--model", arg(folder.path()), "--tokens", &tokens], "")
    };
    assert_eq!(ask(256).code, Some(0));
    ask(257).fails(1, &["257 tokens do not fit into the model's context of 256"]);
}
