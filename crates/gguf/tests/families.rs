//! Files of further families, made of tiny checkpoints by llama.cpp's conventions
//! (`tests/golden/gguf/make_families.py`): converted back, they are the checkpoints.

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use serde_json::{Value, json};
use turnwise_gguf::{Stored, convert};

/// Every file with the family that it becomes.
const FAMILIES: [(&str, &str); 11] = [
    ("gemma3", "gemma3_text"),
    ("qwen3", "qwen3"),
    ("smollm3", "smollm3"),
    ("granite", "granite"),
    ("olmo2", "olmo2"),
    ("phi3", "phi3"),
    ("phi3-long", "phi3"),
    ("lfm2", "lfm2"),
    ("qwen3_moe-window", "qwen3_moe"),
    ("olmoe", "olmoe"),
    ("qwen3_5", "qwen3_5_text"),
];

fn golden(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(path)
}

fn floats(data: &[u8]) -> Vec<f32> {
    data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

#[test]
fn a_checkpoint_comes_back_from_its_file() {
    for (name, family) in FAMILIES {
        let folder = tempfile::tempdir().unwrap();
        let file = golden(&format!("gguf/family-{name}.gguf"));
        let made = convert(&file, folder.path(), Stored::F32).unwrap();
        assert_eq!(made.family, family, "{name}");
        let ours = std::fs::read(folder.path().join("model.safetensors")).unwrap();
        let theirs = std::fs::read(golden(&format!("model/{name}/model.safetensors"))).unwrap();
        let (ours, theirs) =
            (SafeTensors::deserialize(&ours).unwrap(), SafeTensors::deserialize(&theirs).unwrap());
        let mut names: [Vec<&str>; 2] = [ours.names(), theirs.names()];
        for names in &mut names {
            names.sort_unstable();
        }
        assert_eq!(names[0], names[1], "{name}");
        for tensor in &names[0] {
            let (ours, theirs) = (ours.tensor(tensor).unwrap(), theirs.tensor(tensor).unwrap());
            assert_eq!(ours.shape(), theirs.shape(), "{name}: {tensor}");
            let (ours, theirs) = (floats(ours.data()), floats(theirs.data()));
            // The file has one more, and one less again rounds.
            let moves = ["gemma3_text", "qwen3_5_text"].contains(&family)
                && tensor.ends_with("norm.weight")
                && !tensor.contains("linear_attn");
            let expect: Vec<f32> =
                theirs.into_iter().map(|b| if moves { (b + 1.0) - 1.0 } else { b }).collect();
            // The logarithm of a power may round otherwise.
            let is_power = family == "qwen3_5_text" && tensor.ends_with("A_log");
            let near = |(a, b): (&f32, &f32)| a == b || is_power && (a - b).abs() <= 1e-6;
            assert!(ours.iter().zip(&expect).all(near), "{name}: {tensor} differs");
        }
    }
}

#[test]
fn configurations_have_the_keys_of_their_family() {
    let check = |name: &str, expect: Value| {
        let folder = tempfile::tempdir().unwrap();
        convert(&golden(&format!("gguf/family-{name}.gguf")), folder.path(), Stored::F32).unwrap();
        let text = std::fs::read_to_string(folder.path().join("config.json")).unwrap();
        let config: Value = serde_json::from_str(&text).unwrap();
        for (key, value) in expect.as_object().unwrap() {
            assert_eq!(&config[key], value, "{name}: {key}");
        }
    };
    check(
        "gemma3",
        json!({
            "architectures": ["Gemma3ForCausalLM"], "hidden_activation": "gelu_pytorch_tanh", "hidden_act": null,
            "query_pre_attn_scalar": 12, "sliding_window": 6, "rope_theta": 1000.0, "rope_local_base_freq": 100.0,
            "layer_types": ["sliding_attention", "full_attention"], "tie_word_embeddings": true,
        }),
    );
    check("smollm3", json!({"no_rope_layers": [1, 1], "no_rope_layer_interval": 4}));
    check(
        "granite",
        json!({
            "attention_multiplier": 0.3, "embedding_multiplier": 3.0, "residual_multiplier": 0.6,
            "logits_scaling": 2.0,
        }),
    );
    check("olmo2", json!({"attention_bias": false, "rms_norm_eps": 1e-5}));
    check(
        "phi3",
        json!({
            "partial_rotary_factor": 0.75, "original_max_position_embeddings": 96, "sliding_window": null,
            "rope_scaling": {
                "type": "longrope", "short_factor": [1.0, 1.25, 1.5], "long_factor": [1.5, 3.0, 6.0],
            },
        }),
    );
    check("phi3-long", json!({"sliding_window": 7}));
    check(
        "lfm2",
        json!({
            "layer_types": ["conv", "full_attention", "conv"], "conv_L_cache": 3, "norm_eps": 1e-5,
            "block_auto_adjust_ff_dim": false, "num_key_value_heads": 2, "rms_norm_eps": null,
        }),
    );
    check(
        "qwen3_moe-window",
        json!({
            "num_experts": 5, "num_experts_per_tok": 3, "moe_intermediate_size": 12, "intermediate_size": 20,
            "norm_topk_prob": true,
        }),
    );
    check(
        "qwen3_5",
        json!({
            "layer_types": ["linear_attention", "full_attention", "linear_attention"],
            "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 6,
            "linear_value_head_dim": 5, "linear_conv_kernel_dim": 4, "partial_rotary_factor": 0.25,
        }),
    );
    check("olmoe", json!({"num_experts": 8, "intermediate_size": 20, "norm_topk_prob": false}));
}
