//! Gradients in stages are the gradients of one graph, for full fine-tuning and for an adapter; bf16 stays
//! near f32.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, FloatDType, Tensor, TensorData};
use turnwise_model::{
    LogprobQuery, LoraConfig, TokenBatch, TokenLogprobs, Transformer, gradients, load, token_logprobs,
};
use turnwise_tests::{device, golden, max_abs_diff, values};

/// Rows of different lengths, with tokens in between that are not asked about.
fn batch() -> (TokenBatch, Vec<bool>) {
    let rows: [&[u32]; 3] = [&[3, 9, 4, 17, 25, 6, 8, 40], &[11, 5, 5], &[60, 2, 33, 7, 12]];
    let batch = TokenBatch::new(&rows);
    let wanted = (0..batch.tokens.len()).map(|cell| cell % 4 != 2).collect();
    (batch, wanted)
}

/// A loss that is linear in neither column.
fn loss(answer: TokenLogprobs) -> (Tensor<1>, f32) {
    let weights: Vec<f32> = (0..24).map(|cell| 0.1 * (cell as f32 - 11.0)).collect();
    let weights = Tensor::<2>::from_data(TensorData::new(weights, [3, 8]), &answer.logprobs.device());
    let clipped = answer.logprobs.clone().exp() * weights;
    let entropies = answer.entropies.expect("asked for");
    let value = (clipped + entropies.square().mul_scalar(0.05)).sum();
    (value.clone(), value.inner().into_scalar())
}

struct Compare<'a> {
    ours: &'a GradientsParams,
    theirs: &'a GradientsParams,
    tolerance: f32,
    compared: usize,
}

impl ModuleVisitor for Compare<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.val().is_require_grad() {
            return;
        }
        let of = |all: &GradientsParams| {
            values(all.get::<D>(param.id).expect("a trained parameter has a gradient"))
        };
        let (ours, theirs) = (of(self.ours), of(self.theirs));
        let scale = theirs.iter().fold(1e-6_f32, |m, g| m.max(g.abs()));
        let relative = max_abs_diff(&ours, &theirs) / scale;
        assert!(
            relative <= self.tolerance,
            "gradient {} differs by {relative} of its largest entry",
            self.compared
        );
        self.compared += 1;
    }
}

fn compare(model: &Transformer, ours: &GradientsParams, theirs: &GradientsParams, tolerance: f32) {
    let mut compare = Compare { ours, theirs, tolerance, compared: 0 };
    model.visit(&mut compare);
    assert!(compare.compared > 4 && ours.len() == compare.compared && theirs.len() == compare.compared);
}

fn models() -> Vec<(&'static str, Transformer)> {
    let of = |family: &str| load(&golden(&format!("model/{family}")), &device().autodiff()).unwrap();
    // An adapter whose B is zero has no gradient in A: give it something to do.
    let adapted = turnwise_model::load_adapter(of("qwen2"), &golden("model/lora")).unwrap();
    vec![
        ("untied", of("llama")),
        ("tied", of("llama-tied")),
        ("qwen3", of("qwen3")),
        ("window", of("mistral")),
        ("windows of some layers", of("qwen2-window")),
        ("norms of outputs", of("olmo2")),
        ("convolutions", of("lfm2")),
        ("linear attention", of("qwen3_5")),
        ("experts", of("qwen3_moe")),
        ("clipped", of("olmoe-clip")),
        ("adapter", adapted),
        ("frozen embedding", of("llama").frozen(&["model.embed_tokens.*".into()]).unwrap()),
    ]
}

#[test]
fn staged_gradients_are_those_of_one_graph() {
    let (batch, wanted) = batch();
    let question = LogprobQuery { batch: &batch, wanted: &wanted, temperature: 0.8, with_entropy: true };
    for (name, model) in models() {
        let (value, whole) = loss(token_logprobs(&model, &batch, &wanted, 0.8, true));
        let one_graph = GradientsParams::from_grads(value.backward(), &model);
        for kept in [usize::MAX, 1, 0] {
            let (staged, value) = gradients(&model, &question, kept, loss);
            assert!((value - whole).abs() <= 1e-5 * whole.abs(), "{name}: loss {value} and {whole}");
            compare(&model, &staged, &one_graph, 1e-4);
        }
    }
}

#[test]
fn nothing_wanted_is_no_gradient() {
    let (batch, _) = batch();
    let wanted = vec![false; batch.tokens.len()];
    let question = LogprobQuery { batch: &batch, wanted: &wanted, temperature: 1.0, with_entropy: true };
    let model = load(&golden("model/llama"), &device().autodiff()).unwrap();
    for kept in [usize::MAX, 1, 0] {
        let (staged, _) = gradients(&model, &question, kept, loss);
        assert_eq!(staged.len(), 0);
    }
}

#[test]
fn the_head_alone_can_be_trained() {
    let (batch, wanted) = batch();
    let question = LogprobQuery { batch: &batch, wanted: &wanted, temperature: 1.0, with_entropy: true };
    let model =
        load(&golden("model/llama"), &device().autodiff()).unwrap().frozen(&["model.*".into()]).unwrap();
    let (value, _) = loss(token_logprobs(&model, &batch, &wanted, 1.0, true));
    let one_graph = GradientsParams::from_grads(value.backward(), &model);
    for kept in [usize::MAX, 1, 0] {
        let (staged, _) = gradients(&model, &question, kept, loss);
        assert_eq!((staged.len(), one_graph.len()), (1, 1), "{kept} blocks");
    }
}

#[test]
fn half_precision_stays_near_f32() {
    let device = device();
    let (batch, wanted) = batch();
    let model = load(&golden("model/llama"), &device.clone().autodiff()).unwrap();
    let question = LogprobQuery { batch: &batch, wanted: &wanted, temperature: 1.0, with_entropy: true };
    let exact = values(token_logprobs(&model.valid(), &batch, &wanted, 1.0, false).logprobs);
    let (by_f32, _) = gradients(&model, &question, usize::MAX, loss);
    // This model is random and sharp: `transformers` itself is off by 0.102 in bf16 and by 0.011 in f16.
    for (dtype, float, near) in [(DType::BF16, FloatDType::BF16, 0.2), (DType::F16, FloatDType::F16, 0.02)] {
        if !device.supports_dtype(float) {
            continue;
        }
        let mixed = model.clone().computing_in(dtype);
        for half in [mixed.valid(), mixed.for_sampling()] {
            let answer = token_logprobs(&half, &batch, &wanted, 1.0, true);
            assert_eq!(answer.logprobs.dtype(), DType::F32, "log-probabilities are f32");
            let diff = max_abs_diff(&values(answer.logprobs), &exact);
            assert!(diff > 0.0 && diff <= near, "{dtype:?}: log-probabilities differ by {diff}");
        }
        for kept in [usize::MAX, 1, 0] {
            let (by_half, _) = gradients(&mixed, &question, kept, loss);
            compare(&mixed, &by_half, &by_f32, near);
        }
    }
}

#[test]
fn an_adapter_trains_in_stages_too() {
    let (batch, wanted) = batch();
    let question = LogprobQuery { batch: &batch, wanted: &wanted, temperature: 1.0, with_entropy: true };
    let model = load(&golden("model/llama"), &device().autodiff())
        .unwrap()
        .with_adapter(&LoraConfig { rank: 2, ..LoraConfig::default() }, 3);
    let (staged, _) = gradients(&model, &question, 0, loss);
    assert_eq!(
        staged.len(),
        2 * 7 * 2,
        "two matrices for each of seven layers in two blocks, and nothing of the base"
    );
}
