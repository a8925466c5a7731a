//! Computes the scores that follow a sequence: the model on its tensor backend, or its copy on the host.

use std::sync::Arc;

use burn::tensor::DType;
use turnwise_model::{
    DecodeFeed, Decoded, Draw, GpuDecoder, HostCache, HostModel, KvCache, ModelConfig, TokenBatch,
    Transformer,
};
use turnwise_trajectory::TokenId;

/// Holds a model with the caches of its sequences, one slot each.
pub(crate) enum ModelRunner {
    Tensor { model: Box<Transformer>, decoder: Option<Box<GpuDecoder>>, cache: KvCache },
    Host { model: Arc<HostModel>, slots: Vec<HostCache> },
}

impl ModelRunner {
    /// Makes a runner on the tensor backend, with a decoder if the device and the network have one.
    pub(crate) fn tensor(model: Transformer) -> Self {
        let (decoder, cache) = (GpuDecoder::of(&model).map(Box::new), KvCache::new(model.config(), 0));
        Self::Tensor { model: Box::new(model), decoder, cache }
    }

    pub(crate) fn config(&self) -> &ModelConfig {
        match self {
            Self::Tensor { model, .. } => model.config(),
            Self::Host { model, .. } => model.config(),
        }
    }

    /// Appends empty slots.
    pub(crate) fn add(&mut self, count: usize) {
        match self {
            Self::Tensor { cache, .. } => cache.add(count),
            Self::Host { slots, .. } => slots.resize(slots.len() + count, HostCache::default()),
        }
    }

    /// Keeps the given slots, in this order.
    pub(crate) fn keep(&mut self, kept: &[usize]) {
        match self {
            Self::Tensor { cache, .. } => *cache = cache.keep(kept),
            Self::Host { slots, .. } => {
                *slots = kept.iter().map(|&slot| std::mem::take(&mut slots[slot])).collect();
            }
        }
    }

    /// Empties a slot, and frees its memory if it isn't part of a shared tensor.
    pub(crate) fn clear(&mut self, slot: usize) {
        match self {
            Self::Tensor { cache, .. } => cache.truncate(slot, 0),
            Self::Host { slots, .. } => slots[slot] = HostCache::default(),
        }
    }

    /// Returns how many of the `common` first tokens of a slot, which holds `held`, can be kept or copied: a
    /// state holds for the last token alone.
    pub(crate) fn usable(&self, held: usize, common: usize) -> usize {
        if held == common || !self.config().has_states() { common } else { 0 }
    }

    /// Keeps only the first `length` tokens of a slot, a [`usable`](Self::usable) number.
    pub(crate) fn truncate(&mut self, slot: usize, length: usize) {
        match self {
            Self::Tensor { cache, .. } => cache.truncate(slot, length),
            Self::Host { slots, .. } => slots[slot].truncate(length),
        }
    }

    /// Copies the first `length` tokens of one slot to another, a [`usable`](Self::usable) number.
    pub(crate) fn copy(&mut self, from: usize, to: usize, length: usize) {
        match self {
            Self::Tensor { cache, .. } => cache.copy(from, to, length),
            Self::Host { slots, .. } => slots[to] = slots[from].beginning(length),
        }
    }

    /// Returns how many tokens of each of `count` sequences are fed at once while prompts are read.
    pub(crate) fn prefill(&self, count: usize) -> usize {
        // Rows of a tensor are padded to the longest; the host splits its work itself.
        const TOKENS: usize = 8192;
        match self {
            Self::Tensor { .. } => (TOKENS / count.max(1)).max(1),
            Self::Host { .. } => usize::MAX,
        }
    }

    /// Feeds each slot its tokens and returns what follows the last one, for slots with tokens.
    ///
    /// These are `V` scores, or a token that the device drew as `draws` says.
    pub(crate) fn feed(&mut self, next: &[&[TokenId]], draws: &[Option<Draw>]) -> Vec<Option<Decoded>> {
        match self {
            Self::Tensor { model, decoder, cache } => {
                TensorFeed { model, decoder: decoder.as_deref_mut(), cache }.feed(next, draws)
            }
            Self::Host { model, slots } => {
                let mut feeds: Vec<(&[u32], &mut HostCache)> = next.iter().copied().zip(slots).collect();
                let rows = model.extend(&mut feeds);
                rows.into_iter().map(|row| (!row.is_empty()).then_some(Decoded::Logits(row))).collect()
            }
        }
    }
}

/// Feeds slots on the tensor backend.
struct TensorFeed<'a> {
    model: &'a Transformer,
    decoder: Option<&'a mut GpuDecoder>,
    cache: &'a mut KvCache,
}

impl TensorFeed<'_> {
    fn feed(mut self, next: &[&[TokenId]], draws: &[Option<Draw>]) -> Vec<Option<Decoded>> {
        let reading: Vec<usize> = (0..next.len()).filter(|&slot| next[slot].len() > 1).collect();
        let decodes = next.iter().any(|tokens| tokens.len() == 1);
        if reading.is_empty() {
            return self.decode(next, draws);
        }
        // Rows are padded to the longest, so a few that read a prompt are fed separately.
        let apart = reading.len() * 2 <= next.len() || (decodes && self.decoder.is_some());
        if let Some(decoder) = &mut self.decoder {
            decoder.release();
        }
        if !apart {
            return extend(self.model, self.cache, next);
        }
        let mut part = self.cache.keep(&reading);
        let fed: Vec<&[TokenId]> = reading.iter().map(|&slot| next[slot]).collect();
        let read = extend(self.model, &mut part, &fed);
        self.cache.put(&reading, part);
        let others: Vec<&[TokenId]> =
            next.iter().map(|tokens| if tokens.len() > 1 { &[][..] } else { tokens }).collect();
        let mut found = if decodes { self.decode(&others, draws) } else { vec![None; next.len()] };
        for (slot, row) in reading.into_iter().zip(read) {
            found[slot] = row;
        }
        found
    }

    /// Feeds at most one token to each slot.
    fn decode(&mut self, next: &[&[TokenId]], draws: &[Option<Draw>]) -> Vec<Option<Decoded>> {
        let Some(decoder) = &mut self.decoder else { return extend(self.model, self.cache, next) };
        let feeds: Vec<Option<DecodeFeed>> = next
            .iter()
            .zip(draws)
            .map(|(tokens, draw)| Some(DecodeFeed { token: *tokens.first()?, draw: *draw }))
            .collect();
        decoder.step(&feeds, self.cache)
    }
}

/// Runs one pass over all slots of a cache on the backend's operations.
fn extend(model: &Transformer, cache: &mut KvCache, next: &[&[TokenId]]) -> Vec<Option<Decoded>> {
    let hidden = model.extend(&TokenBatch::new(next), cache);
    let scores: Vec<f32> = model
        .logits(hidden)
        .cast(DType::F32)
        .into_data()
        .try_into_vec()
        .expect("logits were just cast to f32");
    let rows = scores.chunks_exact(model.config().vocab_size).zip(next);
    rows.map(|(row, tokens)| (!tokens.is_empty()).then(|| Decoded::Logits(row.to_vec()))).collect()
}
