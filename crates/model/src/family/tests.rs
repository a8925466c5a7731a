//! Compares configurations with their reading by `transformers`: `tests/golden/model/make_configs.py`.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{FAMILIES, Family, text_config};
use crate::config::ModelConfig;
use crate::layers::rope::frequencies;

/// Number of a layer's experts, of a token's, their width, and whether weights add up to 1.
type Experts = Option<(usize, usize, usize, bool)>;

/// A file and the network that `transformers` builds from it.
#[derive(Deserialize)]
struct Case {
    config: Map<String, Value>,
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_layers: usize,
    query: usize,
    key_value: usize,
    dim: usize,
    max_position: usize,
    norm_eps: f64,
    tied: bool,
    /// Biases of queries, of attention's output, of the feed-forward layer.
    biases: [bool; 3],
    /// Whether each layer has attention.
    attention: Vec<bool>,
    /// That of each layer with attention.
    windows: Vec<Option<usize>>,
    /// Whether each of them has positions.
    rotated: Vec<bool>,
    /// Those of the first layer with positions and, if they differ, of the last one.
    frequencies: Vec<Vec<f32>>,
    /// That of the last one.
    attention_factor: f64,
    /// Those of each layer, in families that may have some.
    #[serde(default)]
    experts: Option<Vec<Experts>>,
}

fn cases() -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/model/configs.json");
    serde_json::from_slice(&std::fs::read(path).expect("a golden file")).expect("cases")
}

fn read(json: &Map<String, Value>) -> Result<ModelConfig, String> {
    let text = text_config(json);
    Family::named(text["model_type"].as_str().expect("a name"))?.read(&text)
}

#[test]
fn a_key_that_is_absent_has_the_default_of_transformers() {
    let cases = cases();
    assert!(cases.len() > 40);
    for case in cases {
        let shown = Value::Object(case.config.clone());
        let found = read(&case.config).unwrap_or_else(|error| panic!("{shown}: {error}"));
        let first = &found.layers[0];
        let h = found.first_attention();
        let sizes = [
            (found.vocab_size, case.vocab_size),
            (found.hidden_size, case.hidden_size),
            (first.mlp.width, case.intermediate_size),
            (found.layers.len(), case.num_layers),
            (h.query_heads, case.query),
            (h.key_value_heads, case.key_value),
            (h.head_dim, case.dim),
            (found.max_position, case.max_position),
        ];
        assert!(sizes.iter().all(|(ours, theirs)| ours == theirs), "{shown}: {sizes:?}");
        assert_eq!((found.norm_eps, found.tied_embeddings), (case.norm_eps, case.tied), "{shown}");
        assert_eq!([h.qkv_bias, h.output_bias, first.mlp.bias], case.biases, "{shown}");
        let attention: Vec<_> = found.layers.iter().map(|block| block.attention().is_some()).collect();
        assert_eq!(attention, case.attention, "{shown}");
        let windows: Vec<_> = found.attentions().map(|attention| attention.window).collect();
        assert_eq!(windows, case.windows, "{shown}");
        let ropes: Vec<_> = found.attentions().map(|attention| &attention.rope).collect();
        let rotated: Vec<_> = ropes.iter().map(|rope| rope.rotated > 0).collect();
        assert_eq!(rotated, case.rotated, "{shown}");
        let mut with_positions = ropes.iter().filter(|rope| rope.rotated > 0);
        let first = with_positions.next().expect("a layer with positions");
        let last = with_positions.next_back().unwrap_or(first);
        let ends = [case.frequencies.first(), case.frequencies.last()].into_iter().flatten();
        for (rope, expected) in [first, last].into_iter().zip(ends) {
            let ours = frequencies(rope, 1);
            assert_eq!(ours.len(), expected.len(), "{shown}");
            for (ours, theirs) in ours.iter().zip(expected) {
                assert!((ours - theirs).abs() <= 3e-7 * theirs, "{shown}: {ours}, not {theirs}");
            }
        }
        let gain = last.attention_factor();
        assert!((gain - case.attention_factor).abs() < 1e-9, "{shown}: {gain}");
        let experts = found.layers.iter().map(|block| {
            let experts = block.mlp.experts?;
            Some((experts.count, experts.chosen, block.mlp.width, experts.normalised))
        });
        let experts: Vec<_> = experts.collect();
        assert_eq!(experts, case.experts.unwrap_or(vec![None; experts.len()]), "{shown}");
    }
}

#[test]
fn what_is_written_is_read_again() {
    for case in cases() {
        let config = read(&case.config).unwrap();
        let text = text_config(&case.config);
        let family = Family::named(text["model_type"].as_str().unwrap()).unwrap();
        for before in [&case.config, &Map::new()] {
            let written = family.write(&config, before);
            assert_eq!(family.read(&written), Ok(config.clone()), "{written:?}");
        }
    }
}

#[test]
fn the_corpus_of_the_fuzz_target_is_written_as_it_was_read() {
    crate::corpus::replay("model_config", super::claims::hold);
}

#[test]
fn what_was_true_of_the_base_alone_is_not_written() {
    let mut before = cases().remove(0).config;
    let said = json!({
        "dtype": "bfloat16", "torch_dtype": "bfloat16", "quantization_config": {"quant_method": "bitsandbytes"},
        "transformers_weights": "other.safetensors", "auto_map": {"AutoModel": "x.Y"}, "compression_config": {},
        "bos_token_id": 1, "initializer_range": 0.5,
    });
    before.extend(said.as_object().unwrap().clone());
    let written = FAMILIES[0].write(&read(&before).unwrap(), &before);
    assert_eq!(written["dtype"], "float32");
    for key in
        ["torch_dtype", "quantization_config", "transformers_weights", "auto_map", "compression_config"]
    {
        assert!(!written.contains_key(key), "{key}");
    }
    assert_eq!((&written["bos_token_id"], &written["initializer_range"]), (&json!(1), &json!(0.5)));
}

/// Makes a file of this family with these keys.
fn file(family: &str, keys: &Value) -> Map<String, Value> {
    let mut json = json!({"hidden_size": 256, "num_hidden_layers": 2}).as_object().unwrap().clone();
    json.insert("model_type".into(), family.into());
    json.extend(keys.as_object().unwrap().clone());
    json
}

/// Checks that a family refuses these keys with a message that has `part`.
fn check(family: &str, keys: impl std::borrow::Borrow<Value>, part: &str) {
    let keys = keys.borrow();
    let error = read(&file(family, keys)).expect_err(&keys.to_string());
    assert!(error.contains(part), "{keys}: {error}");
}

#[test]
fn other_mixers_that_would_be_computed_otherwise_are_refused() {
    let hybrid = |keys: Value| {
        let mut all = json!({"num_local_experts": 0}).as_object().unwrap().clone();
        all.extend(keys.as_object().unwrap().clone());
        Value::Object(all)
    };
    check("granitemoehybrid", json!({}), "num_local_experts = 8");
    check("granitemoehybrid", hybrid(json!({})), "layer_types is missing");
    check("granitemoehybrid", hybrid(json!({"layer_types": ["mamba", "attention"]})), "\"mamba\"");
    check("granitemoehybrid", hybrid(json!({"layers_block_type": ["mamba", "attention"]})), "\"mamba\"");
    let attention = json!(["attention", "attention"]);
    let of = |key: &str| read(&file("granitemoehybrid", &hybrid(json!({key: attention})))).unwrap();
    assert_eq!(of("layers_block_type"), of("layer_types"));
    let heads = json!({"linear_num_value_heads": 3});
    check("qwen3_5_text", heads, "linear_num_value_heads = 3 is not a multiple");
    check("qwen3_5_text", json!({"linear_key_head_dim": 0}), "linear_key_head_dim = 0");
    check("qwen3_5_text", json!({"hidden_act": "gelu_pytorch_tanh"}), "hidden_act");
    check("lfm2", json!({"layer_types": ["conv", "conv"]}), "a model without attention");
    check("lfm2", json!({"layer_types": ["conv", "mamba"]}), "\"mamba\" is not supported");
    check("lfm2", json!({"full_attn_idxs": [0], "conv_L_cache": 0}), "conv_L_cache = 0");
    check("lfm2", json!({"block_multiple_of": 0}), "block_multiple_of = 0");
    check("lfm2", json!({"block_ffn_dim_multiplier": 1e300}), "intermediate_size = ");
}

#[test]
fn experts_that_cannot_be_are_refused() {
    check("qwen3_moe", json!({"decoder_sparse_step": 0}), "decoder_sparse_step = 0");
    check("qwen3_moe", json!({"num_experts": 4}), "num_experts_per_tok = 8 is not between 1 and 4");
    check("qwen3_moe", json!({"num_experts": 1 << 20}), "num_experts = 1048576");
    check("qwen3_moe", json!({"num_experts": 64, "num_local_experts": 128}), "differ");
    check("qwen3_moe", json!({"moe_intermediate_size": 0}), "intermediate_size = 0");
    check("olmoe", json!({"num_experts": 0}), "num_experts = 0");
    check("olmoe", json!({"clip_qkv": -1.0}), "clip_qkv = -1");
    check("olmoe", json!({"norm_topk_prob": 1}), "norm_topk_prob = 1");
}

#[test]
fn what_would_be_computed_otherwise_is_refused() {
    let yarn = |keys: Value| {
        let mut all = json!({"rope_type": "yarn", "factor": 4.0}).as_object().unwrap().clone();
        all.extend(keys.as_object().unwrap().clone());
        json!({"rope_scaling": all, "max_position_embeddings": 64})
    };
    let llama3 = |low: f64, high: f64| json!({"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": low, "high_freq_factor": high}});
    for family in FAMILIES.iter().map(|family| family.model_type) {
        let key = if family.starts_with("gemma") { "hidden_activation" } else { "hidden_act" };
        check(family, json!({key: "gelu"}), key);
        check(family, json!({"hidden_size": null}), "hidden_size = null is not a whole number");
        check(family, json!({"rope_scaling": {"type": "longrope"}}), "\"longrope\" lacks short_factor");
        check(family, json!({"rope_scaling": {"type": "new"}}), "\"new\" is not supported");
    }
    let whole_heads = FAMILIES.iter().filter(|family| family.defaults.rotated_part.is_none());
    for family in whole_heads.filter(|family| !family.defaults.ropes_by_kind).map(|family| family.model_type)
    {
        let half = json!({"partial_rotary_factor": 0.5});
        check(family, half.clone(), "partial_rotary_factor = 0.5");
        check(family, json!({"rope_parameters": half.clone()}), "partial_rotary_factor = 0.5");
        check(family, json!({"rope_scaling": half.clone()}), "partial_rotary_factor = 0.5");
        check(
            family,
            json!({"rope_parameters": {"rope_type": "default"}, "partial_rotary_factor": 0}),
            "= 0 is",
        );
        check(family, json!({"rope_scaling": {"type": "default"}, "rope_parameters": half}), "= 0.5 is");
        check(family, json!({"rope_parameters": {"full_attention": {"rope_theta": 1e6}}}), "full_attention");
    }
    for family in ["gemma3_text", "olmo3"] {
        check(family, json!({"rope_parameters": {"rope_theta": 5.0}}), "settings by the kind of layer");
        check(family, json!({"sliding_window": null}), "lacks sliding_window");
    }
    check("gemma3_text", json!({"use_bidirectional_attention": true}), "use_bidirectional_attention");
    check("gemma3_text", json!({"attn_logit_softcapping": 5.0}), "attn_logit_softcapping = 5");
    check("gemma2", json!({"attn_logit_softcapping": -1.0}), "attn_logit_softcapping = -1");
    check("granite", json!({"logits_scaling": 0.0}), "logits_scaling = 0");
    check("granite", json!({"residual_multiplier": -2.0}), "residual_multiplier = -2");
    check("smollm3", json!({"no_rope_layers": [1]}), "names 1 layers of 2");
    check("glm4", json!({"partial_rotary_factor": 1.5}), "partial_rotary_factor = 1.5");
    check("exaone4", json!({"sliding_window_pattern": "LX"}), "is not a text of L and G");
    let divisors = json!({"type": "longrope", "short_factor": [1.0], "long_factor": [1.0]});
    check("phi3", json!({"rope_scaling": divisors}), "short_factor has 1 numbers for 4 pairs");
    check("qwen2", json!({"layer_types": ["full_attention"]}), "names 1 layers of 2");
    check("qwen2", json!({"layer_types": ["full_attention", "chunked_attention"]}), "chunked_attention");
    check("qwen2", json!({"layer_types": ["sliding_attention", "sliding_attention"]}), "lacks");
    check("mistral", json!({"sliding_window": 0}), "sliding_window = 0");
    // Numbers for which no frequencies exist.
    check("llama", llama3(4.0, 4.0), "is not below");
    check("llama", llama3(-1.0, 4.0), "low_freq_factor = -1");
    check("llama", yarn(json!({"factor": 0.5})), "factor = 0.5");
    check("llama", yarn(json!({"factor": 1e300})), "stretches the context");
    check("llama", yarn(json!({"beta_fast": -1.0})), "beta_fast = -1");
    check("llama", yarn(json!({"attention_factor": 0.0})), "attention_factor = 0");
    check("llama", yarn(json!({"original_max_position_embeddings": 0})), "original_max_position_embeddings");
    let dynamic = json!({"head_dim": 2, "rope_scaling": {"type": "dynamic", "factor": 2.0}});
    check("llama", dynamic, "head_dim above 2");
    check("llama", json!({"num_attention_heads": 1 << 19, "head_dim": 4}), "attention heads of size 4");
}

#[test]
fn the_context_is_what_the_scaling_stretches_the_positions_to() {
    let check = |scaling: Value, expect: usize| {
        let keys = json!({"max_position_embeddings": 64, "rope_scaling": scaling});
        assert_eq!(read(&file("llama", &keys)).unwrap().context(), expect, "{keys}");
    };
    check(Value::Null, 64);
    check(json!({"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}), 256);
    check(json!({"type": "yarn", "factor": 4.0}), 256);
    check(json!({"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}), 64);
    check(json!({"type": "yarn", "factor": 1.5, "original_max_position_embeddings": 32}), 64);
    check(json!({"type": "linear", "factor": 2.5}), 160);
    check(json!({"type": "dynamic", "factor": 4.0}), 64);
    let llama3 =
        json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0});
    check(llama3, 64);
}

#[test]
fn a_text_of_local_and_global_layers_repeats_and_ends_globally() {
    let keys = json!({"num_hidden_layers": 7, "sliding_window": 5, "sliding_window_pattern": "LLG"});
    let config = read(&file("exaone4", &keys)).unwrap();
    let windows: Vec<bool> = config.attentions().map(|attention| attention.window.is_some()).collect();
    assert_eq!(windows, [true, true, false, true, true, false, false]);
}

#[test]
fn long_rope_keeps_the_context_of_its_short_divisors() {
    let divisors = json!({"type": "longrope", "short_factor": vec![1.0; 4], "long_factor": vec![2.0; 4]});
    let keys = json!({"rope_scaling": divisors, "max_position_embeddings": 131_072});
    let config = read(&file("phi3", &keys)).unwrap();
    assert_eq!(config.context(), 4096);
    let rope = &config.first_attention().rope;
    let [short, long] = [4096, 4097].map(|length| frequencies(rope, length)[1]);
    assert!((short / long - 2.0).abs() < 1e-6, "a longer sequence has the other divisors");
}
