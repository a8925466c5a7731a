//! The transformer against `transformers`: logits, log-probabilities, gradients and greedy text of every
//! family.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor};
use safetensors::{Dtype, SafeTensors};
use turnwise_model::{HostModel, TokenBatch, Transformer, family_of, load, load_config, token_logprobs};
use turnwise_sampler::{Generator, Request, Sampling, SequenceId, StopRule};
use turnwise_tests::{device, golden, max_abs_diff, values};

const FAMILIES: [&str; 10] = [
    "llama",
    "llama-bias",
    "llama-tied",
    "llama-rope-linear",
    "llama-rope-dynamic",
    "llama-rope-llama3",
    "llama-rope-yarn",
    "qwen2",
    "qwen3",
    "mistral",
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

fn check_each(check: impl Fn(&str, Transformer, &Expected)) {
    for family in FAMILIES {
        let folder = golden(&format!("model/{family}"));
        let model = load(&folder, &device().autodiff()).expect("a golden model");
        check(family, model, &Expected::read(&folder));
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
    path: Vec<String>,
    gradients: &'a Gradients,
    expected: &'a BTreeMap<String, Vec<f32>>,
    compared: usize,
}

impl ModuleVisitor for CompareGradients<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path.join(".");
        let name =
            if path.starts_with("lm_head") { format!("grad.{path}") } else { format!("grad.model.{path}") };
        let expected = &self.expected[&name];
        let got = values(param.val().grad(self.gradients).expect("every parameter gets a gradient"));
        let scale = expected.iter().fold(0.0_f32, |m, g| m.max(g.abs()));
        let relative = max_abs_diff(&got, expected) / scale;
        assert!(relative <= 1e-3, "{name} differs by {relative} of its largest entry");
        self.compared += 1;
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
        let mut compare =
            CompareGradients { path: Vec::new(), gradients: &gradients, expected: floats, compared: 0 };
        model.visit(&mut compare);
        let listed = floats.keys().filter(|name| name.starts_with("grad.")).count();
        assert_eq!(compare.compared, listed, "{family}: every golden gradient is compared");
    });
}

#[test]
fn both_spellings_of_rope_settings_mean_the_same() {
    for family in FAMILIES {
        let folder = golden(&format!("model/{family}"));
        let text = std::fs::read_to_string(folder.join("config_v4.json")).expect("the older spelling");
        let json: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
        let older = family_of(&folder).unwrap().read(&json).unwrap();
        assert_eq!(older, load_config(&folder).unwrap(), "{family}");
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
            let request = Request { key: 0, tokens: prompt, max_new, rng: id.rng() };
            let stop = StopRule { tokens: &[], strings: &[], decode: None };
            let turn = generator.complete(&[request], &stop).unwrap().remove(0);
            assert_eq!(turn.tokens, expected.tokens["greedy"][..max_new], "{family}");
        }
    });
}
