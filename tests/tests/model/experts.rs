//! Mixtures of experts: the choice depends on a token's scores alone, and experts without tokens train too.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, serialize};
use turnwise_model::{
    HostCache, HostModel, LogprobQuery, TokenBatch, TokenLogprobs, Transformer, add_gradients, gradients,
    load, parameter_names,
};
use turnwise_tests::{device, golden, max_abs_diff, values};

/// Name, shape and numbers of a tensor.
type Stored = (String, Vec<usize>, Vec<f32>);

fn tensors(family: &str) -> Vec<Stored> {
    let bytes = std::fs::read(golden(&format!("model/{family}/model.safetensors"))).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let names = file.tensors().into_iter().map(|(name, view)| (name, view.shape().to_vec()));
    names.map(|(name, shape)| (name.clone(), shape, floats(&file, &name))).collect()
}

fn floats(file: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let data = file.tensor(name).unwrap_or_else(|_| panic!("{name} is there")).data().to_vec();
    data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

/// Loads a golden model with other tensors.
fn model_of(family: &str, tensors: &[Stored]) -> Transformer {
    let folder = tempfile::tempdir().unwrap();
    let config = golden(&format!("model/{family}/config.json"));
    std::fs::copy(config, folder.path().join("config.json")).unwrap();
    let bytes = |numbers: &[f32]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    let data: Vec<Vec<u8>> = tensors.iter().map(|(_, _, numbers)| bytes(numbers)).collect();
    let views = tensors.iter().zip(&data).map(|((name, shape, _), data)| {
        (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), data).unwrap())
    });
    std::fs::write(folder.path().join("model.safetensors"), serialize(views, None).unwrap()).unwrap();
    load(folder.path(), &device().autodiff()).unwrap()
}

/// Loads a golden model after changes of its tensors.
fn changed(family: &str, change: impl Fn(&str, &mut [f32])) -> Transformer {
    let mut tensors = tensors(family);
    for (name, _, numbers) in &mut tensors {
        change(name, numbers);
    }
    model_of(family, &tensors)
}

#[test]
fn stacks_of_experts_are_their_matrices() {
    let separate = tensors("qwen3_moe");
    let mut stacked: Vec<Stored> =
        separate.iter().filter(|(name, ..)| expert(name).is_none()).cloned().collect();
    let find = |name: &str| &separate.iter().find(|(known, ..)| known == name).unwrap().2;
    // Layers 1 and 3 have six experts of width 12 in a model of width 32.
    for at in [1, 3].map(|layer| format!("model.layers.{layer}.mlp.experts")) {
        let numbers = |parts: &[&str]| -> Vec<f32> {
            let of_expert = |expert: usize| parts.iter().map(move |part| (expert, *part));
            let names =
                (0..6).flat_map(of_expert).map(|(expert, part)| format!("{at}.{expert}.{part}.weight"));
            names.flat_map(|name| find(&name).clone()).collect()
        };
        let both = numbers(&["gate_proj", "up_proj"]);
        stacked.push((format!("{at}.gate_up_proj"), vec![6, 24, 32], both));
        stacked.push((format!("{at}.down_proj"), vec![6, 32, 12], numbers(&["down_proj"])));
    }
    assert_eq!(logits(&model_of("qwen3_moe", &stacked)), logits(&model_of("qwen3_moe", &separate)));
}

/// The expert that a tensor belongs to.
fn expert(name: &str) -> Option<usize> {
    name.split_once(".experts.")?.1.split('.').next()?.parse().ok()
}

const ROW: [u32; 9] = [5, 40, 7, 7, 23, 58, 3, 11, 30];

/// Logits of the row's tokens on the device, and of its last token on the host.
fn logits(model: &Transformer) -> [Vec<f32>; 2] {
    let plain = model.valid();
    let on_device = values(plain.logits(plain.hidden(&TokenBatch::new(&[ROW]))));
    let on_host = HostModel::of(&plain).extend(&mut [(&ROW, &mut HostCache::default())]).remove(0);
    [on_device, on_host]
}

#[test]
fn of_equal_scores_the_first_experts_are_chosen() {
    // OLMoE with eight experts, of which a token has two.
    let tie = |name: &str, values: &mut [f32]| {
        if name.ends_with("mlp.gate.weight") {
            values.fill(0.0);
        }
    };
    let tied = logits(&changed("olmoe", tie));
    let without = |dropped: fn(usize) -> bool| {
        logits(&changed("olmoe", |name, values| {
            tie(name, values);
            if expert(name).is_some_and(dropped) {
                values.fill(0.0);
            }
        }))
    };
    assert_eq!(without(|expert| expert >= 2), tied, "experts behind the second have no effect");
    for others in [without(|expert| expert == 0), without(|expert| expert == 1)] {
        assert!(others.iter().zip(&tied).all(|(other, tied)| other != tied), "the first two have one");
    }
}

/// Asserts that every parameter has a gradient; counts those that are zero.
struct Zeros<'a> {
    names: std::vec::IntoIter<String>,
    gradients: &'a GradientsParams,
    zero: Vec<String>,
}

impl ModuleVisitor for Zeros<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.names.next().expect("a name for each parameter");
        let gradient = self.gradients.get::<D>(param.id).unwrap_or_else(|| panic!("{name} has no gradient"));
        let gradient = values(gradient);
        assert!(gradient.iter().all(|entry| entry.is_finite()), "{name}");
        if gradient.iter().all(|entry| *entry == 0.0) {
            self.zero.push(name);
        }
    }
}

#[test]
fn an_expert_without_tokens_has_a_gradient_of_zero() {
    let model = load(&golden("model/olmoe"), &device().autodiff()).unwrap();
    let batch = TokenBatch::new(&[&ROW[..3]]);
    let query = LogprobQuery { batch: &batch, wanted: &[true; 3], temperature: 1.0, with_entropy: false };
    for kept in [usize::MAX, 1, 0] {
        let (gradients, ()) = gradients(&model, &query, kept, |answer| (answer.logprobs.sum(), ()));
        let names = parameter_names(&model).into_iter();
        let mut zeros = Zeros { names, gradients: &gradients, zero: Vec::new() };
        model.visit(&mut zeros);
        // The last token predicts nothing, and the others have four of eight experts in a layer at most.
        assert!(zeros.zero.len() >= 3 * (4 + 4), "{:?}", zeros.zero);
        assert!(zeros.zero.iter().all(|name| expert(name).is_some()), "{:?}", zeros.zero);
    }
}

#[test]
fn experts_follow_the_names_of_the_file() {
    let model = load(&golden("model/qwen3_moe"), &device().autodiff()).unwrap();
    let names = parameter_names(&model);
    for (name, has) in [
        ("model.layers.0.mlp.gate_proj.weight", true),
        ("model.layers.1.mlp.gate_proj.weight", false),
        ("model.layers.1.mlp.gate.weight", true),
        ("model.layers.1.mlp.experts.5.down_proj.weight", true),
        ("model.layers.1.mlp.experts.6.down_proj.weight", false),
    ] {
        assert_eq!(names.iter().any(|known| known == name), has, "{name}");
    }
    let frozen = model.frozen(&["*.mlp.gate.weight".into()]);
    assert!(frozen.is_ok(), "routers can be frozen by their name");
}

/// Compares every gradient with the golden one of its name.
struct Compare<'a> {
    names: std::vec::IntoIter<String>,
    gradients: &'a GradientsParams,
    expected: &'a SafeTensors<'a>,
}

impl ModuleVisitor for Compare<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.names.next().expect("a name for each parameter");
        let expected = floats(self.expected, &format!("balance.grad.{name}"));
        let ours = self.gradients.get::<D>(param.id).map_or(vec![0.0; expected.len()], values);
        let scale = expected.iter().fold(0.0_f32, |most, grad| most.max(grad.abs()));
        let diff = max_abs_diff(&ours, &expected);
        assert!(diff <= 1e-3 * scale + 1e-9, "{name} differs by {diff}, its largest entry is {scale}");
    }
}

#[test]
fn the_load_balancing_loss_of_each_row_is_that_of_transformers() {
    for family in ["qwen3_moe", "qwen3_moe-window"] {
        let folder = golden(&format!("model/{family}"));
        let model = load(&folder, &device().autodiff()).unwrap();
        let bytes = std::fs::read(folder.join("expected.safetensors")).unwrap();
        let expected = SafeTensors::deserialize(&bytes).unwrap();
        let ids = expected.tensor("ids").unwrap();
        let ids = ids.data().chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as u32);
        let ids: Vec<u32> = ids.collect();
        let rows: Vec<&[u32]> = ids.chunks(ids.len() / 2).collect();
        let batch = TokenBatch::new(&rows);
        let wanted = vec![true; batch.tokens.len()];
        let query = LogprobQuery { batch: &batch, wanted: &wanted, temperature: 1.0, with_entropy: false };
        for kept in [usize::MAX, 1, 0] {
            let nothing = |answer: TokenLogprobs| (answer.logprobs.sum().mul_scalar(0.0), answer.balance);
            let (gradients, found) = gradients(&model.clone().balancing(1.0), &query, kept, nothing);
            let (found, sum) = (found.expect("a loss"), floats(&expected, "balance").iter().sum::<f32>());
            assert!((found - f64::from(sum)).abs() < 1e-5, "{family}: {found}, not {sum}");
            let names = parameter_names(&model).into_iter();
            model.visit(&mut Compare { names, gradients: &gradients, expected: &expected });
        }
    }
}

#[test]
fn a_row_balances_experts_alone_beside_shorter_and_longer_ones() {
    let model = load(&golden("model/olmoe"), &device().autodiff()).unwrap().balancing(0.7);
    let loss = |answer: TokenLogprobs| (answer.logprobs.sum(), ());
    let rows = [&ROW[..], &ROW[2..5], &ROW[1..]];
    let of = |rows: &[&[u32]], total: &mut GradientsParams, kept: usize| {
        let batch = TokenBatch::new(rows);
        let wanted = vec![true; batch.tokens.len()];
        let query = LogprobQuery { batch: &batch, wanted: &wanted, temperature: 1.0, with_entropy: false };
        add_gradients(total, &model, &query, kept, loss);
    };
    for kept in [usize::MAX, 1, 0] {
        let (mut together, mut alone) = (GradientsParams::new(), GradientsParams::new());
        of(&rows, &mut together, kept);
        for row in rows {
            of(&[row], &mut alone, kept);
        }
        model.visit(&mut Same { ours: &together, theirs: &alone });
    }
}

struct Same<'a> {
    ours: &'a GradientsParams,
    theirs: &'a GradientsParams,
}

impl ModuleVisitor for Same<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let of = |all: &GradientsParams| values(all.get::<D>(param.id).expect("every parameter is trained"));
        let (ours, theirs) = (of(self.ours), of(self.theirs));
        let scale = theirs.iter().fold(1e-6_f32, |most, grad| most.max(grad.abs()));
        let diff = max_abs_diff(&ours, &theirs);
        assert!(diff <= 1e-4 * scale, "differs by {diff}, the largest entry is {scale}");
    }
}
