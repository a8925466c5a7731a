//! The decoder: a model's weights on its device, and the buffers of a step.

use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::{DType, Device};
use cubecl::client::Client;
use cubecl::ir::ElemType;
use cubecl::prelude::CubeElement;

use super::bridge::{Buffer, Matrix, client, element, matrix};
use super::covers::covers;
use super::kernels::draw::TILE;
use super::launch::{CacheLayer, Pass};
use super::step::{DecodeFeed, Decoded};
use super::table::Table;
use super::weights::{Layer, Linears, factors, unbiased};
use crate::cache::KvCache;
use crate::config::ModelConfig;
use crate::rope_config::RopeConfig;
use crate::transformer::Transformer;

/// Decodes one token per sequence on a GPU.
///
/// It shares the weights of the model that it was made of.
pub struct GpuDecoder {
    config: ModelConfig,
    client: Client,
    device: Device,
    dtype: DType,
    element: ElemType,
    embedding: Matrix,
    layers: Vec<Layer>,
    norm: Buffer,
    vocabulary: Linears,
    tables: Vec<Table>,
    spares: [Buffer; 2],
    /// Tensors of the cache, with the version that they belong to.
    cache: Option<(u64, Vec<CacheLayer>)>,
    scratch: Option<Scratch>,
}

/// Whether a check found the kernels wrong on this process's device.
static REFUSED: AtomicBool = AtomicBool::new(false);

/// Holds the buffers of a step over a number of rows.
struct Scratch {
    rows: usize,
    /// The residual stream, `[rows, hidden]`.
    x: Buffer,
    /// `[rows, (H + 2·K)·D]` of the widest layer.
    qkv: Buffer,
    /// `[rows, H·D]` of the widest layer.
    attended: Buffer,
    /// `[rows, width]` of the widest feed-forward layer.
    gated: Buffer,
    logits: Buffer,
    stats: Buffer,
    drawn: Buffer,
}

impl GpuDecoder {
    /// Makes the decoder of a model.
    ///
    /// None if the kernels don't compute such a network ([`covers`](Self::covers)), an adapter isn't merged,
    /// the model tracks gradients, its device is no GPU of CubeCL's, or the kernels are
    /// [refused](Self::refuse).
    pub fn of(model: &Transformer) -> Option<Self> {
        let config = model.config();
        let weight = model.embed_tokens.weight.val();
        let tracks = model.dtype() != weight.dtype() || model.device().is_autodiff();
        if REFUSED.load(Ordering::Relaxed) || tracks || !covers(config) {
            return None;
        }
        let client = client(&weight)?;
        let element = element(weight.dtype())?;
        let ropes: Vec<&RopeConfig> = {
            let mut ropes: Vec<&RopeConfig> = Vec::new();
            for attention in config.attentions() {
                if !ropes.contains(&&attention.rope) {
                    ropes.push(&attention.rope);
                }
            }
            ropes
        };
        let layers = config.layers.iter().zip(&model.layers).map(|(settings, block)| {
            let rope = &settings.attention()?.rope;
            Layer::new(settings, block, ropes.iter().position(|other| *other == rope)?)
        });
        let layers: Option<Vec<Layer>> = layers.collect();
        let spare = || Buffer::new(client.create_from_slice(&[0; 64]));
        Some(Self {
            config: config.clone(),
            device: model.device(),
            dtype: weight.dtype(),
            element,
            embedding: matrix(weight)?,
            layers: layers?,
            norm: factors(&model.norm)?,
            vocabulary: unbiased(model.vocabulary())?,
            tables: ropes.iter().map(|rope| Table::new(rope, &client)).collect(),
            spares: [spare(), spare()],
            cache: None,
            scratch: None,
            client,
        })
    }

    /// Returns whether the kernels compute a network: blocks of Llama's kind.
    pub fn covers(config: &ModelConfig) -> bool {
        covers(config)
    }

    /// Leaves decoding to Burn's operations from now on, in this process: a check found the kernels wrong.
    pub fn refuse() {
        REFUSED.store(true, Ordering::Relaxed);
    }

    /// Lets go of the cache's tensors, so that Burn's operations may change them in place.
    pub fn release(&mut self) {
        self.cache = None;
    }

    /// Appends one token to each slot that has one, and returns what follows it.
    ///
    /// Everything crosses the bus once: the tokens there, and the results back.
    ///
    /// - `feeds`: one per slot of the cache
    ///
    /// # Panics
    /// If the device fails.
    pub fn step(&mut self, feeds: &[Option<DecodeFeed>], cache: &mut KvCache) -> Vec<Option<Decoded>> {
        let extra: Vec<usize> = feeds.iter().map(|feed| usize::from(feed.is_some())).collect();
        let rows: Vec<(usize, DecodeFeed)> =
            feeds.iter().enumerate().filter_map(|(slot, feed)| Some((slot, (*feed)?))).collect();
        let mut decoded = vec![None; feeds.len()];
        if rows.is_empty() {
            return decoded;
        }
        cache.open(&extra, &self.device, self.dtype);
        self.look_into(cache);
        let positions = cache.lengths();
        let words: Vec<u32> =
            rows.iter().flat_map(|(slot, feed)| feed.words(*slot, positions[*slot])).collect();
        let steps = Buffer::new(self.client.create_from_slice(u32::as_bytes(&words)));
        self.reserve(rows.len(), positions.iter().max().copied().unwrap_or(0) + 1);
        self.launch(rows.len(), &steps, cache.capacity());
        cache.advance(&extra);
        let feeds: Vec<DecodeFeed> = rows.iter().map(|(_, feed)| *feed).collect();
        for ((slot, _), result) in rows.iter().zip(self.read(&feeds)) {
            decoded[*slot] = Some(result);
        }
        decoded
    }

    /// Finds the tensors of the cache, if they are others than in the last step.
    fn look_into(&mut self, cache: &KvCache) {
        if self.cache.as_ref().is_some_and(|(version, _)| *version == cache.version()) {
            return;
        }
        let of = |tensor: &burn::tensor::Tensor<2>| {
            let found = matrix(tensor.clone()).expect("the cache is on the model's device");
            assert_eq!(found.shape, tensor.dims(), "the cache's rows are in order");
            found
        };
        let layers = (0..self.layers.len()).map(|layer| {
            let [keys, values] = cache.keys_and_values(layer);
            let (keys, values) = (of(keys), of(values));
            assert_eq!(keys.stride, values.stride, "keys and values have the same shape");
            CacheLayer { keys, values }
        });
        self.cache = Some((cache.version(), layers.collect()));
    }

    /// Makes buffers for this number of rows, and tables for this number of positions.
    fn reserve(&mut self, rows: usize, positions: usize) {
        for table in &mut self.tables {
            table.reach(positions, &self.client);
        }
        if self.scratch.as_ref().is_some_and(|scratch| scratch.rows == rows) {
            return;
        }
        let widest = |of: fn(&Layer) -> usize| self.layers.iter().map(of).max().unwrap_or(1);
        let empty = |numbers: usize| Buffer::new(self.client.empty(rows * numbers * size_of::<f32>()));
        let vocabulary = self.config.vocab_size;
        self.scratch = Some(Scratch {
            rows,
            x: empty(self.config.hidden_size),
            qkv: empty(widest(|layer| (layer.heads.query + 2 * layer.heads.key_value) * layer.heads.dim)),
            attended: empty(widest(|layer| layer.heads.query * layer.heads.dim)),
            gated: empty(widest(|layer| layer.mlp_width)),
            logits: empty(vocabulary),
            stats: empty(2 * vocabulary.div_ceil(TILE)),
            drawn: empty(2),
        });
    }

    fn launch(&self, rows: usize, steps: &Buffer, capacity: usize) {
        let scratch = self.scratch.as_ref().expect("it was just made");
        let (_, cache) = self.cache.as_ref().expect("it was just found");
        let Scratch { x, qkv, attended, gated, .. } = scratch;
        let (client, element, spares) = (&self.client, self.element, &self.spares);
        let pass = Pass { client, element, rows, steps, spares, eps: self.config.norm_eps as f32 };
        pass.embed(&self.embedding, self.config.embedding_scale as f32, x);
        for (layer, cache) in self.layers.iter().zip(cache) {
            pass.project(x, &layer.attention_norm, &layer.qkv, 1.0, qkv);
            pass.attend(layer, qkv, &self.tables[layer.table].buffer, cache, capacity, attended);
            pass.add(attended, &layer.output, layer.residual_scale, x);
            pass.gate_up(layer, x, gated);
            pass.add(gated, &layer.down, layer.residual_scale, x);
        }
        let factor = (1.0 / self.config.logits.divisor) as f32;
        pass.project(x, &self.norm, &self.vocabulary, factor, &scratch.logits);
        pass.draw(&scratch.logits, &scratch.stats, self.config.vocab_size, &scratch.drawn);
    }

    /// Reads the results of a step in one go.
    fn read(&self, feeds: &[DecodeFeed]) -> Vec<Decoded> {
        let scratch = self.scratch.as_ref().expect("a step was launched");
        let scored = feeds.iter().any(|feed| feed.draw.is_none());
        let mut handles = vec![scratch.drawn.handle()];
        handles.extend(scored.then(|| scratch.logits.handle()));
        let read = |handles| self.client.read(handles).expect("the device computes what it was given");
        let mut found = read(handles).into_iter();
        let drawn = found.next().expect("one answer for each buffer");
        let drawn: Vec<(u32, f32)> =
            u32::from_bytes(&drawn).chunks_exact(2).map(|row| (row[0], f32::from_bits(row[1]))).collect();
        let mut logits = found.next();
        // Without a finite log-probability the caller looks at the logits and says what is wrong with them.
        let is_drawn = |row: usize| feeds[row].draw.is_some() && drawn[row].1.is_finite();
        if logits.is_none() && (0..feeds.len()).any(|row| !is_drawn(row)) {
            logits = read(vec![scratch.logits.handle()]).pop();
        }
        let decoded = |row: usize| {
            if is_drawn(row) {
                let (token, logprob) = drawn[row];
                return Decoded::Drawn { token, logprob };
            }
            let logits = f32::from_bytes(logits.as_ref().expect("they were just read"));
            Decoded::Logits(logits[row * self.config.vocab_size..][..self.config.vocab_size].to_vec())
        };
        (0..feeds.len()).map(decoded).collect()
    }
}
