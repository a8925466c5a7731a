//! The transformer against `transformers`: logits, log-probabilities, gradients and greedy text of every
//! family.

#[path = "model/backward.rs"]
mod backward;
#[path = "model/experts.rs"]
mod experts;
#[path = "model/folder.rs"]
mod folder;
#[path = "model/gpu.rs"]
mod gpu;
#[path = "model/head.rs"]
mod head;
#[path = "model/lora.rs"]
mod lora;
#[path = "model/precision.rs"]
mod precision;
#[path = "model/real_models.rs"]
mod real_models;
#[path = "model/states.rs"]
mod states;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor};
use safetensors::{Dtype, SafeTensors};
use turnwise_model::{
    HostModel, TokenBatch, Transformer, family_of, load, load_config, parameter_names, save, token_logprobs,
};
use turnwise_sampler::{GenerationRequest, Generator, Sampling, SequenceId, StopRule};
use turnwise_tests::{device, golden, max_abs_diff, values};

const FAMILIES: &[&str] = &[
    "llama",
    "llama-bias",
    "llama-tied",
    "llama-rope-linear",
    "llama-rope-dynamic",
    "llama-rope-llama3",
    "llama-rope-yarn",
    "qwen2",
    "qwen2-window",
    "qwen3",
    "mistral",
    "olmo2",
    "olmo3",
    "gemma2",
    "gemma3",
    "smollm3",
    "granite",
    "granite4",
    "phi3",
    "phi3-long",
    "exaone4",
    "glm4",
    "ernie4_5",
    "ministral3",
    "hunyuan",
    "lfm2",
    "lfm2-bias",
    "qwen3_5",
    "qwen3_5-bias",
    "qwen3_moe",
    "qwen3_moe-window",
    "olmoe",
    "olmoe-clip",
];

/// Results of `transformers` for one folder.
struct Expected {
    floats: BTreeMap<String, Vec<f32>>,
    tokens: BTreeMap<String, Vec<u32>>,
    rows: usize,
}

impl Expected {
    fn read(folder: &Path) -> Self {
        let bytes = std::fs::read(folder.join("expected.safetensors")).expect("golden file");
        let file = SafeTensors::deserialize(&bytes).expect("a safetensors file");
        let (mut floats, mut tokens) = (BTreeMap::new(), BTreeMap::new());
        for (name, view) in file.tensors() {
            let data = view.data();
            if view.dtype() == Dtype::F32 {
                let v = data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
                floats.insert(name, v);
            } else {
                assert_eq!(view.dtype(), Dtype::I64, "{name}");
                let v =
                    data.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as u32).collect();
                tokens.insert(name, v);
            }
        }
        let rows = file.tensor("ids").unwrap().shape()[0];
        Self { floats, tokens, rows }
    }

    fn batch(&self) -> TokenBatch {
        let ids = &self.tokens["ids"];
        TokenBatch::new(&ids.chunks(ids.len() / self.rows).collect::<Vec<_>>())
    }
}

/// Names the golden folders, and those in the folder `TURNWISE_HELD_OUT` (tests/golden/model/held_out.py).
fn folders() -> Vec<(String, PathBuf)> {
    let named = |family: &str| (family.to_string(), golden(&format!("model/{family}")));
    let mut all: Vec<_> = FAMILIES.iter().copied().map(named).collect();
    if let Some(more) = std::env::var_os("TURNWISE_HELD_OUT") {
        let entries = std::fs::read_dir(more).expect("a folder of folders");
        let folders = entries.map(|entry| entry.expect("an entry").path());
        let whole = folders.filter(|folder| folder.join("expected.safetensors").exists());
        all.extend(whole.map(|folder| (folder.display().to_string(), folder)));
    }
    all
}

fn check_each(check: impl Fn(&str, Transformer, &Expected)) {
    for (family, folder) in folders() {
        let model = load(&folder, &device().autodiff()).expect("a golden model");
        check(&family, model, &Expected::read(&folder));
    }
}

#[test]
fn logits_and_logprobs_equal_those_of_transformers() {
    check_each(|family, model, expected| {
        let model = model.valid();
        let batch = expected.batch();
        let logits = values(model.logits(model.hidden(&batch)));
        let diff = max_abs_diff(&logits, &expected.floats["logits"]);
        assert!(diff <= 1e-4, "{family}: logits differ by {diff}");
        let wanted = vec![true; batch.tokens.len()];
        let logprobs = values(token_logprobs(&model, &batch, &wanted, 1.0, false).logprobs);
        let diff = max_abs_diff(&logprobs, &expected.floats["logprobs"]);
        assert!(diff <= 1e-4, "{family}: log-probabilities differ by {diff}");
    });
}

/// Compares every parameter's gradient, relative to the largest entry of the expected one.
struct CompareGradients<'a> {
    /// Names of the parameters that are still to come.
    names: std::vec::IntoIter<String>,
    gradients: &'a Gradients,
    expected: &'a BTreeMap<String, Vec<f32>>,
}

impl ModuleVisitor for CompareGradients<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.names.next().expect("a name for each parameter");
        let expected = &self.expected[&format!("grad.{name}")];
        let got = values(param.val().grad(self.gradients).expect("every parameter gets a gradient"));
        let scale = expected.iter().fold(0.0_f32, |m, g| m.max(g.abs()));
        let diff = max_abs_diff(&got, expected);
        // A key's bias without positions has none but for rounding.
        let is_zero = scale.max(diff) < 1e-6;
        assert!(is_zero || diff <= 1e-3 * scale, "{name} differs by {diff}, its largest entry is {scale}");
    }
}

#[test]
fn gradients_equal_those_of_transformers() {
    check_each(|family, model, expected| {
        let batch = expected.batch();
        let wanted = vec![true; batch.tokens.len()];
        let count = (batch.tokens.len() - batch.rows()) as f64;
        let nll = token_logprobs(&model, &batch, &wanted, 1.0, false).logprobs.sum().div_scalar(-count);
        let gradients = nll.backward();
        let floats = &expected.floats;
        let names = parameter_names(&model);
        let listed = floats.keys().filter(|name| name.starts_with("grad.")).count();
        assert_eq!(names.len(), listed, "{family}: every golden gradient is compared");
        model.visit(&mut CompareGradients {
            names: names.into_iter(),
            gradients: &gradients,
            expected: floats,
        });
    });
}

#[test]
fn both_spellings_of_rope_settings_mean_the_same() {
    for (family, folder) in folders() {
        let text = std::fs::read_to_string(folder.join("config_v4.json")).expect("the older spelling");
        let json: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
        let older = family_of(&folder).unwrap().read(&json).unwrap();
        assert_eq!(older, load_config(&folder).unwrap(), "{family}");
    }
}

#[test]
fn a_saved_model_is_the_loaded_one() {
    for (family, folder) in folders() {
        let (model, saved) = (load(&folder, &device()).unwrap(), tempfile::tempdir().unwrap());
        save(&model, family_of(&folder).unwrap(), Some(&folder), saved.path()).unwrap();
        assert_eq!(load_config(saved.path()).unwrap(), load_config(&folder).unwrap(), "{family}");
        let tensors = |folder: &Path| {
            let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
            let file = SafeTensors::deserialize(&bytes).unwrap();
            let tensor = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
                (name, (view.shape().to_vec(), view.data().to_vec()))
            };
            file.tensors().into_iter().map(tensor).collect::<BTreeMap<_, _>>()
        };
        assert!(tensors(saved.path()) == tensors(&folder), "{family}");
    }
}

#[test]
fn greedy_tokens_equal_those_of_transformers() {
    check_each(|family, model, expected| {
        let model = model.valid();
        let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
        let on_host = Arc::new(HostModel::of(&model));
        let engines = [Generator::new(model.clone(), greedy), Generator::on_host(on_host, greedy)];
        let id = SequenceId { seed: 0, step: 0, task: 0, occurrence: 0, sample: 0, turn: 0 };
        let prompt = &expected.tokens["prompt"];
        // The sampler stays within the context; that of the model with dynamic RoPE is short.
        let max_new = 64.min(model.config().context() - prompt.len());
        for mut generator in engines {
            let request = GenerationRequest { key: 0, tokens: prompt, max_new, rng: id.rng() };
            let stop = StopRule { tokens: &[], strings: &[], decode: None };
            let turn = generator.complete(&[request], &stop).unwrap().remove(0);
            assert_eq!(turn.tokens, expected.tokens["greedy"][..max_new], "{family}");
        }
    });
}
