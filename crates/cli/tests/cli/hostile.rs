//! Model folders that lie: one line, exit status 1, and no memory for what they claim. The binary runs with a
//! tenth of what the smallest lie asks for.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::binary::{BINARY, Ran, arg, ran, root};
use crate::model::{copy, with_tokenizer};

/// Address space of the binary, in KiB.
const LIMIT: &str = "6000000";

fn limited(args: &[&str]) -> Ran {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -v \"$0\" && exec \"$@\"", LIMIT, BINARY]).args(args).current_dir(root());
    ran(&mut command, "")
}

fn logprobs(folder: &Path) -> Ran {
    limited(&["logprobs", "--model", arg(folder), "--tokens", "[1, 2]"])
}

#[test]
fn an_honest_folder_works_within_the_limit() {
    let ran = logprobs(copy().path());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

/// The golden weights with another header: the old one changed by `change`.
fn with_header(change: impl Fn(&mut Value)) -> tempfile::TempDir {
    let folder = copy();
    let path = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    change(&mut header);
    let mut text = header.to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    let new = [&(text.len() as u64).to_le_bytes()[..], &text, &bytes[8 + length..]].concat();
    std::fs::write(&path, new).unwrap();
    folder
}

const NORM: &str = "model.norm.weight";

#[test]
fn headers_that_lie() {
    for length in [u64::MAX, 1 << 62, 1 << 40, 99_000_000] {
        let folder = copy();
        let path = folder.path().join("model.safetensors");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[..8].copy_from_slice(&length.to_le_bytes());
        std::fs::write(&path, bytes).unwrap();
        logprobs(folder.path()).fails(1, &["model.safetensors: "]);
    }
    let check = |change: &dyn Fn(&mut Value), part: &str| {
        logprobs(with_header(change).path()).fails(1, &["model.safetensors: ", part]);
    };
    check(&|header| header[NORM]["data_offsets"] = json!([0, 1_u64 << 45]), "");
    check(&|header| header[NORM]["data_offsets"] = header["lm_head.weight"]["data_offsets"].clone(), "");
    check(&|header| header[NORM]["shape"] = json!([1_u64 << 40, 1_u64 << 40]), "");
    check(&|header| header[NORM]["dtype"] = json!("Q9"), "");
    check(&|header| drop(header.as_object_mut().unwrap().insert("x".into(), json!([]))), "");
}

#[test]
fn weights_that_are_no_numbers_and_tensors_that_are_not_those_of_the_model() {
    let folder = copy();
    let path = folder.path().join("model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    logprobs(folder.path()).fails(1, &["tensor ", " holds NaN at index "]);

    let rename = |from: &'static str, to: &'static str| {
        with_header(move |header| {
            let all = header.as_object_mut().unwrap();
            let entry = all.remove(from).unwrap();
            all.insert(to.into(), entry);
        })
    };
    let renamed = rename(NORM, "model.norm.weigth");
    logprobs(renamed.path()).fails(1, &["tensor model.norm.weight of shape [", "] is missing"]);
    let folder = copy();
    let config = folder.path().join("config.json");
    let mut json: Value = serde_json::from_str(&std::fs::read_to_string(&config).unwrap()).unwrap();
    json["num_hidden_layers"] = json!(1);
    std::fs::write(&config, json.to_string()).unwrap();
    logprobs(folder.path())
        .fails(1, &["tensor model.layers.1.", "has no place in the model that config.json describes"]);
    json["num_hidden_layers"] = json!(2);
    json["hidden_size"] = json!(json["hidden_size"].as_u64().unwrap() * 2);
    std::fs::write(&config, json.to_string()).unwrap();
    logprobs(folder.path()).fails(1, &["tensor ", "has shape [", "config.json asks for ["]);
}

#[test]
fn configurations_with_absurd_sizes() {
    let check = |key: &str, value: Value, part: &str| {
        let folder = copy();
        let path = folder.path().join("config.json");
        let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        config[key] = value;
        std::fs::write(&path, config.to_string()).unwrap();
        logprobs(folder.path()).fails(1, &["config.json", part]);
    };
    let large = || json!(1_u64 << 60);
    for key in [
        "hidden_size",
        "vocab_size",
        "num_hidden_layers",
        "intermediate_size",
        "num_attention_heads",
        "head_dim",
    ] {
        check(key, large(), key);
    }
    check("vocab_size", json!(-1), "vocab_size");
    check("vocab_size", json!(1e300), "vocab_size");
    check("hidden_size", json!("64"), "hidden_size");
    check("max_position_embeddings", large(), "max_position_embeddings");
    check("model_type", json!("gpt_neo"), "gpt_neo");
    check("model_type", Value::Null, "model_type");
    // Sizes that a model could have, and this one hasn't.
    let folder = copy();
    let path = folder.path().join("config.json");
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    for key in ["vocab_size", "hidden_size", "intermediate_size"] {
        config[key] = json!(1 << 20);
    }
    std::fs::write(&path, config.to_string()).unwrap();
    logprobs(folder.path()).fails(1, &["config.json asks for [1048576, 1048576]"]);
}

#[test]
fn tokenizers_that_blow_up() {
    let check = |change: &dyn Fn(&mut Value), expect: Result<(), &str>| {
        let folder = with_tokenizer();
        let path = folder.path().join("tokenizer.json");
        let mut tokenizer: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        change(&mut tokenizer);
        std::fs::write(&path, tokenizer.to_string()).unwrap();
        let args =
            ["generate", "--model", arg(folder.path()), "--prompt", "w1 w2", "--max-tokens", "1", "--json"];
        let ran = limited(&args);
        match expect {
            Ok(()) => assert_eq!(ran.code, Some(0), "{}", ran.stderr),
            Err(part) => ran.fails(1, &["tokenizer.json: ", part]),
        }
    };
    check(&|_| {}, Ok(()));
    let replace = json!({"type": "Replace", "pattern": {"String": "w"}, "content": "w".repeat(1000)});
    let bomb = json!({"type": "Sequence", "normalizers": vec![replace.clone(); 8]});
    check(&|tokenizer| tokenizer["normalizer"] = bomb.clone(), Err("the normalizer makes "));
    let bomb = json!({"type": "Sequence", "decoders": vec![replace.clone(); 8]});
    check(&|tokenizer| tokenizer["decoder"] = bomb.clone(), Err("the decoder makes "));
    let padding = json!({
        "strategy": {"Fixed": 1_u64 << 40}, "direction": "Right", "pad_to_multiple_of": null,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "w0",
    });
    check(&|tokenizer| tokenizer["padding"] = padding.clone(), Ok(()));
    check(&|tokenizer| tokenizer["model"] = json!({"type": "BPE"}), Err("not a tokenizer"));
    let nested =
        (0..50).fold(json!({"type": "NFC"}), |inner, _| json!({"type": "Sequence", "normalizers": [inner]}));
    check(&|tokenizer| tokenizer["normalizer"] = nested.clone(), Err("levels of brackets"));
    // Maps of characters that are no base64, that claim what they don't have, and that lead outside of
    // themselves.
    for map in ["!", "/////w==", "AAAAAA==", "BAAAAAAAEAA="] {
        let damaged = json!({"type": "Precompiled", "precompiled_charsmap": map});
        check(
            &|tokenizer| tokenizer["normalizer"] = damaged.clone(),
            Err("the normalizer is damaged: its map"),
        );
        let sequence = json!({"type": "Sequence", "normalizers": [{"type": "NFC"}, damaged.clone()]});
        check(
            &|tokenizer| tokenizer["normalizer"] = sequence.clone(),
            Err("the normalizer is damaged: its map"),
        );
    }

    let folder = with_tokenizer();
    let path = folder.path().join("tokenizer.json");
    let args = ["generate", "--model", arg(folder.path()), "--prompt", "w1"];
    std::fs::write(&path, "[".repeat(1 << 20)).unwrap();
    limited(&args).fails(1, &["tokenizer.json: not a tokenizer"]);
    std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    limited(&args).fails(1, &["tokenizer.json: has 1099511627776 bytes, more than the"]);
}

#[test]
fn templates_that_blow_up() {
    let folder = with_tokenizer();
    let messages = folder.path().join("messages.json");
    std::fs::write(&messages, r#"[{"role": "user", "content": "w1 w2"}]"#).unwrap();
    let args = [
        "generate",
        "--model",
        arg(folder.path()),
        "--messages",
        arg(&messages),
        "--max-tokens",
        "1",
        "--json",
    ];
    let check = |template: &str, part: &str| {
        std::fs::write(folder.path().join("chat_template.jinja"), template).unwrap();
        limited(&args).fails(1, &["the chat template", part]);
    };
    let doubled =
        "{% set ns = namespace(x='a') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}";
    check(doubled, "far more");
    check("{{ '%9999999999999d' % 1 }}", "far more");
    check("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "far more");
    check("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "too deep");
    check(&format!("{}1{}", "{{ (".repeat(99_999), ") }}".repeat(99_999)), "too deep");
}
