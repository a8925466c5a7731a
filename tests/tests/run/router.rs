//! The load-balancing loss of experts in the metrics of a run.

use std::path::Path;

use turnwise_model::load_config;
use turnwise_trainer::progress::Silent;
use turnwise_trainer::{RunOptions, train};

use crate::{BEGAN, SMALL, column, config_of, make, metrics, model_folder, place};

/// Writes a model with six experts in both layers, of which a token has two.
fn experts(folder: &Path) {
    let like = model_folder("tiny");
    let tiny = load_config(&like).expect("the tiny model");
    let json = serde_json::json!({
        "vocab_size": tiny.vocab_size, "max_position_embeddings": tiny.max_position, "hidden_size": 32,
        "moe_intermediate_size": 24, "num_experts": 6, "num_experts_per_tok": 2, "num_hidden_layers": 2,
        "head_dim": 8, "num_attention_heads": 4, "num_key_value_heads": 2, "norm_topk_prob": true,
    });
    make(folder, &like, "qwen3_moe", &json);
}

#[test]
fn a_run_that_balances_experts_records_the_loss_and_another_has_no_key_of_it() {
    let parent = tempfile::tempdir().unwrap();
    let at = |name: &str| parent.path().join(name);
    experts(&at("model"));
    let run = |name: &str, sets: &[&str]| {
        // Every trajectory is trained on, so that the recorded loss is that of all.
        let more = ["advantage=reinforce_pp", "filter.zero_variance=false", "train.steps=2"];
        let config = config_of(&at("model"), &[&SMALL[..], &more, sets].concat());
        train(&config, &place(BEGAN), &at(name), RunOptions::default(), &mut Silent).expect("a run");
    };
    run("on", &["optimizer.router_aux_loss_coef=0.01"]);
    run("stronger", &["optimizer.router_aux_loss_coef=0.1"]);
    run("off", &[]);
    assert!(!metrics(&at("off")).contains("router_aux_loss"));
    let [on, stronger] = ["on", "stronger"].map(|name| column(&at(name), "router_aux_loss"));
    // Two of six experts: 2 if every expert has its share, and 6 at most.
    assert!(on.iter().chain(&stronger).all(|loss| (2.0..6.0).contains(loss)), "{on:?}");
    assert!((on[0] - stronger[0]).abs() < 1e-6, "the coefficient is no part of it: {on:?}, {stronger:?}");
    assert!(stronger[1] < on[1], "the stronger one balances more: {on:?}, {stronger:?}");
}
