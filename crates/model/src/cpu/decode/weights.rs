//! Weights in the host's memory.

use burn::module::Param;
use burn::tensor::{DType, Tensor};

use super::kernels::add;
use super::matrix::Matrix;
use super::precision::HostPrecision;
use crate::block::Activation;
use crate::cpu::simd::{Cpu, gated};
use crate::layers::linear::Linear;
use crate::layers::norm::RmsNorm;

/// Holds one linear layer.
#[derive(Debug)]
pub(super) struct Affine {
    pub(super) weight: Matrix,
    pub(super) bias: Option<Vec<f32>>,
}

impl Affine {
    pub(super) fn apply(&self, cpu: Cpu, x: &[f32]) -> Vec<f32> {
        let [y] = Self::apply_each([self], cpu, x);
        y
    }

    /// Applies several layers to the same rows.
    pub(super) fn apply_each<const M: usize>(all: [&Self; M], cpu: Cpu, x: &[f32]) -> [Vec<f32>; M] {
        let mut each = Matrix::apply_each(all.map(|layer| &layer.weight), cpu, x);
        for (layer, y) in all.iter().zip(&mut each) {
            if let Some(bias) = &layer.bias {
                y.chunks_exact_mut(bias.len()).for_each(|row| add(row, bias));
            }
        }
        each
    }

    /// Computes `activation(gate(x)) ⊙ up(x)`.
    pub(super) fn apply_gated(
        [gate, up]: [&Self; 2],
        activation: Activation,
        cpu: Cpu,
        x: &[f32],
    ) -> Vec<f32> {
        if gate.bias.is_none() && up.bias.is_none() {
            return Matrix::apply_gated([&gate.weight, &up.weight], activation, cpu, x);
        }
        let [mut gate, up] = Self::apply_each([gate, up], cpu, x);
        gated(cpu, activation, &mut gate, &up);
        gate
    }
}

pub(super) fn floats<const D: usize>(param: &Param<Tensor<D>>) -> Vec<f32> {
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
pub(super) fn parts<const N: usize>(
    whole: Option<&Linear>,
    each: [&Option<Linear>; N],
    outputs: [usize; N],
    precision: HostPrecision,
) -> [Affine; N] {
    let Some(whole) = whole else {
        return each.map(|linear| affine(linear.as_ref().expect("stored as one, or each"), precision));
    };
    let (wide, weights, bias) =
        (whole.weight.val().dims()[1], floats(&whole.weight), whole.bias.as_ref().map(floats));
    let mut start = 0;
    outputs.map(|out| {
        let rows = start..start + out;
        start = rows.end;
        let weight = Matrix::new(&weights[rows.start * wide..rows.end * wide], out, wide, precision);
        Affine { weight, bias: bias.as_ref().map(|bias| bias[rows].to_vec()) }
    })
}

pub(super) fn matrix(weight: &Param<Tensor<2>>, precision: HostPrecision) -> Matrix {
    let [out, wide] = weight.val().dims();
    Matrix::new(&floats(weight), out, wide, precision)
}

pub(super) fn affine(linear: &Linear, precision: HostPrecision) -> Affine {
    Affine { weight: matrix(&linear.weight, precision), bias: linear.bias.as_ref().map(floats) }
}
