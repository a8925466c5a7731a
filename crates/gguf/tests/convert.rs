//! Whole files, against golden values of the `gguf`, `tokenizers` and `transformers` packages
//! (`tests/golden/gguf/make.py`).

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokenizers::Tokenizer;
use turnwise_gguf::{GgufFile, Kind, Stored, convert, dequantize, tokenizer};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/gguf").join(name)
}

fn json_of(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn every_type_is_dequantised_as_by_the_gguf_package() {
    let bytes = std::fs::read(golden("blocks.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    for kind in Kind::ALL {
        let stored = file.tensor(&format!("{}.bytes", kind.id())).unwrap();
        let expected = file.tensor(&format!("{}.values", kind.id())).unwrap();
        let mut ours = Vec::new();
        dequantize(kind, stored.data(), &mut ours);
        let ours: Vec<u8> = ours.iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(ours.len(), expected.data().len(), "{kind:?}");
        assert!(ours == expected.data(), "{kind:?} differs");
    }
}

fn converted(name: &str, stored: Stored) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    convert(&golden(&format!("{name}.gguf")), folder.path(), stored).unwrap();
    folder
}

/// Sums over the bits of a tensor, in order and weighted by place.
fn sums(data: &[u8]) -> (u64, u128) {
    let bits = data.chunks_exact(4).map(|b| u64::from(u32::from_le_bytes([b[0], b[1], b[2], b[3]])));
    bits.enumerate().fold((0, 0), |(plain, weighted), (at, bits)| {
        (plain + bits, weighted + u128::from(bits) * (1 + at as u128 % 8191))
    })
}

#[test]
fn weights_have_their_names_their_shapes_and_their_values() {
    for name in ["llama", "qwen2"] {
        let folder = converted(name, Stored::F32);
        let bytes = std::fs::read(folder.path().join("model.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let expected = json_of(&golden(&format!("{name}.tensors.json")));
        let expected = expected.as_object().unwrap();
        assert_eq!(file.len(), expected.len());
        for (tensor, expected) in expected {
            let ours = file.tensor(tensor).unwrap();
            assert_eq!(json!(ours.shape()), expected["shape"], "{tensor}");
            let (plain, weighted) = sums(ours.data());
            assert_eq!(Some(plain), expected["sum"].as_u64(), "{tensor}");
            assert_eq!(weighted.to_string(), expected["weighted"].to_string(), "{tensor}");
        }
    }
}

#[test]
fn smaller_types_are_rounded_to_the_nearest() {
    let read = |stored| {
        let folder = converted("llama", stored);
        let bytes = std::fs::read(folder.path().join("model.safetensors")).unwrap();
        SafeTensors::deserialize(&bytes).unwrap().tensor("model.norm.weight").unwrap().data().to_vec()
    };
    let exact: Vec<f32> =
        read(Stored::F32).chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let f16: Vec<u8> = exact.iter().flat_map(|&v| half::f16::from_f32(v).to_le_bytes()).collect();
    let bf16: Vec<u8> = exact.iter().flat_map(|&v| half::bf16::from_f32(v).to_le_bytes()).collect();
    assert_eq!((read(Stored::F16), read(Stored::Bf16)), (f16, bf16));
}

#[test]
fn the_configuration_is_hugging_faces() {
    let check = |name: &str, key: &str, expect: Value| {
        let config = json_of(&converted(name, Stored::F32).path().join("config.json"));
        assert_eq!(config[key], expect, "{name}: {key}");
    };
    check("llama", "model_type", json!("llama"));
    check("llama", "rms_norm_eps", json!(1e-5));
    check("llama", "rope_theta", json!(50000.0));
    check("llama", "tie_word_embeddings", json!(true));
    check("llama", "head_dim", json!(64));
    check("llama", "eos_token_id", json!(2));
    check("qwen2", "architectures", json!(["Qwen2ForCausalLM"]));
    check("qwen2", "tie_word_embeddings", json!(false));
    check("qwen2", "head_dim", Value::Null);
    let folder = converted("llama", Stored::Bf16);
    let read = |name: &str| json_of(&folder.path().join(name));
    assert_eq!(read("config.json")["dtype"], "bfloat16");
    assert_eq!(
        read("generation_config.json"),
        json!({"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 0})
    );
    let settings = read("tokenizer_config.json");
    assert!(settings["chat_template"].as_str().unwrap().starts_with("{% for m in messages %}"));
    assert_eq!((&settings["eos_token"], &settings["model_max_length"]), (&json!("<|im_end|>"), &json!(128)));
}

#[test]
fn texts_have_the_tokens_of_the_tokenizer_that_the_file_was_made_from() {
    for name in ["llama", "qwen2", "llama-bpe", "gpt-2", "pieces"] {
        let file = GgufFile::open(&golden(&format!("{name}.gguf"))).unwrap();
        let made = tokenizer(&file.metadata).unwrap();
        let ours: Tokenizer = made.tokenizer.to_string().parse().unwrap();
        let cases = json_of(&golden(&format!("{name}.ids.json")));
        for case in cases.as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            let ids = ours.encode(text, true).unwrap().get_ids().to_vec();
            assert_eq!(json!(ids), case["ids"], "{name}: {text:?}");
            // Composed letters come back as what they were normalised to.
            if name != "qwen2" {
                assert_eq!(
                    ours.decode(&ids, false).unwrap().trim_start_matches("<s>").trim_start(),
                    text.trim_start()
                );
            }
        }
    }
}

#[test]
fn a_damaged_file_is_one_line_wherever_it_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.gguf");
    let whole = std::fs::read(golden("gpt-2.gguf")).unwrap();
    let open = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let file = GgufFile::open(&path).map_err(|error| error.to_string())?;
        tokenizer(&file.metadata).map(drop)
    };
    assert_eq!(open(&whole), Ok(()));
    for keep in (0..whole.len()).step_by(7) {
        let error = open(&whole[..keep]).unwrap_err();
        assert!(error.lines().count() <= 2, "{error}");
    }
    // Every byte of the head, and the lengths in it, replaced by the largest there is.
    let mut refused = 0;
    for at in (0..whole.len() - 8).step_by(3) {
        let mut bytes = whole.clone();
        bytes[at..at + 8].fill(0xff);
        refused += usize::from(open(&bytes).is_err());
    }
    assert!(refused > whole.len() / 12, "{refused} are refused");
}

/// A file with one tensor that claims this shape, type and offset.
fn claims(shape: &[u64], kind: u32, offset: u64) -> Vec<u8> {
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.extend(1_u64.to_le_bytes());
    bytes.extend(0_u64.to_le_bytes());
    bytes.extend(1_u64.to_le_bytes());
    bytes.push(b't');
    bytes.extend((shape.len() as u32).to_le_bytes());
    for n in shape {
        bytes.extend(n.to_le_bytes());
    }
    bytes.extend(kind.to_le_bytes());
    bytes.extend(offset.to_le_bytes());
    bytes.resize(bytes.len().next_multiple_of(32) + 128, 0);
    bytes
}

#[test]
fn what_a_tensor_claims_is_checked_before_memory_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.gguf");
    let check = |bytes: &[u8], part: &str| {
        std::fs::write(&path, bytes).unwrap();
        let error = GgufFile::open(&path).err().expect("refused").to_string();
        assert!(error.contains(part), "{part:?} is not in {error}");
    };
    check(&claims(&[1 << 40, 1 << 40], 0, 0), "tensor t claims the shape");
    check(&claims(&[1 << 40], 0, 0), "ends behind the file");
    check(&claims(&[32], 0, 64), "ends behind the file");
    check(&claims(&[32], 0, u64::MAX - 31), "ends behind the file");
    check(&claims(&[16], 0, 3), "not at a multiple of 32");
    check(&claims(&[31], 2, 0), "no whole number of Q4_0 blocks");
    check(&claims(&[0], 0, 0), "no whole number");
    check(&claims(&[1; 5], 0, 0), "has 5 dimensions");
    check(&claims(&[32], 16, 0), "is of type 16, which is not supported\n  hint: ");
    check(b"GGML", "not a GGUF file");
    check(b"GGUF\x01\0\0\0", "version 1 of GGUF");
    let mut many = claims(&[32], 0, 0);
    many[8..16].fill(0xff);
    check(&many, "tensors are more than");
}

#[test]
fn names_and_numbers_that_make_no_model_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.gguf");
    let whole = std::fs::read(golden("llama.gguf")).unwrap();
    let check = |from: &[u8], to: &[u8], part: &str| {
        assert_eq!(from.len(), to.len());
        let mut bytes = whole.clone();
        let at = whole.windows(from.len()).position(|window| window == from).expect("is there");
        bytes[at..at + to.len()].copy_from_slice(to);
        std::fs::write(&path, bytes).unwrap();
        let error = convert(&path, folder.path(), Stored::F32).unwrap_err().to_string();
        assert!(error.contains(part) && error.lines().count() <= 2, "{part:?} is not in {error}");
    };
    check(b"blk.0.ffn_up", b"blk.0.ffn_xx", "tensor blk.0.ffn_xx.weight has no place");
    check(b"smollm", b"smolxx", "tokenizer.ggml.pre = \"smolxx\" is not supported");
    check(b"llama.block_count", b"llama.block_xxxxx", "llama.block_count is missing");
    check(b"token_embd.weight", b"token_xmbd.weight", "tensor token_embd.weight is missing");
}
