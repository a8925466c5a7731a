//! Files that claim what they don't hold: one line, and neither memory nor time for the claim.

use std::path::Path;

use safetensors::SafeTensors;
use serde_json::Value;
use turnwise_gguf::{GgufFile, Stored, convert};

/// A file in the making.
#[derive(Clone, Default)]
struct Made {
    keys: Vec<(String, Vec<u8>)>,
    tensors: Vec<(String, Vec<u64>, Vec<f32>)>,
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

/// A value of the metadata: its type, then its bytes.
fn number(value: u32) -> Vec<u8> {
    [4_u32.to_le_bytes(), value.to_le_bytes()].concat()
}

fn string(value: &str) -> Vec<u8> {
    [&8_u32.to_le_bytes()[..], &text(value)].concat()
}

fn list(kind: u32, count: u64, bytes: &[u8]) -> Vec<u8> {
    [&9_u32.to_le_bytes()[..], &kind.to_le_bytes(), &count.to_le_bytes(), bytes].concat()
}

/// Sizes of the model: hidden, inner, heads, layers, vocabulary. A key/value head, and heads of 4.
const HIDDEN: u64 = 8;
const INNER: u64 = 6;
const HEADS: u64 = 2;
const DIM: u64 = 4;
const TOKENS: u64 = 3;

impl Made {
    /// A llama with two heads and one layer.
    fn llama() -> Self {
        let mut made = Self::default();
        made.set("general.architecture", string("llama"));
        for (name, value) in [
            ("embedding_length", HIDDEN),
            ("feed_forward_length", INNER),
            ("block_count", 1),
            ("attention.head_count", HEADS),
            ("attention.head_count_kv", 1),
            ("context_length", 32),
        ] {
            made.set(&format!("llama.{name}"), number(value as u32));
        }
        let epsilon = [6_u32.to_le_bytes(), 1e-5_f32.to_le_bytes()].concat();
        made.set("llama.attention.layer_norm_rms_epsilon", epsilon);
        made.set("tokenizer.ggml.model", string("gpt2"));
        made.set("tokenizer.ggml.tokens", list(8, TOKENS, &["a", "b", "ab"].map(text).concat()));
        made.set("tokenizer.ggml.merges", list(8, 1, &text("a b")));
        for (name, shape) in [
            ("token_embd.weight", vec![HIDDEN, TOKENS]),
            ("output_norm.weight", vec![HIDDEN]),
            ("blk.0.attn_norm.weight", vec![HIDDEN]),
            ("blk.0.ffn_norm.weight", vec![HIDDEN]),
            ("blk.0.attn_q.weight", vec![HIDDEN, HEADS * DIM]),
            ("blk.0.attn_k.weight", vec![HIDDEN, DIM]),
            ("blk.0.attn_v.weight", vec![HIDDEN, DIM]),
            ("blk.0.attn_output.weight", vec![HEADS * DIM, HIDDEN]),
            ("blk.0.ffn_gate.weight", vec![HIDDEN, INNER]),
            ("blk.0.ffn_up.weight", vec![HIDDEN, INNER]),
            ("blk.0.ffn_down.weight", vec![INNER, HIDDEN]),
        ] {
            made.tensor(name, &shape);
        }
        made
    }

    fn set(&mut self, key: &str, value: Vec<u8>) {
        self.keys.retain(|(name, _)| name != key);
        self.keys.push((key.into(), value));
    }

    /// A tensor of numbers that count up, fastest dimension first.
    fn tensor(&mut self, name: &str, shape: &[u64]) {
        self.drop(name);
        let values = (0..shape.iter().product()).map(|at: u64| at as f32).collect();
        self.tensors.push((name.into(), shape.to_vec(), values));
    }

    fn drop(&mut self, name: &str) {
        self.tensors.retain(|(other, ..)| other != name);
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"GGUF\x03\0\0\0".to_vec();
        bytes.extend((self.tensors.len() as u64).to_le_bytes());
        bytes.extend((self.keys.len() as u64).to_le_bytes());
        for (key, value) in &self.keys {
            bytes.extend(text(key));
            bytes.extend(value);
        }
        let mut data = Vec::new();
        for (name, shape, values) in &self.tensors {
            bytes.extend(text(name));
            bytes.extend((shape.len() as u32).to_le_bytes());
            bytes.extend(shape.iter().flat_map(|n| n.to_le_bytes()));
            bytes.extend(0_u32.to_le_bytes());
            bytes.extend((data.len() as u64).to_le_bytes());
            data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            data.resize(data.len().next_multiple_of(32), 0);
        }
        bytes.resize(bytes.len().next_multiple_of(32), 0);
        [bytes, data].concat()
    }

    /// The message of a conversion, and the folder that it made.
    fn convert(&self) -> Result<tempfile::TempDir, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.gguf");
        std::fs::write(&path, self.bytes()).unwrap();
        convert(&path, folder.path(), Stored::F32).map_err(|error| error.to_string())?;
        Ok(folder)
    }

    fn refused(&self, part: &str) {
        let error = self.convert().expect_err(part);
        assert!(error.contains(part) && error.lines().count() <= 2, "{part:?} is not in {error}");
    }
}

fn json(folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap()
}

#[test]
fn every_tensor_has_the_shape_that_the_metadata_ask_for() {
    let made = Made::llama();
    made.convert().unwrap();
    for (name, shape, _) in made.tensors.clone() {
        for other in [&[HIDDEN, 1][..], &[1], &[1, 1], &[1, 1, 1, 1], &[shape[0], 99], &[shape[0] * 2]] {
            let mut other_shape = made.clone();
            other_shape.tensor(&name, other);
            match other {
                // The number of tokens is the number of its rows.
                [HIDDEN, 99] if name == "token_embd.weight" => drop(other_shape.convert().unwrap()),
                _ if name == "token_embd.weight" => other_shape.refused(""),
                _ => other_shape.refused("the metadata ask for"),
            }
        }
        let mut without = made.clone();
        without.drop(&name);
        without.refused(&format!("tensor {name} is missing"));
        if name.starts_with("blk.") {
            let mut beyond = made.clone();
            beyond.tensor(&name.replace("blk.0", "blk.1"), &shape);
            beyond.refused("has no place in a model of 1 layers");
        }
    }
}

#[test]
fn heads_that_make_no_attention_are_refused() {
    let check = |heads: u32, key_value: u32, part: &str| {
        let mut made = Made::llama();
        made.set("llama.attention.head_count", number(heads));
        made.set("llama.attention.head_count_kv", number(key_value));
        made.refused(part);
    };
    // A head of one row has no halves; eight heads of a hidden size of eight.
    check(8, 8, "8 heads of size 1");
    check(2, 3, "make no attention");
    check(0, 1, "head_count is missing or 0");
    check(u32::MAX, 1, "is more than");
    let check = |key: &str, part: &str| {
        for value in [0, 1 << 25, u32::MAX] {
            let mut made = Made::llama();
            made.set(&format!("llama.{key}"), number(value));
            made.refused(part);
        }
    };
    for key in ["embedding_length", "feed_forward_length", "block_count", "context_length"] {
        check(key, key);
    }
}

#[test]
fn biases_have_the_order_of_the_rows_that_they_belong_to() {
    let mut made = Made::llama();
    for (name, shape) in [("attn_q", HEADS * DIM), ("attn_k", DIM), ("attn_v", DIM), ("attn_output", HIDDEN)]
    {
        made.tensor(&format!("blk.0.{name}.bias"), &[shape]);
    }
    for (name, shape) in [("ffn_gate", INNER), ("ffn_up", INNER), ("ffn_down", HIDDEN)] {
        made.tensor(&format!("blk.0.{name}.bias"), &[shape]);
    }
    let folder = made.convert().unwrap();
    let config = json(folder.path());
    assert_eq!((&config["attention_bias"], &config["mlp_bias"]), (&true.into(), &true.into()));
    let bytes = std::fs::read(folder.path().join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let floats = |name: &str| -> Vec<f32> {
        let data = file.tensor(name).unwrap().data();
        data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    };
    for part in ["q", "k"] {
        let weight = floats(&format!("model.layers.0.self_attn.{part}_proj.weight"));
        let rows: Vec<f32> =
            weight.iter().step_by(HIDDEN as usize).map(|first| first / HIDDEN as f32).collect();
        assert_eq!(floats(&format!("model.layers.0.self_attn.{part}_proj.bias")), rows);
    }
    assert_eq!(floats("model.layers.0.self_attn.k_proj.bias"), [0.0, 2.0, 1.0, 3.0]);
    assert_eq!(floats("model.layers.0.self_attn.v_proj.bias"), [0.0, 1.0, 2.0, 3.0]);
    // Some of them are a model that no folder describes.
    made.drop("blk.0.attn_output.bias");
    made.refused("tensor blk.0.attn_output.bias is missing");
    let mut one = Made::llama();
    one.tensor("blk.0.ffn_down.bias", &[HIDDEN]);
    one.refused("tensor blk.0.ffn_down.bias is there, and others of its kind are not");
}

#[test]
fn lists_and_texts_are_bounded_whatever_the_size_of_the_file() {
    let check = |value: &[u8], part: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.gguf");
        let mut made = Made::default();
        made.set("x", value.to_vec());
        std::fs::write(&path, made.bytes()).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        // Small enough to be no unfinished download.
        file.set_len(60 << 20).unwrap();
        let error = GgufFile::open(&path).err().expect("a refusal").to_string();
        assert!(error.contains(part), "{part:?} is not in {error}");
    };
    check(&list(0, 50 << 20, &[]), "lists of more than 4194304 entries");
    check(&list(8, 5 << 20, &[]), "lists of more than 4194304 entries");
    check(&list(0, u64::MAX, &[]), "don't fit into the rest of the head");
    check(&list(9, 1, &[]), "lists of type 9 are unknown");
    check(&[&8_u32.to_le_bytes()[..], &(1_u64 << 40).to_le_bytes()].concat(), "don't fit");
}

#[test]
fn unfinished_downloads_and_what_is_no_file_are_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.gguf");
    let made = Made::llama();
    std::fs::write(&path, made.bytes()).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let opened = || GgufFile::open(&path).map(drop).map_err(|error| error.to_string());
    file.set_len(32 << 20).unwrap();
    assert_eq!(opened(), Ok(()));
    file.set_len(1 << 42).unwrap();
    let error = opened().unwrap_err();
    assert!(error.contains("of its 4398046511104 bytes are on disk\n  hint: "), "{error}");
    let error = GgufFile::open(folder.path()).err().expect("a refusal").to_string();
    assert!(error.contains("not a regular file"), "{error}");
    assert!(std::process::Command::new("mkfifo").arg(folder.path().join("pipe")).status().unwrap().success());
    let error = GgufFile::open(&folder.path().join("pipe")).err().expect("a refusal").to_string();
    assert!(error.contains("not a regular file"), "{error}");
}

#[test]
fn tokens_that_take_ages_to_merge_are_refused() {
    let mut made = Made::llama();
    made.set("tokenizer.ggml.model", string("llama"));
    let tokens: Vec<u8> = (0..TOKENS).flat_map(|at| text(&format!("{at}{}", "x".repeat(20_000)))).collect();
    made.set("tokenizer.ggml.tokens", list(8, TOKENS, &tokens));
    made.set("tokenizer.ggml.scores", list(6, TOKENS, &[0; 12]));
    made.refused("tokens too long to be merged");
    made.set("tokenizer.ggml.tokens", list(8, TOKENS + 1, &["a", "b", "c", "d"].map(text).concat()));
    made.set("tokenizer.ggml.scores", list(6, TOKENS + 1, &[0; 16]));
    made.refused("4 tokens, and an embedding of 3 rows");
}

fn float(value: f32) -> Vec<u8> {
    [6_u32.to_le_bytes(), value.to_le_bytes()].concat()
}

/// A folder has no place for heads of which this family rotates a part.
#[test]
fn a_part_of_heads_is_rotated_only_where_the_family_does_so() {
    const KEY: &str = "llama.rope.dimension_count";
    let mut made = Made::llama();
    made.set(KEY, number(DIM as u32));
    made.convert().unwrap();
    made.set(KEY, number(2));
    made.refused("llama.rope.dimension_count = 2: llama rotates whole heads, which are of 4");
    for part in [0, 3, 6] {
        made.set(KEY, number(part));
        made.refused(&format!("{KEY} = {part} is no part of a head of 4"));
    }
}

#[test]
fn numbers_that_no_model_has_are_refused_with_their_key_and_value() {
    let check = |key: &str, value: f32, part: &str| {
        let mut made = Made::llama();
        made.set("llama.rope.scaling.type", string("linear"));
        made.set(key, float(value));
        made.refused(&format!("{key} = {value} is not {part}"));
    };
    for value in [0.0, -1.0, 1.0] {
        check("llama.rope.freq_base", value, "above 1");
        check("llama.attention.layer_norm_rms_epsilon", value, "between 0 and 1");
    }
    for value in [0.0, 0.5, -2.0] {
        check("llama.rope.scaling.factor", value, "at least 1");
    }
    for key in ["llama.rope.freq_base", "llama.attention.layer_norm_rms_epsilon"] {
        check(key, f32::NAN, "a finite number");
        check(key, f32::INFINITY, "a finite number");
    }
    let mut made = Made::llama();
    made.set("general.alignment", number(3));
    made.refused("general.alignment = 3 is not a power of two");
    made = Made::llama();
    made.set("llama.context_length", string("many"));
    made.refused("llama.context_length = \"many\" is not a whole number");
}

#[test]
fn merges_make_tokens_of_tokens() {
    for (merge, part) in [
        ("a c", "merges[0] = \"a c\": \"c\" is not in the vocabulary"),
        ("b a", "merges[0] = \"b a\": \"ba\" is not in the vocabulary"),
        ("ab", "merges[0] = \"ab\" is no pair"),
    ] {
        let mut made = Made::llama();
        made.set("tokenizer.ggml.merges", list(8, 1, &text(merge)));
        made.refused(part);
    }
}

#[test]
fn a_folder_has_a_chat_template_that_can_be_read_or_none() {
    let template = |source: &str| {
        let mut made = Made::llama();
        made.set("tokenizer.chat_template", string(source));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.gguf");
        std::fs::write(&path, made.bytes()).unwrap();
        let converted = convert(&path, folder.path(), Stored::F32).map_err(|error| error.to_string());
        converted.map(|converted| converted.template)
    };
    assert_eq!(template("{{ messages[0].content }}"), Ok(true));
    assert_eq!(template(""), Ok(false));
    let error = template("{% for").unwrap_err();
    assert!(error.contains("tokenizer.chat_template is not a chat template: "), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}
