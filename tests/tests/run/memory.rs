//! The memory that a run estimates, and the memory that it then holds.
#![cfg(target_os = "linux")]

use std::path::Path;

use serde_json::Value;
use turnwise_model::{AttentionConfig, BlockConfig, ModelConfig, Transformer, family_of, load_config, save};
use turnwise_tests::{alone, device, model_folder};
use turnwise_trainer::memory_estimate::{Estimate, estimate};
use turnwise_trainer::progress::Silent;
use turnwise_trainer::{RunOptions, train};

use crate::{BEGAN, config_of, make, place};

/// Bytes that this process holds now.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("resident memory");
    line.trim().strip_suffix(" kB").expect("in kB").trim().parse::<u64>().expect("a number") * 1024
}

/// A model of ten million parameters with random weights, which write until they may no longer.
fn model(folder: &Path) {
    let like = model_folder("tiny");
    let config = load_config(&like).expect("the tiny model");
    let attention = AttentionConfig::new(12, 4, 32);
    let config =
        ModelConfig { hidden_size: 384, layers: vec![BlockConfig::new(attention, 1024); 6], ..config };
    save(
        &Transformer::random(&config, 0, &device()),
        family_of(&like).expect("its family"),
        Some(&like),
        folder,
    )
    .expect("a folder");
}

/// One of the same size with convolutions in four of six layers.
fn convolutions(folder: &Path) {
    let like = model_folder("tiny");
    let tiny = load_config(&like).expect("the tiny model");
    let attention = [1, 4];
    let json = serde_json::json!({
        "vocab_size": tiny.vocab_size, "max_position_embeddings": tiny.max_position, "hidden_size": 384,
        "intermediate_size": 1024, "block_auto_adjust_ff_dim": false, "num_hidden_layers": 6,
        "num_attention_heads": 12, "num_key_value_heads": 4, "full_attn_idxs": attention, "conv_L_cache": 4,
    });
    make(folder, &like, "lfm2", &json);
}

/// One of the same size with linear attention in four of six layers.
fn linear_attention(folder: &Path) {
    let like = model_folder("tiny");
    let tiny = load_config(&like).expect("the tiny model");
    let json = serde_json::json!({
        "vocab_size": tiny.vocab_size, "max_position_embeddings": tiny.max_position, "hidden_size": 384,
        "intermediate_size": 1024, "num_hidden_layers": 6, "full_attention_interval": 3, "head_dim": 32,
        "num_attention_heads": 12, "num_key_value_heads": 4, "linear_num_key_heads": 6,
        "linear_num_value_heads": 12, "linear_key_head_dim": 32, "linear_value_head_dim": 32,
        "tie_word_embeddings": true,
    });
    make(folder, &like, "qwen3_5_text", &json);
}

/// One of the same width with 16 experts in every layer, of which a token has four.
fn experts(folder: &Path) {
    let like = model_folder("tiny");
    let tiny = load_config(&like).expect("the tiny model");
    let json = serde_json::json!({
        "vocab_size": tiny.vocab_size, "max_position_embeddings": tiny.max_position, "hidden_size": 384,
        "moe_intermediate_size": 128, "num_experts": 16, "num_experts_per_tok": 4, "num_hidden_layers": 6,
        "head_dim": 32, "num_attention_heads": 12, "num_key_value_heads": 4, "norm_topk_prob": true,
        "tie_word_embeddings": true,
    });
    make(folder, &like, "qwen3_moe", &json);
}

/// One whose vocabulary is that of Gemma 3: its embedding, which is also its output matrix, is nearly all of
/// it.
fn large_vocabulary(folder: &Path) {
    let like = model_folder("tiny");
    let tiny = load_config(&like).expect("the tiny model");
    let json = serde_json::json!({
        "vocab_size": 262_144, "max_position_embeddings": tiny.max_position, "hidden_size": 64,
        "intermediate_size": 128, "num_hidden_layers": 2, "head_dim": 16, "num_attention_heads": 4,
        "num_key_value_heads": 1, "sliding_window": 64,
    });
    make(folder, &like, "gemma3_text", &json);
}

/// The estimate and, of each of two steps, the peak of its two phases, without what was there before.
fn run(model: fn(&Path), sets: &[&str]) -> (Estimate, Vec<[u64; 2]>) {
    turnwise_allocator::keep_freed_memory();
    let parent = tempfile::tempdir().expect("a folder");
    let (at, folder) = (parent.path().join("model"), parent.path().join("run"));
    model(&at);
    let small = [
        "train.steps=2",
        "rollout.groups=2",
        "rollout.samples=8",
        "rollout.max_turns=1",
        "rollout.max_turn_tokens=320",
        "eval.tasks=1",
    ];
    let (config, place) = (config_of(&at, &[&small[..], sets].concat()), place(BEGAN));
    let estimate = estimate(&config, &place.device).expect("an estimate");
    let before = resident();
    train(&config, &place, &folder, RunOptions::default(), &mut Silent).expect("a run");
    let times = std::fs::read_to_string(folder.join("times.jsonl")).expect("times");
    let peaks = times.lines().map(|line| {
        let line: Value = serde_json::from_str(line).expect("JSON");
        ["peak_rollout", "peak_train"].map(|key| line[key].as_u64().expect("a peak").saturating_sub(before))
    });
    (estimate, peaks.collect())
}

/// No peak is above the estimate, and the estimate isn't far above the last peak.
fn check(model: fn(&Path), sets: &[&str]) {
    let (estimate, peaks) = run(model, sets);
    let total = estimate.total();
    for peak in peaks.as_flattened() {
        assert!(*peak <= total + total / 10, "{} MiB, said {} ({estimate})", peak >> 20, total >> 20);
    }
    let last = peaks[1][1];
    assert!(last >= estimate.certain(), "{} MiB ({estimate})", last >> 20);
    assert!(last >= total / 2, "{} MiB, said {} ({estimate})", last >> 20, total >> 20);
}

// Activations are most of it, and differ by a factor of ten between these. A peak belongs to a process, so
// each test has one to itself.

#[test]
fn a_run_holds_what_its_estimate_says() {
    alone("memory::a_run_holds_what_its_estimate_says", || check(model, &[]));
}

#[test]
fn a_run_that_recomputes_holds_what_its_estimate_says() {
    alone("memory::a_run_that_recomputes_holds_what_its_estimate_says", || {
        check(model, &["optimizer.recompute=true"]);
    });
}

#[test]
fn a_run_with_large_micro_batches_holds_what_its_estimate_says() {
    let sets = ["optimizer.micro_batch_tokens=4096"];
    alone("memory::a_run_with_large_micro_batches_holds_what_its_estimate_says", || check(model, &sets));
}

#[test]
fn a_run_of_convolutions_holds_what_its_estimate_says() {
    alone("memory::a_run_of_convolutions_holds_what_its_estimate_says", || check(convolutions, &[]));
}

#[test]
fn a_run_of_linear_attention_holds_what_its_estimate_says() {
    let name = "memory::a_run_of_linear_attention_holds_what_its_estimate_says";
    alone(name, || check(linear_attention, &[]));
}

#[test]
fn a_run_of_experts_holds_what_its_estimate_says() {
    alone("memory::a_run_of_experts_holds_what_its_estimate_says", || check(experts, &[]));
}

#[test]
fn a_run_with_a_large_vocabulary_holds_what_its_estimate_says() {
    let name = "memory::a_run_with_a_large_vocabulary_holds_what_its_estimate_says";
    alone(name, || check(large_vocabulary, &["rollout.max_turn_tokens=64"]));
}
