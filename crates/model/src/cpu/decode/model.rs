//! The forward pass of decoding.

use std::borrow::Cow;

use rayon::prelude::*;

use super::attend::Attend;
use super::cache::HostCache;
use super::kernels::{Matrix, add_scaled, norm, scale};
use super::weights::{Layer, matrix, vector};
use crate::block::QkNorm;
use crate::config::ModelConfig;
use crate::cpu::simd::{Cpu, gated};
use crate::layers::angles::{Angles, Factors};
use crate::transformer::Transformer;

/// Tokens that go through the layers together while a prompt or an observation is read.
const ROWS: usize = 96;

/// Holds a model's weights on the host in f32, with its adapter merged.
#[derive(Debug)]
pub struct HostModel {
    config: ModelConfig,
    embedding: Matrix,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    head: Option<Matrix>,
    cpu: Cpu,
}

/// Holds one token on its way through the layers.
struct Row {
    feed: usize,
    position: usize,
}

impl HostModel {
    /// Copies the weights of a model.
    pub fn of(model: &Transformer) -> Self {
        let model = model.clone().merged();
        let config = model.config();
        let layers = model.layers.iter().enumerate();
        Self {
            config: config.clone(),
            embedding: matrix(&model.embed_tokens.weight),
            layers: layers.map(|(at, block)| Layer::new(config, at, block)).collect(),
            norm: vector(&model.norm),
            head: model.lm_head.as_ref().map(|head| matrix(&head.weight)),
            cpu: Cpu::detect(),
        }
    }

    /// Returns the description of the network.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Returns the bytes of weights that a decoding step reads.
    pub fn bytes(&self) -> usize {
        size_of::<f32>() * self.config.multiplied_weights()
    }

    /// Appends each sequence's new tokens to its cache and returns the scores that follow the last one.
    ///
    /// # Shapes
    /// - returns one row of `V` per feed; an empty one if the feed has no new tokens
    pub fn extend(&self, feeds: &mut [(&[u32], &mut HostCache)]) -> Vec<Vec<f32>> {
        let mut rows: Vec<(Row, u32)> = Vec::new();
        let widths: Vec<usize> = self.layers.iter().map(|layer| layer.attention.key_value_width()).collect();
        for (feed, (tokens, cache)) in feeds.iter_mut().enumerate() {
            cache.reserve(&widths, tokens.len());
            let positions = cache.length..;
            rows.extend(positions.zip(*tokens).map(|(position, &token)| (Row { feed, position }, token)));
        }
        let mut last = vec![Vec::new(); feeds.len()];
        for rows in rows.chunks(ROWS) {
            let hidden = self.hidden(rows, feeds);
            for (at, (row, _)) in rows.iter().enumerate() {
                let ends = row.position + 1 == feeds[row.feed].1.length + feeds[row.feed].0.len();
                if ends {
                    last[row.feed] =
                        hidden[at * self.config.hidden_size..][..self.config.hidden_size].to_vec();
                }
            }
        }
        for (tokens, cache) in feeds.iter_mut() {
            cache.length += tokens.len();
        }
        self.logits(&last)
    }

    fn logits(&self, last: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let hidden = norm(&last.concat(), &self.norm, self.config.norm_eps);
        let mut scores = self.head.as_ref().unwrap_or(&self.embedding).apply(self.cpu, &hidden);
        self.config.logits.apply_to(&mut scores);
        let mut scores = scores.chunks_exact(self.config.vocab_size);
        let mut of = |row: &Vec<f32>| {
            let next = if row.is_empty() { None } else { scores.next() };
            next.map_or(Vec::new(), <[f32]>::to_vec)
        };
        last.iter().map(&mut of).collect()
    }

    fn hidden(&self, rows: &[(Row, u32)], feeds: &mut [(&[u32], &mut HostCache)]) -> Vec<f32> {
        let eps = self.config.norm_eps;
        let mut x: Vec<f32> =
            rows.iter().flat_map(|(_, token)| self.embedding.row(*token as usize)).collect();
        if self.config.embedding_scale != 1.0 {
            scale(&mut x, self.config.embedding_scale as f32);
        }
        let angles = self.angles(rows, feeds);
        for (at, layer) in self.layers.iter().enumerate() {
            let h = normed(layer.before_attention.as_deref(), Cow::Borrowed(&x), eps);
            let (q, k, v) = self.project(layer, &h, &angles[layer.angles]);
            let width = layer.attention.key_value_width();
            for (i, (row, _)) in rows.iter().enumerate() {
                let (keys, values) = &mut feeds[row.feed].1.layers[at];
                keys.extend_from_slice(&k[i * width..][..width]);
                values.extend_from_slice(&v[i * width..][..width]);
            }
            let attended = layer.o.apply(self.cpu, &self.attend(at, rows, feeds, &q));
            let by = layer.residual_scale;
            add_scaled(&mut x, &normed(layer.after_attention.as_deref(), Cow::Owned(attended), eps), by);
            let h = normed(layer.before_mlp.as_deref(), Cow::Borrowed(&x), eps);
            let mut gate = layer.gate.apply(self.cpu, &h);
            gated(self.cpu, layer.activation, &mut gate, &layer.up.apply(self.cpu, &h));
            let fed = layer.down.apply(self.cpu, &gate);
            add_scaled(&mut x, &normed(layer.after_mlp.as_deref(), Cow::Owned(fed), eps), by);
        }
        x
    }

    /// Computes the angles of every row, by layer; empty if an earlier layer has the same ones.
    fn angles(&self, rows: &[(Row, u32)], feeds: &[(&[u32], &mut HostCache)]) -> Vec<Vec<Angles>> {
        let of_rows = |(at, layer): (usize, &Layer)| -> Vec<Angles> {
            let own = if layer.angles == at { rows } else { &[] };
            let angles = own.iter().map(|(row, _)| {
                let (tokens, cache) = &feeds[row.feed];
                Angles::new(&layer.attention, row.position, cache.length + tokens.len())
            });
            angles.collect()
        };
        self.layers.iter().enumerate().map(of_rows).collect()
    }

    /// Computes queries (multiplied by the factor of scores), keys and values, rotated.
    fn project(&self, layer: &Layer, h: &[f32], angles: &[Angles]) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let (attention, gain) = (&layer.attention, layer.attention.rope.attention_factor() as f32);
        let (mut q, mut k) = (layer.q.apply(self.cpu, h), layer.k.apply(self.cpu, h));
        let normalise = |q: &mut Vec<f32>, k: &mut Vec<f32>| {
            if let Some((q_norm, k_norm)) = &layer.qk_norms {
                *q = norm(q, q_norm, self.config.norm_eps);
                *k = norm(k, k_norm, self.config.norm_eps);
            }
        };
        let rotated_first = attention.qk_norm == Some(QkNorm::PerHeadRotated);
        if !rotated_first {
            normalise(&mut q, &mut k);
        }
        let by_scores = attention.score_scale() as f32;
        let by = if rotated_first { 1.0 } else { by_scores };
        let columns = [
            (&mut q, attention.query_width(), Factors { rotated: by * gain, rest: by, query: true }),
            (&mut k, attention.key_value_width(), Factors { rotated: gain, rest: 1.0, query: false }),
        ];
        for (column, width, factors) in columns {
            for (row, angles) in column.chunks_exact_mut(width).zip(angles) {
                row.chunks_exact_mut(attention.head_dim).for_each(|head| angles.rotate(head, factors));
            }
        }
        if rotated_first {
            normalise(&mut q, &mut k);
            scale(&mut q, by_scores);
        }
        (q, k, layer.v.apply(self.cpu, h))
    }

    fn attend(
        &self,
        layer: usize,
        rows: &[(Row, u32)],
        feeds: &[(&[u32], &mut HostCache)],
        q: &[f32],
    ) -> Vec<f32> {
        let attention = &self.layers[layer].attention;
        let (wide, width) = (attention.query_width(), attention.key_value_width());
        let mut out = vec![0.0; rows.len() * wide];
        let one = |row: &Row, q: &[f32], out: &mut [f32]| {
            let (keys, values) = &feeds[row.feed].1.layers[layer];
            let seen = attention.visible(row.position);
            let seen = seen.start * width..seen.end * width;
            let (keys, values) = (&keys[seen.clone()], &values[seen]);
            let share = attention.query_heads / attention.key_value_heads;
            let (dim, softcap) = (attention.head_dim, attention.softcap.map(|cap| cap as f32));
            self.cpu.run(Attend { q, keys, values, share, dim, width, softcap, out });
        };
        if rayon::current_num_threads() == 1 || rows.len() == 1 {
            let columns = q.chunks_exact(wide).zip(out.chunks_exact_mut(wide));
            rows.iter().zip(columns).for_each(|((row, _), (q, out))| one(row, q, out));
        } else {
            let columns = q.par_chunks_exact(wide).zip(out.par_chunks_exact_mut(wide));
            rows.par_iter().zip(columns).for_each(|((row, _), (q, out))| one(row, q, out));
        }
        out
    }
}

/// Normalises every row, if there is a norm.
fn normed<'a>(weight: Option<&[f32]>, x: Cow<'a, [f32]>, eps: f64) -> Cow<'a, [f32]> {
    match weight {
        Some(weight) => norm(&x, weight, eps).into(),
        None => x,
    }
}
