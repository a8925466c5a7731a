//! Attention of new tokens over those of their sequences.

use rayon::prelude::*;

use super::attend::{Attend, to_pairs};
use super::blocks::{block_of, map_blocks};
use super::feed::{Feed, Row};
use super::kernels::{norm, scale};
use super::precision::HostPrecision;
use super::weights::{Affine, affine, parts, vector};
use crate::block::{AttentionConfig, BlockConfig, QkNorm};
use crate::config::ModelConfig;
use crate::cpu::simd::{Cpu, sigmoids};
use crate::layers::angles::{Angles, Factors};
use crate::layers::attention::Attention;

/// Multiplications of keys, or rotated elements, that are worth a second thread.
const MIN_PARALLEL: usize = 1 << 14;

/// Holds the weights of attention.
#[derive(Debug)]
pub(super) struct HostAttention {
    pub(super) config: AttentionConfig,
    /// Index of the first layer with the same angles.
    pub(super) angles: usize,
    pub(super) q: Affine,
    pub(super) k: Affine,
    pub(super) v: Affine,
    pub(super) o: Affine,
    pub(super) qk_norms: Option<(Vec<f32>, Vec<f32>)>,
    /// Whether keys and values are kept as pairs of bf16.
    paired: bool,
}

impl HostAttention {
    pub(super) fn new(
        config: &ModelConfig,
        at: usize,
        attention: &Attention,
        precision: HostPrecision,
    ) -> Self {
        let settings = config.layers[at].attention().expect("the layer has attention");
        let same_angles = |other: &BlockConfig| {
            let other = other.attention().map(|other| (&other.rope, other.head_dim));
            other == Some((&settings.rope, settings.head_dim))
        };
        let qk_norms = attention.q_norm.as_ref().zip(attention.k_norm.as_ref());
        let (query, width) = (settings.query_width(), settings.key_value_width());
        let [q, k, v] = parts(
            attention.qkv_proj.as_ref(),
            [&attention.q_proj, &attention.k_proj, &attention.v_proj],
            [query, width, width],
            precision,
        );
        Self {
            config: settings.clone(),
            angles: config.layers[..at].iter().position(same_angles).unwrap_or(at),
            q,
            k,
            v,
            o: affine(&attention.o_proj, precision),
            qk_norms: qk_norms.map(|(q, k)| (vector(q), vector(k))),
            paired: precision != HostPrecision::F32 && settings.head_dim.is_multiple_of(2),
        }
    }

    /// Returns the entries of a token's keys in the cache.
    pub(super) fn cached_width(&self) -> usize {
        self.config.key_value_width() / if self.paired { 2 } else { 1 }
    }

    /// Appends the keys and values of new tokens to their caches and returns what attention adds.
    ///
    /// # Shapes
    /// - `h`: `[N, hidden]` → the same
    pub(super) fn forward(
        &self,
        cpu: Cpu,
        layer: usize,
        (h, eps): (&[f32], f64),
        (rows, angles): (&[(Row, u32)], &[Angles]),
        feeds: &mut [Feed<'_, '_>],
    ) -> Vec<f32> {
        let block = block_of(rows.len());
        let ([q, gate], k, v) = self.project_blocks(cpu, h, angles, (block, eps));
        let width = self.cached_width();
        for ((row, _), (keys, values)) in rows.iter().zip(k.chunks_exact(width).zip(v.chunks_exact(width))) {
            feeds[row.feed].1.push(layer, keys, values);
        }
        let mut y = self.attend(cpu, layer, rows, feeds, &q);
        if self.config.is_gated() {
            let mut factors = gate;
            sigmoids(cpu, &mut factors);
            y.iter_mut().zip(factors).for_each(|(y, factor)| *y *= factor);
        }
        map_blocks(&y, block * self.config.query_width(), |y| self.o.apply(cpu, y))
    }

    /// Computes [`project`](Self::project) of blocks of rows.
    fn project_blocks(
        &self,
        cpu: Cpu,
        h: &[f32],
        angles: &[Angles],
        (block, eps): (usize, f64),
    ) -> ([Vec<f32>; 2], Vec<u32>, Vec<u32>) {
        if angles.len() <= block {
            return self.project(cpu, h, angles, eps);
        }
        let blocks = h.par_chunks(h.len() / angles.len() * block).zip(angles.par_chunks(block));
        let parts: Vec<_> = blocks.map(|(h, angles)| self.project(cpu, h, angles, eps)).collect();
        let (q, rest): (Vec<_>, Vec<_>) =
            parts.into_iter().map(|([q, gate], k, v)| (q, (gate, (k, v)))).unzip();
        let (gate, (k, v)): (Vec<_>, (Vec<_>, Vec<_>)) = rest.into_iter().unzip();
        ([q.concat(), gate.concat()], k.concat(), v.concat())
    }

    /// Computes queries (multiplied by the factor of scores) and their gates, and entries of keys and values
    /// for the cache. Queries and keys are rotated.
    fn project(
        &self,
        cpu: Cpu,
        h: &[f32],
        angles: &[Angles],
        eps: f64,
    ) -> ([Vec<f32>; 2], Vec<u32>, Vec<u32>) {
        let (attention, gain) = (&self.config, self.config.rope.attention_factor() as f32);
        let [q, mut k, mut v] = Affine::apply_each([&self.q, &self.k, &self.v], cpu, h);
        let [mut q, gate] = self.apart(q);
        let normalise = |q: &mut Vec<f32>, k: &mut Vec<f32>| {
            if let Some((q_norm, k_norm)) = &self.qk_norms {
                *q = norm(q, q_norm, eps);
                *k = norm(k, k_norm, eps);
            }
        };
        let rotated_first = attention.qk_norm == Some(QkNorm::PerHeadRotated);
        if !rotated_first {
            normalise(&mut q, &mut k);
        }
        if let Some(bound) = attention.clip.map(|bound| bound as f32) {
            [&mut q, &mut k, &mut v].into_iter().flatten().for_each(|x| *x = x.clamp(-bound, bound));
        }
        let by_scores = attention.score_scale() as f32;
        let by = if rotated_first { 1.0 } else { by_scores };
        let columns = [
            (&mut q, attention.query_width(), Factors { rotated: by * gain, rest: by, query: true }),
            (&mut k, attention.key_value_width(), Factors { rotated: gain, rest: 1.0, query: false }),
        ];
        for (column, width, factors) in columns {
            let rotate = |(row, angles): (&mut [f32], &Angles)| {
                row.chunks_exact_mut(attention.head_dim).for_each(|head| angles.rotate(head, factors));
            };
            if column.len() < MIN_PARALLEL {
                column.chunks_exact_mut(width).zip(angles).for_each(rotate);
            } else {
                column.par_chunks_exact_mut(width).zip(angles).for_each(rotate);
            }
        }
        if rotated_first {
            normalise(&mut q, &mut k);
            scale(&mut q, by_scores);
        }
        ([q, gate], self.entries(k), self.entries(v))
    }

    /// Returns keys or values as a cache holds them.
    fn entries(&self, rows: Vec<f32>) -> Vec<u32> {
        if self.paired { to_pairs(&rows, self.config.head_dim) } else { bytemuck::cast_vec(rows) }
    }

    /// Takes queries and gates apart, which lie beside each other in each head.
    fn apart(&self, both: Vec<f32>) -> [Vec<f32>; 2] {
        if !self.config.is_gated() {
            return [both, Vec::new()];
        }
        let heads = both.chunks_exact(2 * self.config.head_dim);
        let (q, gate): (Vec<&[f32]>, Vec<&[f32]>) = heads.map(|head| head.split_at(head.len() / 2)).unzip();
        [q.concat(), gate.concat()]
    }

    fn attend(
        &self,
        cpu: Cpu,
        layer: usize,
        rows: &[(Row, u32)],
        feeds: &[Feed<'_, '_>],
        q: &[f32],
    ) -> Vec<f32> {
        let attention = &self.config;
        let (heads, dim, width) =
            (attention.key_value_heads, attention.head_dim, attention.key_value_width());
        let wide = attention.query_width() / heads;
        let mut out = vec![0.0; q.len()];
        // A group of heads that share keys, of one row.
        let one = |at: usize, q: &[f32], out: &mut [f32]| {
            let (row, head) = (&rows[at / heads].0, at % heads);
            let seen = attention.visible(row.position);
            let seen = feeds[row.feed].1.seen(layer, &seen);
            let softcap = attention.softcap.map(|cap| cap as f32);
            if self.paired {
                return cpu.run(Attend { q, seen, head, dim, width, softcap, out });
            }
            cpu.run(Attend { q, seen: seen.as_f32(), head, dim, width, softcap, out });
        };
        let seen: usize = rows.iter().map(|(row, _)| attention.visible(row.position).len()).sum();
        if rayon::current_num_threads() == 1 || seen * attention.query_width() < MIN_PARALLEL {
            let groups = q.chunks_exact(wide).zip(out.chunks_exact_mut(wide));
            groups.enumerate().for_each(|(at, (q, out))| one(at, q, out));
        } else {
            let groups = q.par_chunks_exact(wide).zip(out.par_chunks_exact_mut(wide));
            groups.enumerate().for_each(|(at, (q, out))| one(at, q, out));
        }
        out
    }
}
