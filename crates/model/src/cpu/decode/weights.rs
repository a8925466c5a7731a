//! The weights of a block in the host's memory.

use burn::module::Param;
use burn::tensor::{DType, Tensor};

use super::kernels::{Matrix, add};
use crate::block::{Activation, AttentionConfig};
use crate::config::ModelConfig;
use crate::cpu::simd::Cpu;
use crate::layers::linear::Linear;
use crate::layers::norm::RmsNorm;
use crate::transformer::Block;

/// Holds the weights of one block.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) attention: AttentionConfig,
    /// Index of the first layer with the same angles.
    pub(super) angles: usize,
    pub(super) before_attention: Option<Vec<f32>>,
    pub(super) q: Affine,
    pub(super) k: Affine,
    pub(super) v: Affine,
    pub(super) o: Affine,
    pub(super) qk_norms: Option<(Vec<f32>, Vec<f32>)>,
    pub(super) after_attention: Option<Vec<f32>>,
    pub(super) before_mlp: Option<Vec<f32>>,
    pub(super) gate: Affine,
    pub(super) up: Affine,
    pub(super) down: Affine,
    pub(super) after_mlp: Option<Vec<f32>>,
    pub(super) activation: Activation,
    /// Factor of both outputs.
    pub(super) residual_scale: f64,
}

/// Holds one linear layer.
#[derive(Debug)]
pub(super) struct Affine {
    pub(super) weight: Matrix,
    pub(super) bias: Option<Vec<f32>>,
}

impl Layer {
    /// Copies the weights of block `at`.
    pub(super) fn new(config: &ModelConfig, at: usize, block: &Block) -> Self {
        let (attention, mlp) = (&block.self_attn, &block.mlp);
        let settings = &config.layers[at].attention;
        let same_angles =
            |other: &AttentionConfig| (&other.rope, other.head_dim) == (&settings.rope, settings.head_dim);
        let qk_norms = attention.q_norm.as_ref().zip(attention.k_norm.as_ref());
        let (query, width, wide) =
            (settings.query_width(), settings.key_value_width(), config.layers[at].mlp.width);
        let qkv = parts(
            attention.qkv_proj.as_ref(),
            [&attention.q_proj, &attention.k_proj, &attention.v_proj],
            [query, width, width],
        );
        let [q, k, v] = qkv;
        let [gate, up] = parts(mlp.gate_up_proj.as_ref(), [&mlp.gate_proj, &mlp.up_proj], [wide, wide]);
        Self {
            attention: settings.clone(),
            angles: config.layers[..at].iter().position(|other| same_angles(&other.attention)).unwrap_or(at),
            before_attention: block.before_attention.as_ref().map(vector),
            q,
            k,
            v,
            o: affine(&attention.o_proj),
            qk_norms: qk_norms.map(|(q, k)| (vector(q), vector(k))),
            after_attention: block.after_attention.as_ref().map(vector),
            before_mlp: block.before_mlp.as_ref().map(vector),
            gate,
            up,
            down: affine(&mlp.down_proj),
            after_mlp: block.after_mlp.as_ref().map(vector),
            activation: config.layers[at].mlp.activation,
            residual_scale: config.layers[at].residual_scale,
        }
    }
}

impl Affine {
    pub(super) fn apply(&self, cpu: Cpu, x: &[f32]) -> Vec<f32> {
        let mut y = self.weight.apply(cpu, x);
        if let Some(bias) = &self.bias {
            y.chunks_exact_mut(bias.len()).for_each(|row| add(row, bias));
        }
        y
    }
}

fn floats<const D: usize>(param: &Param<Tensor<D>>) -> Vec<f32> {
    param.val().into_data_dtype(DType::F32).try_into_vec().expect("data was just converted to f32")
}

/// Returns the factors of a norm.
pub(super) fn vector(norm: &RmsNorm) -> Vec<f32> {
    let mut weight = floats(&norm.weight);
    if norm.offset != 0.0 {
        for weight in &mut weight {
            *weight += norm.offset as f32;
        }
    }
    weight
}

/// Copies layers that may be stored as one, whose parts have these numbers of outputs.
fn parts<const N: usize>(
    whole: Option<&Linear>,
    each: [&Option<Linear>; N],
    outputs: [usize; N],
) -> [Affine; N] {
    let Some(whole) = whole else {
        return each.map(|linear| affine(linear.as_ref().expect("stored as one, or each")));
    };
    let (wide, weights, bias) =
        (whole.weight.val().dims()[1], floats(&whole.weight), whole.bias.as_ref().map(floats));
    let mut start = 0;
    outputs.map(|out| {
        let rows = start..start + out;
        start = rows.end;
        let weight = Matrix::new(&weights[rows.start * wide..rows.end * wide], out, wide);
        Affine { weight, bias: bias.as_ref().map(|bias| bias[rows].to_vec()) }
    })
}

pub(super) fn matrix(weight: &Param<Tensor<2>>) -> Matrix {
    let [out, wide] = weight.val().dims();
    Matrix::new(&floats(weight), out, wide)
}

fn affine(linear: &Linear) -> Affine {
    Affine { weight: matrix(&linear.weight), bias: linear.bias.as_ref().map(floats) }
}
