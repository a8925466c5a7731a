//! Model folders: what is read from them, and what a checkpoint made from one holds.

use std::path::Path;

use burn::module::Module;
use serde_json::{Value, json};
use turnwise_model::{
    HostCache, HostModel, KvCache, TokenBatch, Transformer, family_of, left_out, load, save, token_logprobs,
};
use turnwise_tests::{device, golden, max_abs_diff, values};

/// A golden folder with other keys in its `config.json`.
fn copy(name: &str, keys: &Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let from = golden(&format!("model/{name}"));
    std::fs::copy(from.join("model.safetensors"), folder.path().join("model.safetensors")).unwrap();
    let mut config = json_of(&from);
    config.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    folder
}

fn json_of(folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap()
}

/// Log-probabilities of rows of a batch, each as long as its row.
fn logprobs(model: &Transformer, rows: &[Vec<u32>]) -> Vec<Vec<f32>> {
    let batch = TokenBatch::new(rows);
    let all = values(token_logprobs(model, &batch, &vec![true; batch.tokens.len()], 1.0, false).logprobs);
    rows.iter().zip(all.chunks(batch.columns)).map(|(row, all)| all[..row.len()].to_vec()).collect()
}

fn tokens(count: u32, seed: u32) -> Vec<u32> {
    (0..count).map(|at| 3 + (at * 7 + seed) % 60).collect()
}

#[test]
fn a_checkpoint_says_what_its_weights_are_and_takes_nothing_foreign_along() {
    let stale = json!({
        "dtype": "bfloat16", "torch_dtype": "bfloat16",
        "quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": true},
    });
    let base = copy("llama-bias", &stale);
    let others = ["pytorch_model.bin", "model.gguf", "optimizer.pt", "model-00001-of-00002.safetensors"];
    for name in ["LICENSE", "generation_config.json"].iter().chain(&others) {
        std::fs::write(base.path().join(name), "{}").unwrap();
    }
    let (model, out) = (load(base.path(), &device()).unwrap(), tempfile::tempdir().unwrap());
    save(&model, family_of(base.path()).unwrap(), Some(base.path()), out.path()).unwrap();
    let mut names: Vec<_> = std::fs::read_dir(out.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["LICENSE", "config.json", "generation_config.json", "model.safetensors"]);
    let config = json_of(out.path());
    assert_eq!(config["dtype"], "float32");
    assert_eq!((config.get("torch_dtype"), config.get("quantization_config")), (None, None));
    assert_eq!((&config["attention_bias"], &config["mlp_bias"]), (&json!(true), &json!(true)));
    let rows = [tokens(20, 1)];
    assert_eq!(logprobs(&load(out.path(), &device()).unwrap(), &rows), logprobs(&model, &rows));
}

#[test]
fn a_gguf_file_is_the_checkpoint_that_it_was_made_of() {
    let others = ["gemma3", "qwen3", "granite", "olmo2", "phi3", "phi3-long", "lfm2", "olmoe", "qwen3_5"];
    for name in others.into_iter().chain(["smollm3", "qwen3_moe-window"]) {
        let (made, file) = (tempfile::tempdir().unwrap(), golden(&format!("gguf/family-{name}.gguf")));
        turnwise_gguf::convert(&file, made.path(), turnwise_gguf::Stored::F32).unwrap();
        // llama.cpp knows less than these checkpoints have.
        let known = match name {
            "smollm3" => json!({"no_rope_layers": null, "no_rope_layer_interval": 4}),
            "qwen3_moe-window" => json!({"use_sliding_window": false, "norm_topk_prob": true}),
            _ => json!({}),
        };
        let base = copy(name, &known);
        let open = |folder: &Path| load(folder, &device()).unwrap();
        let (ours, theirs) = (open(made.path()), open(base.path()));
        assert_eq!(ours.config(), theirs.config(), "{name}");
        let rows = [tokens(24, 1).into_iter().map(|token| token % 60).collect()];
        let (ours, theirs) = (logprobs(&ours, &rows), logprobs(&theirs, &rows));
        let diff = max_abs_diff(&ours[0], &theirs[0]);
        assert!(diff <= 1e-5, "{name}: log-probabilities differ by {diff}");
    }
}

#[test]
fn a_row_does_not_depend_on_the_length_of_its_neighbours() {
    // 16 positions, beyond which frequencies follow the length of the sequence.
    let model = load(&golden("model/llama-rope-dynamic"), &device().autodiff()).unwrap().valid();
    assert_eq!(model.config().context(), 16);
    let rows = [tokens(12, 0), tokens(24, 1), tokens(20, 2), tokens(3, 3)];
    let together = logprobs(&model, &rows);
    for (row, together) in rows.iter().zip(&together) {
        let alone = logprobs(&model, std::slice::from_ref(row)).remove(0);
        let diff = max_abs_diff(&alone, together);
        assert!(diff <= 1e-5, "a row of {} tokens differs by {diff} in company", row.len());
    }
    let batch = TokenBatch::new(&rows);
    let mut cache = KvCache::new(model.config(), rows.len());
    let cached = values(model.logits(model.extend(&batch, &mut cache)));
    let host = HostModel::of(&model);
    let mut caches: Vec<HostCache> = rows.iter().map(|_| HostCache::default()).collect();
    let mut feeds: Vec<_> = rows.iter().map(Vec::as_slice).zip(&mut caches).collect();
    let on_host = host.extend(&mut feeds);
    for (row, (cached, on_host)) in rows.iter().zip(cached.chunks(model.config().vocab_size).zip(&on_host)) {
        let starts = TokenBatch::new(&[row]);
        let mut alone = KvCache::new(model.config(), 1);
        let alone = values(model.logits(model.extend(&starts, &mut alone)));
        assert!(max_abs_diff(&alone, cached) <= 1e-4, "a cached row of {} tokens", row.len());
        assert!(max_abs_diff(&alone, on_host) <= 1e-4, "a row of {} tokens on the host", row.len());
    }
}

#[test]
fn a_text_model_beside_images_is_loaded_and_saved_alone() {
    for (name, family, left) in [
        ("nested-gemma3", "gemma3_text", ["multi_modal_projector (2 tensors)", "vision_tower (32 tensors)"]),
        ("nested-mistral3", "ministral3", ["multi_modal_projector (4 tensors)", "vision_tower (11 tensors)"]),
        ("nested-qwen3_5", "qwen3_5_text", ["mtp (2 tensors)", "visual (21 tensors)"]),
    ] {
        let folder = golden(&format!("model/{name}"));
        assert_eq!(left_out(&folder).unwrap(), left, "{name}");
        let bytes = std::fs::read(folder.join("expected.safetensors")).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let numbers = |name: &str| file.tensor(name).unwrap().data().to_vec();
        let ids: Vec<u32> = numbers("ids").chunks(8).map(|b| u32::from(b[0])).collect();
        let logits: Vec<f32> =
            numbers("logits").chunks(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        let batch = TokenBatch::new(&ids.chunks(ids.len() / 2).collect::<Vec<_>>());
        let of = |model: &Transformer| values(model.logits(model.hidden(&batch)));
        let model = load(&folder, &device()).unwrap();
        let diff = max_abs_diff(&of(&model), &logits);
        assert!(diff <= 1e-4, "{name}: logits differ by {diff}");
        let out = tempfile::tempdir().unwrap();
        save(&model, family_of(&folder).unwrap(), Some(&folder), out.path()).unwrap();
        let config = json_of(out.path());
        assert_eq!(config["model_type"], family);
        assert!(config.get("vision_config").is_none() && config.get("text_config").is_none());
        assert_eq!(left_out(out.path()).unwrap(), [""; 0]);
        assert_eq!(of(&load(out.path(), &device()).unwrap()), of(&model), "{name}");
    }
}

/// Python writes such numbers bare, transformers 5 in objects. A key that the network needs must be a number.
#[test]
fn a_config_may_hold_infinity_where_no_number_is_needed() {
    let folder = copy("llama-tied", &json!({"time_step_limit": [0.0, "HERE"]}));
    let path = folder.path().join("config.json");
    let text = std::fs::read_to_string(&path).unwrap().replace("\"HERE\"", "Infinity");
    std::fs::write(&path, &text).unwrap();
    let model = load(folder.path(), &device()).unwrap();
    let out = tempfile::tempdir().unwrap();
    save(&model, family_of(folder.path()).unwrap(), Some(folder.path()), out.path()).unwrap();
    assert_eq!(json_of(out.path())["time_step_limit"], json!([0.0, {"__float__": "Infinity"}]));
    let eps = json_of(out.path())["rms_norm_eps"].to_string();
    std::fs::write(&path, text.replace(&format!("\"rms_norm_eps\":{eps}"), "\"rms_norm_eps\":NaN")).unwrap();
    let error = load(folder.path(), &device()).unwrap_err().to_string();
    assert!(error.contains("rms_norm_eps") && error.contains("NaN"), "{error}");
}

/// `AutoModel` of `transformers` saves the layers alone, whose names have no prefix.
#[test]
fn a_model_that_was_saved_without_its_head_is_the_same_model() {
    let reference = golden("model/llama-tied");
    let folder = copy("llama-tied", &json!({"architectures": ["LlamaModel"]}));
    let path = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let tensors = tensors.iter().map(|(name, tensor)| (name.strip_prefix("model.").unwrap_or(name), tensor));
    safetensors::serialize_to_file(tensors, None, &path).unwrap();
    let [bare, whole] = [folder.path(), &reference].map(|folder| load(folder, &device()).unwrap());
    let rows = [tokens(30, 1)];
    assert_eq!(logprobs(&bare, &rows), logprobs(&whole, &rows));
    let out = tempfile::tempdir().unwrap();
    save(&bare, family_of(folder.path()).unwrap(), Some(folder.path()), out.path()).unwrap();
    assert_eq!(json_of(out.path())["architectures"], json!(["LlamaForCausalLM"]));
    assert_eq!(logprobs(&load(out.path(), &device()).unwrap(), &rows), logprobs(&whole, &rows));
}

#[test]
fn mistral_has_its_window_where_the_file_does_not_name_one() {
    let folder = |keys: Value| {
        let folder = copy("mistral", &keys);
        let mut config = json_of(folder.path());
        if keys.get("sliding_window").is_none() {
            config.as_object_mut().unwrap().remove("sliding_window");
        }
        std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        load(folder.path(), &device()).unwrap().config().layers[0].attention().unwrap().window
    };
    assert_eq!(folder(json!({})), Some(4096));
    assert_eq!(folder(json!({"sliding_window": null})), None);
    assert_eq!(folder(json!({"sliding_window": 9})), Some(9));
}

#[test]
fn a_tokenizer_with_ids_beyond_the_embedding_is_refused_where_a_model_is_loaded() {
    let folder = copy("llama", &json!({}));
    let write = |id: u64| {
        let added = json!([{"id": id, "content": "<|im_start|>", "special": true}]);
        let tokenizer =
            json!({"added_tokens": added, "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}});
        std::fs::write(folder.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
    };
    write(63);
    assert!(load(folder.path(), &device()).is_ok());
    write(64);
    let error = load(folder.path(), &device()).expect_err("a refusal").to_string();
    let said =
        "tokenizer.json: token 64 (\"<|im_start|>\") is not in the model's vocabulary: ids are below 64";
    assert!(error.contains(said) && error.lines().count() == 2, "{error}");
}
