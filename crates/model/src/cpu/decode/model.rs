//! The forward pass of decoding.

use rayon::prelude::*;

use super::blocks::{block_of, each_block, map_blocks, rows_at_once};
use super::cache::HostCache;
use super::feed::{Feed, Row};
use super::kernels::{norm, scale};
use super::layer::{HostMixer, Layer};
use super::matrix::Matrix;
use super::precision::HostPrecision;
use super::weights::{matrix, vector};
use crate::config::ModelConfig;
use crate::cpu::simd::Cpu;
use crate::layers::angles::Angles;
use crate::transformer::Transformer;

/// Multiplications of all layers that are worth a thread of the pool.
const MIN_PARALLEL: usize = 1 << 20;

/// Holds a model's weights on the host, with its adapter merged.
#[derive(Debug)]
pub struct HostModel {
    config: ModelConfig,
    embedding: Matrix,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    head: Option<Matrix>,
    precision: HostPrecision,
    cpu: Cpu,
}

impl HostModel {
    /// Copies the weights of a model in f32.
    pub fn of(model: &Transformer) -> Self {
        Self::with_precision(model, HostPrecision::F32)
    }

    /// Copies the weights of a model, rounded to a precision.
    pub fn with_precision(model: &Transformer, precision: HostPrecision) -> Self {
        let model = model.clone().merged();
        let config = model.config();
        let layers = model.layers.iter().enumerate();
        Self {
            config: config.clone(),
            embedding: matrix(&model.embed_tokens.weight, precision),
            layers: layers.map(|(at, block)| Layer::new(config, at, block, precision)).collect(),
            norm: vector(&model.norm),
            head: model.lm_head.as_ref().map(|head| matrix(&head.weight, precision)),
            precision,
            cpu: Cpu::detect(),
        }
    }

    /// Returns the description of the network.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Returns the bytes of weights that a decoding step reads.
    pub fn bytes(&self) -> usize {
        self.precision.bytes(self.config.multiplied_weights())
    }

    /// Appends each sequence's new tokens to its cache and returns the logits that follow the last one.
    ///
    /// # Shapes
    /// - `feeds`: new tokens and cache of each sequence
    /// - returns one row of `V` per feed; an empty one if the feed has no new tokens
    pub fn extend(&self, feeds: &mut [(&[u32], &mut HostCache)]) -> Vec<Vec<f32>> {
        let tokens: usize = feeds.iter().map(|(tokens, _)| tokens.len()).sum();
        if tokens * self.config.multiplied_weights() < MIN_PARALLEL {
            return self.extended(feeds);
        }
        // On a thread of the pool, a product begins before others wake up.
        rayon::scope(|_| self.extended(feeds))
    }

    fn extended(&self, feeds: &mut [Feed<'_, '_>]) -> Vec<Vec<f32>> {
        let mut rows: Vec<(Row, u32)> = Vec::new();
        let widths: Vec<[usize; 2]> = self.layers.iter().map(|layer| layer.widths).collect();
        for (feed, (tokens, cache)) in feeds.iter_mut().enumerate() {
            cache.reserve(&widths, tokens.len());
            let positions = cache.length..;
            rows.extend(positions.zip(*tokens).map(|(position, &token)| (Row { feed, position }, token)));
        }
        let mut last = vec![Vec::new(); feeds.len()];
        for rows in rows.chunks(rows_at_once()) {
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

    fn hidden(&self, rows: &[(Row, u32)], feeds: &mut [Feed<'_, '_>]) -> Vec<f32> {
        let eps = self.config.norm_eps;
        let width = self.config.hidden_size;
        let block = block_of(rows.len());
        let mut x = self.embedded(rows, block);
        if self.config.embedding_scale != 1.0 {
            scale(&mut x, self.config.embedding_scale as f32);
        }
        let angles = self.angles(rows, feeds);
        for (at, layer) in self.layers.iter().enumerate() {
            let h = match &layer.before_attention {
                Some(weight) => &map_blocks(&x, block * width, |x| norm(x, weight, eps)),
                None => &x,
            };
            let mixed = match &layer.mixer {
                HostMixer::Attention(attention) => {
                    let of_rows = (rows, angles[attention.angles].as_slice());
                    attention.forward(self.cpu, at, (h, eps), of_rows, feeds)
                }
                HostMixer::ShortConv(conv) => conv.forward(self.cpu, at, h, rows, feeds),
                HostMixer::DeltaNet(delta) => delta.forward(self.cpu, at, h, rows, feeds),
            };
            each_block(&mut x, &mixed, block * width, |x, mixed| layer.add_to(self.cpu, x, mixed, eps));
        }
        x
    }

    /// Returns the embedding of each row's token.
    fn embedded(&self, rows: &[(Row, u32)], block: usize) -> Vec<f32> {
        let row = |(_, token): &(Row, u32)| self.embedding.row(*token as usize);
        if rows.len() <= block {
            return rows.iter().flat_map(row).collect();
        }
        rows.par_iter().map(row).collect::<Vec<_>>().concat()
    }

    /// Computes the angles of every row, by layer; empty if an earlier layer has the same ones.
    fn angles(&self, rows: &[(Row, u32)], feeds: &[Feed<'_, '_>]) -> Vec<Vec<Angles>> {
        let of_rows = |(at, layer): (usize, &Layer)| -> Vec<Angles> {
            let HostMixer::Attention(attention) = &layer.mixer else { return Vec::new() };
            let own = if attention.angles == at { rows } else { &[] };
            let angles = own.iter().map(|(row, _)| {
                let (tokens, cache) = &feeds[row.feed];
                Angles::new(&attention.config, row.position, cache.length + tokens.len())
            });
            angles.collect()
        };
        self.layers.iter().enumerate().map(of_rows).collect()
    }
}
