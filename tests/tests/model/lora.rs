//! LoRA against `peft`: an adapter that it wrote computes the same here, and one that we write is laid out as
//! its own.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::optim::GradientsParams;
use safetensors::SafeTensors;
use turnwise_model::{
    LoraConfig, TokenBatch, Transformer, adapter_config, load, load_adapter, save, save_adapter,
    token_logprobs,
};
use turnwise_tests::{device, golden, max_abs_diff, values};

type Tensors = BTreeMap<String, (Vec<usize>, Vec<u8>)>;

fn tensors(path: &std::path::Path) -> Tensors {
    let bytes = std::fs::read(path).expect("a file");
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    file.tensors().into_iter().map(|(name, v)| (name, (v.shape().to_vec(), v.data().to_vec()))).collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

/// Adapters of `peft` and their bases.
const ADAPTERS: [(&str, &str); 4] = [
    ("lora", "qwen2"),
    ("lora-lfm2", "lfm2"),
    ("lora-qwen3_5", "qwen3_5-bias"),
    ("lora-qwen3_moe", "qwen3_moe-window"),
];

fn adapted_of((adapter, base): (&str, &str)) -> Transformer {
    let base = load(&golden(&format!("model/{base}")), &device().autodiff()).expect("the golden base");
    load_adapter(base, &golden(&format!("model/{adapter}"))).expect("peft's adapter")
}

fn adapted() -> Transformer {
    adapted_of(ADAPTERS[0])
}

fn expected_of((adapter, _): (&str, &str)) -> Tensors {
    tensors(&golden(&format!("model/{adapter}/expected.safetensors")))
}

fn batch(expected: &Tensors) -> TokenBatch {
    let (shape, ids) = &expected["ids"];
    let ids: Vec<u32> =
        ids.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as u32).collect();
    TokenBatch::new(&ids.chunks(shape[1]).collect::<Vec<_>>())
}

#[test]
fn an_adapter_of_peft_computes_the_same_merged_or_not() {
    for case in ADAPTERS {
        let expected = expected_of(case);
        let (logits, batch) = (floats(&expected["logits"].1), batch(&expected));
        let adapted = adapted_of(case);
        for (name, model) in [("beside", adapted.clone()), ("merged", adapted.clone().merged())] {
            let model = model.valid();
            let ours = values(model.logits(model.hidden(&batch)));
            let diff = max_abs_diff(&ours, &logits);
            assert!(diff <= 1e-4, "{case:?}, {name}: logits differ by {diff}");
        }
        let base = adapted.without_adapter().valid();
        assert!(
            max_abs_diff(&values(base.logits(base.hidden(&batch))), &logits) > 0.1,
            "{case:?}: without its adapter the model is another"
        );
    }
}

#[test]
fn gradients_are_those_of_peft_and_the_base_gets_none() {
    for case in ADAPTERS {
        let (expected, model) = (expected_of(case), adapted_of(case));
        let batch = batch(&expected);
        let wanted = vec![true; batch.tokens.len()];
        let count = (batch.tokens.len() - batch.rows()) as f64;
        let nll = token_logprobs(&model, &batch, &wanted, 1.0, false).logprobs.sum().div_scalar(-count);
        let gradients = GradientsParams::from_grads(nll.backward(), &model);
        let golden: Vec<_> =
            expected.iter().filter_map(|(k, v)| Some((k.strip_prefix("grad.")?, v))).collect();
        assert_eq!(gradients.len(), golden.len(), "the adapter's matrices have gradients, and nothing else");
        for (name, (_, bytes)) in golden {
            let theirs = floats(bytes);
            let id = turnwise_model::parameter_id(name);
            let ours = values(gradients.get::<2>(id).unwrap_or_else(|| panic!("{name} has a gradient")));
            let scale = theirs.iter().fold(0.0_f32, |m, g| m.max(g.abs()));
            let diff = max_abs_diff(&ours, &theirs);
            assert!(diff <= 1e-3 * scale, "{name} differs by {diff}, its largest entry is {scale}");
        }
    }
}

#[test]
fn a_saved_adapter_holds_the_tensors_of_the_loaded_one() {
    for (adapter, base) in ADAPTERS {
        let folder = tempfile::tempdir().unwrap();
        let golden_adapter = golden(&format!("model/{adapter}"));
        let config = adapter_config(&golden_adapter).unwrap();
        assert_eq!((config.rank, config.alpha), (3, 6.0));
        save_adapter(&adapted_of((adapter, base)), &config, base, folder.path()).unwrap();
        assert_eq!(
            tensors(&folder.path().join("adapter_model.safetensors")),
            tensors(&golden_adapter.join("adapter_model.safetensors")),
            "{adapter}"
        );
        let base = load(&golden(&format!("model/{base}")), &device().autodiff()).unwrap();
        load_adapter(base, folder.path()).expect("what we save, we load");
    }
}

#[test]
fn a_fresh_adapter_changes_nothing_and_a_checkpoint_of_it_is_merged() {
    let expected = tensors(&golden("model/lora/expected.safetensors"));
    let batch = batch(&expected);
    let base = load(&golden("model/qwen2"), &device().autodiff()).unwrap();
    let logits = |model: &Transformer| values(model.logits(model.hidden(&batch)));
    let fresh = base.clone().with_adapter(&LoraConfig::default(), 7);
    assert_eq!(logits(&fresh.clone().valid()), logits(&base.valid()), "B is zero");
    let again = base.clone().with_adapter(&LoraConfig::default(), 8);
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (model, folder) in [(&fresh, &a), (&again, &b)] {
        save_adapter(model, &LoraConfig::default(), "base", folder.path()).unwrap();
    }
    let of = |folder: &tempfile::TempDir| tensors(&folder.path().join("adapter_model.safetensors"));
    assert_ne!(of(&a), of(&b), "A is drawn from the seed");

    let folder = tempfile::tempdir().unwrap();
    let like = golden("model/qwen2");
    save(&adapted(), turnwise_model::family_of(&like).unwrap(), Some(&like), folder.path()).unwrap();
    let saved = load(folder.path(), &device()).expect("a folder without any trace of an adapter");
    let diff = max_abs_diff(&values(saved.logits(saved.hidden(&batch))), &floats(&expected["logits"].1));
    assert!(diff <= 1e-4, "the checkpoint is the merged model, it differs by {diff}");
}

#[test]
fn layers_that_a_family_stores_as_one_get_one_adapter_under_the_name_of_peft() {
    let check = |family: &str, targets: &[&str], expect: &[&str]| {
        let base = load(&golden(&format!("model/{family}")), &device().autodiff()).unwrap();
        let config = LoraConfig {
            targets: targets.iter().map(ToString::to_string).collect(),
            ..LoraConfig { rank: 2, ..LoraConfig::default() }
        };
        let parameters = config.parameters(base.config());
        let folder = tempfile::tempdir().unwrap();
        save_adapter(&base.with_adapter(&config, 0), &config, "base", folder.path()).unwrap();
        let stored = tensors(&folder.path().join("adapter_model.safetensors"));
        let count: usize = stored.values().map(|(shape, _)| shape.iter().product::<usize>()).sum();
        assert_eq!(count, parameters, "{family}");
        let json = std::fs::read_to_string(folder.path().join("adapter_config.json")).unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["target_modules"], serde_json::json!(expect), "{family}");
        for target in expect {
            assert!(stored.keys().any(|name| name.contains(&format!(".{target}.lora_A"))), "{target}");
        }
    };
    check("phi3", &["k_proj", "down_proj"], &["down_proj", "qkv_proj"]);
    check("phi3", &["qkv_proj", "gate_up_proj"], &["qkv_proj", "gate_up_proj"]);
    check("glm4", &["up_proj", "q_proj"], &["q_proj", "gate_up_proj"]);
    check("llama", &["qkv_proj"], &["q_proj", "k_proj", "v_proj"]);
    // The default is every layer, whatever its name.
    let all = LoraConfig::default().targets;
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    check("olmoe", &all, &["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]);
    check("lfm2", &all, &["q_proj", "k_proj", "v_proj", "in_proj", "out_proj", "w1", "w3", "w2"]);
}

#[test]
fn frozen_parameters_stay_out_of_the_gradient() {
    let base = || load(&golden("model/qwen2"), &device().autodiff()).unwrap();
    let model = base().frozen(&["model.embed_tokens.*".into(), "*layernorm*".into()]).unwrap();
    let batch = TokenBatch::new(&[[3_u32, 4, 5, 6]]);
    let loss = token_logprobs(&model, &batch, &[true; 4], 1.0, false).logprobs.sum();
    let gradients = GradientsParams::from_grads(loss.backward(), &model);
    let has = |name: &str| {
        let id = turnwise_model::parameter_id(name);
        let vector = name.contains("norm") || name.ends_with("bias");
        if vector { gradients.get::<1>(id).is_some() } else { gradients.get::<2>(id).is_some() }
    };
    for name in turnwise_model::parameter_names(&model) {
        let frozen = name.contains("embed_tokens") || name.contains("layernorm");
        assert_eq!(has(&name), !frozen, "{name}");
    }
    // A training step keeps the marks of a model.
    let model = model.valid().train();
    let loss = token_logprobs(&model, &batch, &[true; 4], 1.0, false).logprobs.sum();
    assert_eq!(GradientsParams::from_grads(loss.backward(), &model).len(), gradients.len());
    let error = base().frozen(&["model.embed.*".into()]).unwrap_err();
    assert!(error.contains("\"model.embed.*\" names no parameter"), "{error}");
    assert!(base().frozen(&["*".into()]).unwrap_err().contains("nothing is left"));
}
