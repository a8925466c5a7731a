//! The weights of a model as buffers on its device.

use burn::module::Param;
use burn::tensor::{DType, Tensor};

use super::bridge::{Buffer, Matrix, matrix, packed, vector};
use super::kernels::attend::Heads;
use crate::block::{Activation, AttentionConfig, BlockConfig};
use crate::layers::attention::Attention;
use crate::layers::linear::Linear;
use crate::layers::mlp::Mlp;
use crate::layers::norm::RmsNorm;
use crate::transformer::Block;

/// Holds matrices that are multiplied with the same rows, and their biases one after another.
pub(super) struct Linears {
    /// One matrix, or each.
    pub(super) weights: Vec<Matrix>,
    pub(super) bias: Option<Buffer>,
    /// Numbers of a vector, which divides the rows.
    pub(super) vector: usize,
}

/// Holds the weights of one block.
pub(super) struct Layer {
    pub(super) attention_norm: Buffer,
    pub(super) qkv: Linears,
    pub(super) heads: Heads,
    pub(super) score_scale: f32,
    /// Norms of each head of q and of k.
    pub(super) qk_norms: Option<[Buffer; 2]>,
    /// Index of its table.
    pub(super) table: usize,
    pub(super) output: Linears,
    pub(super) mlp_norm: Buffer,
    pub(super) gate_up: Linears,
    pub(super) mlp_width: usize,
    /// Factors of `x` and `x³` in the gate.
    pub(super) inner: [f32; 2],
    pub(super) down: Linears,
    pub(super) residual_scale: f32,
}

const COVERED: &str = "a covered block has attention, a gate, and a norm before each";

impl Layer {
    /// Finds the weights of a block; none if it has an adapter that isn't merged.
    pub(super) fn new(config: &BlockConfig, block: &Block, table: usize) -> Option<Self> {
        let attention = block.self_attn.as_ref().expect(COVERED);
        let mlp = block.mlp.as_ref().expect(COVERED);
        let settings = config.attention().expect(COVERED);
        let (linear, cubic) = match config.mlp.activation {
            Activation::Silu => (1.0, 0.0),
            Activation::GeluTanh => (Activation::LINEAR, Activation::CUBIC),
        };
        let qk_norms = match (&attention.q_norm, &attention.k_norm) {
            (Some(q), Some(k)) => Some([factors(q)?, factors(k)?]),
            _ => None,
        };
        Some(Self {
            attention_norm: factors(block.before_attention.as_ref().expect(COVERED))?,
            qkv: queries(attention)?,
            heads: heads(settings),
            score_scale: settings.score_scale() as f32,
            qk_norms,
            table,
            output: linears(&[&attention.o_proj])?,
            mlp_norm: factors(block.before_mlp.as_ref().expect(COVERED))?,
            gate_up: gates(mlp)?,
            mlp_width: config.mlp.width,
            inner: [linear as f32, cubic as f32],
            down: linears(&[&mlp.down_proj])?,
            residual_scale: config.residual_scale as f32,
        })
    }
}

fn heads(attention: &AttentionConfig) -> Heads {
    Heads {
        query: attention.query_heads,
        key_value: attention.key_value_heads,
        dim: attention.head_dim,
        pairs: attention.rope.rotated / 2,
        interleaved: attention.rope.interleaved,
        normed: attention.qk_norm.is_some(),
        window: attention.window.unwrap_or(0),
        vector: vector_size([attention.head_dim]),
    }
}

/// Returns the most numbers of a vector that divide all of these.
pub(super) fn vector_size<const N: usize>(sizes: [usize; N]) -> usize {
    let divides = |vector: &usize| sizes.iter().all(|size| size.is_multiple_of(*vector));
    [4, 2].into_iter().find(divides).unwrap_or(1)
}

fn queries(attention: &Attention) -> Option<Linears> {
    match (&attention.qkv_proj, &attention.q_proj, &attention.k_proj, &attention.v_proj) {
        (Some(all), ..) => linears(&[all]),
        (None, Some(q), Some(k), Some(v)) => linears(&[q, k, v]),
        _ => unreachable!("attention has queries, keys and values"),
    }
}

fn gates(mlp: &Mlp) -> Option<Linears> {
    match (&mlp.gate_up_proj, &mlp.gate_proj, &mlp.up_proj) {
        (Some(both), ..) => linears(&[both]),
        (None, Some(gate), Some(up)) => linears(&[gate, up]),
        _ => unreachable!("a feed-forward layer has a gate"),
    }
}

/// Returns the factors of a normalised row, in f32.
pub(super) fn factors(norm: &RmsNorm) -> Option<Buffer> {
    vector(norm.whole_weight())
}

/// Returns one matrix without a bias.
pub(super) fn unbiased(weight: &Param<Tensor<2>>) -> Option<Linears> {
    let weight = matrix(weight.val())?;
    let vector = vector_size([weight.shape[1], weight.stride]);
    Some(Linears { weights: vec![weight], bias: None, vector })
}

fn linears(layers: &[&Linear]) -> Option<Linears> {
    if layers.iter().any(|layer| layer.lora.is_some()) {
        return None;
    }
    let all = |of: fn(Tensor<2>) -> Option<Matrix>| -> Option<Vec<Matrix>> {
        layers.iter().map(|layer| of(layer.weight.val())).collect()
    };
    let mut weights = all(matrix)?;
    if weights.iter().any(|weight| weight.stride != weights[0].stride) {
        weights = all(packed)?;
    }
    let biases = layers.iter().filter_map(|layer| layer.bias.as_ref());
    let biases: Vec<Tensor<1>> = biases.map(|bias| bias.val().cast(DType::F32)).collect();
    assert!(biases.is_empty() || biases.len() == layers.len(), "all of them have a bias, or none has");
    let bias = if biases.is_empty() { None } else { Some(vector(Tensor::cat(biases, 0))?) };
    let vector = vector_size([weights[0].shape[1], weights[0].stride]);
    Some(Linears { weights, bias, vector })
}
