//! Launches of the kernels over the rows of one step.

use cubecl::client::Client;
use cubecl::ir::ElemType;
use cubecl::prelude::{CubeCount, CubeDim};

use super::bridge::{Buffer, Matrix};
use super::kernels::{UNITS, attend, draw, embed, product};
use super::weights::{Layer, Linears};

/// Holds what the launches of a step share.
pub(super) struct Pass<'a> {
    pub(super) client: &'a Client,
    /// Type of weights and cache.
    pub(super) element: ElemType,
    pub(super) rows: usize,
    /// Five words per row; see [`kernels`](super::kernels).
    pub(super) steps: &'a Buffer,
    /// Stands for weights and for numbers that a kernel doesn't read.
    pub(super) spares: &'a [Buffer; 2],
    pub(super) eps: f32,
}

/// Keys and values of a layer.
pub(super) struct CacheLayer {
    pub(super) keys: Matrix,
    pub(super) values: Matrix,
}

fn units() -> CubeDim {
    CubeDim::new_1d(UNITS as u32)
}

impl Pass<'_> {
    /// Returns the rows of a cube: as few as there are, because it computes all of them.
    fn tile(&self) -> usize {
        self.rows.next_power_of_two().min(product::ROWS)
    }

    /// Returns the cubes that compute `outputs` of every row.
    fn products(&self, outputs: usize) -> CubeCount {
        let (outputs, rows) = (outputs.div_ceil(product::OUTPUTS), self.rows.div_ceil(self.tile()));
        CubeCount::new_2d(outputs as u32, rows as u32)
    }

    pub(super) fn embed(&self, weights: &Matrix, scale: f32, x: &Buffer) {
        let width = weights.shape[1];
        embed::embed::launch(
            self.client,
            CubeCount::new_2d(width.div_ceil(UNITS) as u32, self.rows as u32),
            units(),
            weights.buffer.arg(),
            self.steps.arg(),
            x.arg(),
            width,
            weights.stride,
            scale,
            self.element,
        );
    }

    /// Writes `factor · norm(x)·Wᵀ + bias` to `out`, the outputs of all matrices one after another.
    pub(super) fn project(&self, x: &Buffer, norm: &Buffer, linears: &Linears, factor: f32, out: &Buffer) {
        let weights = &linears.weights;
        let [width, stride] = [weights[0].shape[1], weights[0].stride].map(|size| size / linears.vector);
        let outs: usize = weights.iter().map(|weight| weight.shape[0]).sum();
        let of = |at: usize| weights.get(at).map_or(&self.spares[0], |weight| &weight.buffer).arg();
        let second = weights[0].shape[0];
        let third = second + weights.get(1).map_or(0, |weight| weight.shape[0]);
        product::project_normed::launch(
            self.client,
            self.products(outs),
            units(),
            linears.vector,
            x.arg(),
            norm.arg(),
            of(0),
            of(1),
            of(2),
            linears.bias.as_ref().unwrap_or(&self.spares[1]).arg(),
            out.arg(),
            self.rows,
            width,
            stride,
            outs,
            second,
            third,
            self.eps,
            factor,
            self.tile(),
            weights.len() > 1,
            linears.bias.is_some(),
            self.element,
        );
    }

    /// Writes the keys and values of a layer, and what its queries see to `out`.
    pub(super) fn attend(
        &self,
        layer: &Layer,
        qkv: &Buffer,
        table: &Buffer,
        cache: &CacheLayer,
        capacity: usize,
        out: &Buffer,
    ) {
        let spare = &self.spares[1];
        let [q_norm, k_norm] = layer.qk_norms.as_ref().map_or([spare; 2], <[_; 2]>::each_ref);
        let mut heads = layer.heads;
        if !cache.keys.stride.is_multiple_of(heads.vector) {
            heads.vector = 1;
        }
        attend::attend::launch(
            self.client,
            CubeCount::new_2d(heads.query as u32, self.rows as u32),
            units(),
            heads.vector,
            qkv.arg(),
            q_norm.arg(),
            k_norm.arg(),
            table.arg(),
            self.steps.arg(),
            cache.keys.buffer.arg(),
            cache.values.buffer.arg(),
            out.arg(),
            capacity,
            cache.keys.stride / heads.vector,
            self.eps,
            layer.score_scale,
            heads,
            self.element,
        );
    }

    /// Adds `by · (h·Wᵀ + bias)` to `x`.
    pub(super) fn add(&self, h: &Buffer, linears: &Linears, by: f32, x: &Buffer) {
        let weight = &linears.weights[0];
        let [width, stride] = [weight.shape[1], weight.stride].map(|size| size / linears.vector);
        product::project_added::launch(
            self.client,
            self.products(weight.shape[0]),
            units(),
            linears.vector,
            h.arg(),
            weight.buffer.arg(),
            linears.bias.as_ref().unwrap_or(&self.spares[1]).arg(),
            x.arg(),
            self.rows,
            width,
            stride,
            weight.shape[0],
            by,
            self.tile(),
            linears.bias.is_some(),
            self.element,
        );
    }

    /// Computes `activation(gate(x)) ⊙ up(x)` into `out`.
    pub(super) fn gate_up(&self, layer: &Layer, x: &Buffer, out: &Buffer) {
        let linears = &layer.gate_up;
        let weights = &linears.weights;
        let [width, stride] = [weights[0].shape[1], weights[0].stride].map(|size| size / linears.vector);
        let [linear, cubic] = layer.inner;
        product::gate_up::launch(
            self.client,
            self.products(layer.mlp_width),
            units(),
            linears.vector,
            x.arg(),
            layer.mlp_norm.arg(),
            weights[0].buffer.arg(),
            weights.get(1).map_or(&self.spares[0], |weight| &weight.buffer).arg(),
            linears.bias.as_ref().unwrap_or(&self.spares[1]).arg(),
            out.arg(),
            self.rows,
            width,
            stride,
            layer.mlp_width,
            self.eps,
            linear,
            cubic,
            self.tile(),
            weights.len() == 1,
            linears.bias.is_some(),
            self.element,
        );
    }

    /// Draws a token per row out of `logits`, `[rows, vocabulary]`.
    pub(super) fn draw(&self, logits: &Buffer, stats: &Buffer, vocabulary: usize, drawn: &Buffer) {
        let tiles = vocabulary.div_ceil(draw::TILE);
        draw::summarise::launch(
            self.client,
            CubeCount::new_2d(tiles as u32, self.rows as u32),
            units(),
            logits.arg(),
            self.steps.arg(),
            stats.arg(),
            vocabulary,
        );
        draw::draw::launch(
            self.client,
            CubeCount::new_1d(self.rows as u32),
            units(),
            logits.arg(),
            self.steps.arg(),
            stats.arg(),
            drawn.arg(),
            vocabulary,
            tiles,
        );
    }
}
