//! Mixture of experts (arXiv:1701.06538 eq. 1): `Σ w·expert(x)` over the few experts that a router chooses
//! for a token.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::activation::softmax;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use crate::block::{ExpertsConfig, MlpConfig};
use crate::cpu::fused::{FusedMixture, apply_host_op, supports_host_ops};
use crate::layers::linear::Linear;
use crate::layers::mlp::Mlp;
use crate::layers::pass::ForwardPass;

/// Holds the feed-forward layers of a block with experts.
#[derive(Module, Debug)]
pub(crate) struct Moe {
    /// The router.
    pub(crate) gate: Linear,
    pub(crate) experts: Vec<Mlp>,
}

impl Moe {
    /// Feeds every expert its tokens together. The router computes in f32, whatever type activations have.
    ///
    /// # Shapes
    /// - `x`: `[N, hidden]` → the same
    pub(crate) fn forward(
        &self,
        x: &Tensor<2>,
        (config, experts): (&MlpConfig, &ExpertsConfig),
        pass: &ForwardPass<'_>,
    ) -> Tensor<2> {
        let scores = self.gate.forward(x.clone().cast(DType::F32));
        let routes = Routes::new(&scores, experts);
        pass.record(&scores, &routes.chosen);
        let weights = routes.weights(scores, experts);
        let fed = self.experts.iter().zip(&routes.tokens).filter(|(_, tokens)| !tokens.is_empty());
        let outputs = fed.map(|(expert, tokens)| {
            expert.forward(x.clone().select(0, indices(tokens, &x.device())), config)
        });
        mixed(Tensor::cat(outputs.collect(), 0), weights, routes.places())
    }
}

/// Assigns tokens to experts.
struct Routes {
    /// Experts of each token, best first, `[N, k]`.
    chosen: Vec<i32>,
    /// Tokens of each expert, in their order.
    tokens: Vec<Vec<i32>>,
}

impl Routes {
    /// # Shapes
    /// - `scores`: `[N, E]`, f32
    fn new(scores: &Tensor<2>, config: &ExpertsConfig) -> Self {
        let values: Vec<f32> = scores.clone().into_data().try_into_vec().expect("the router computes in f32");
        let mut routes = Self { chosen: Vec::new(), tokens: vec![Vec::new(); config.count] };
        for (token, scores) in (0_i32..).zip(values.chunks_exact(config.count)) {
            for expert in config.choose(scores) {
                routes.chosen.push(expert as i32);
                routes.tokens[expert].push(token);
            }
        }
        if scores.device().is_autodiff() {
            // An expert without tokens gets one, and its output has no place: its gradient is then zero and
            // not missing.
            routes.tokens.iter_mut().filter(|tokens| tokens.is_empty()).for_each(|tokens| tokens.push(0));
        }
        routes
    }

    /// Returns the weights of each token's experts.
    ///
    /// # Shapes
    /// - `scores`: `[N, E]` → `[N, k]`
    fn weights(&self, scores: Tensor<2>, config: &ExpertsConfig) -> Tensor<2> {
        let [tokens, _] = scores.dims();
        let chosen = indices(&self.chosen, &scores.device()).reshape([tokens, config.chosen]);
        if config.normalised {
            softmax(scores.gather(1, chosen), 1)
        } else {
            softmax(scores, 1).gather(1, chosen)
        }
    }

    /// Returns the row of each entry of `chosen` among the outputs of all experts in turn.
    fn places(&self) -> Vec<usize> {
        let starts = self.tokens.iter().scan(0, |end, tokens| {
            let start = *end;
            *end += tokens.len();
            Some(start)
        });
        let mut next: Vec<usize> = starts.collect();
        let place = |expert: &i32| {
            let next = &mut next[*expert as usize];
            *next += 1;
            *next - 1
        };
        self.chosen.iter().map(place).collect()
    }
}

/// Adds up the weighted outputs of each token's experts.
///
/// # Shapes
/// - `outputs`: `[rows, hidden]`, `weights`: `[N, k]`, `places`: rows of `N·k` outputs → `[N, hidden]`
fn mixed(outputs: Tensor<2>, weights: Tensor<2>, places: Vec<usize>) -> Tensor<2> {
    let ([tokens, chosen], [_, hidden]) = (weights.dims(), outputs.dims());
    let shape = [tokens, hidden];
    if supports_host_ops(&outputs) {
        let places: Arc<[usize]> = places.into();
        return apply_host_op(FusedMixture { places, chosen, width: hidden }, [outputs, weights], shape);
    }
    let places: Vec<i32> = places.into_iter().map(|place| place as i32).collect();
    let places = indices(&places, &outputs.device());
    let weights: Tensor<3> = weights.cast(outputs.dtype()).reshape([tokens, chosen, 1]);
    let outputs: Tensor<3> = outputs.select(0, places).reshape([tokens, chosen, hidden]);
    (outputs * weights).sum_dim(1).reshape(shape)
}

fn indices(values: &[i32], device: &Device) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}
