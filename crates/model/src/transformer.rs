//! The decoder-only transformer behind every family.

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Tensor};

use crate::batch::TokenBatch;
use crate::block::{AttentionConfig, Mixer};
use crate::cache::{CachePlan, KvCache};
use crate::config::ModelConfig;
use crate::cpu::fused::{FusedAttention, supports_host_ops};
use crate::layers::attention::{Attention, causal_mask};
use crate::layers::delta_net::DeltaNet;
use crate::layers::linear::Linear;
use crate::layers::mlp::Mlp;
use crate::layers::moe::Moe;
use crate::layers::norm::RmsNorm;
use crate::layers::pass::{AttentionPath, ForwardPass};
use crate::layers::rope::Rotation;
use crate::layers::short_conv::ShortConv;

/// Holds the input embedding, `[V, hidden]`.
#[derive(Module, Debug)]
pub(crate) struct Embedding {
    pub(crate) weight: Param<Tensor<2>>,
}

/// Holds one block: one of the layers that mix tokens, and a feed-forward layer or experts. Fields have the
/// names on disk of most families; see [`BlockNorms`](crate::block::BlockNorms) and
/// [`Names`](crate::block::Names).
#[derive(Module, Debug)]
pub(crate) struct Block {
    pub(crate) before_attention: Option<RmsNorm>,
    pub(crate) self_attn: Option<Attention>,
    pub(crate) conv: Option<ShortConv>,
    pub(crate) linear_attn: Option<DeltaNet>,
    pub(crate) after_attention: Option<RmsNorm>,
    pub(crate) before_mlp: Option<RmsNorm>,
    pub(crate) mlp: Option<Mlp>,
    pub(crate) moe: Option<Moe>,
    pub(crate) after_mlp: Option<RmsNorm>,
}

/// Computes a decoder-only transformer of the blocks that its configuration describes.
#[derive(Module, Debug)]
pub struct Transformer {
    pub(crate) embed_tokens: Embedding,
    pub(crate) layers: Vec<Block>,
    pub(crate) norm: RmsNorm,
    pub(crate) lm_head: Option<Linear>,
    #[module(skip)]
    pub(crate) config: ModelConfig,
    /// Element type of activations, if it differs from that of the weights.
    #[module(skip)]
    pub(crate) compute: Option<DType>,
    /// Factor of each sequence's load-balancing loss in gradients.
    #[module(skip)]
    pub(crate) balance: f64,
}

impl Transformer {
    /// Adds the load-balancing loss of each sequence, `by` times, to the losses whose gradients are taken.
    ///
    /// It is that of `transformers` (arXiv:2101.03961 eq. 4–6) on the sequence alone; see
    /// [`add_gradients`](crate::add_gradients).
    #[must_use]
    pub fn balancing(mut self, by: f64) -> Self {
        self.balance = by;
        self
    }

    /// Returns the description of the network.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Returns the device of the weights.
    pub fn device(&self) -> Device {
        self.embed_tokens.weight.val().device()
    }

    /// Returns the element type of activations.
    pub fn dtype(&self) -> DType {
        self.compute.unwrap_or_else(|| self.embed_tokens.weight.val().dtype())
    }

    /// Computes the final hidden states of whole sequences, each from position 0.
    ///
    /// On the CPU the rows have no padding. Elsewhere they are padded to `T`, and hidden states of padding
    /// are meaningless; [`starts`](Self::starts) has the row of each sequence.
    ///
    /// # Shapes
    /// - `batch`: `B` rows of up to `T` tokens → `[N, hidden]`, normalised
    pub fn hidden(&self, batch: &TokenBatch) -> Tensor<2> {
        self.hidden_in(&self.whole(batch), batch)
    }

    /// Computes [`hidden`](Self::hidden) in a pass over these sequences.
    pub(crate) fn hidden_in(&self, pass: &ForwardPass<'_>, batch: &TokenBatch) -> Tensor<2> {
        let mut x = self.embed(batch, self.packs(batch));
        for (layer, block) in self.layers.iter().enumerate() {
            x = block.forward(x, pass, layer, None);
        }
        self.norm.forward(x)
    }

    /// Returns whether whole sequences are computed without padding. A batch without tokens keeps its
    /// padding.
    pub(crate) fn packs(&self, batch: &TokenBatch) -> bool {
        let tokens = batch.lengths.iter().any(|&length| length > 0);
        tokens && self.dtype() == DType::F32 && supports_host_ops(&self.norm.weight.val())
    }

    /// Returns the row of [`hidden`](Self::hidden) of each sequence's first token.
    pub fn starts(&self, batch: &TokenBatch) -> Vec<usize> {
        batch.starts(self.packs(batch))
    }

    /// Prepares the values that layers share in a pass over whole sequences, each from position 0.
    pub(crate) fn whole(&self, batch: &TokenBatch) -> ForwardPass<'_> {
        let (rows, columns, device) = (batch.rows(), batch.columns, self.device());
        if self.packs(batch) {
            let path =
                |attention: &AttentionConfig| AttentionPath::Fused(FusedAttention::new(attention, batch));
            return ForwardPass::new(&self.config, batch, true, path).recording(self.balance != 0.0);
        }
        let positions: Vec<usize> = (0..rows).flat_map(|_| 0..columns).collect();
        let path = |attention: &AttentionConfig| AttentionPath::Operations {
            rotation: Rotation::new(attention, &positions, &batch.lengths, &device),
            mask: causal_mask(&vec![0; rows], columns, columns, attention, &device),
        };
        ForwardPass::new(&self.config, batch, false, path).recording(self.balance != 0.0)
    }

    /// Appends each row's new tokens to its slot and returns the hidden state of its last new token.
    ///
    /// Rows without new tokens are computed too; their hidden states are meaningless.
    ///
    /// # Shapes
    /// - `batch`: one row per slot of the cache → `[B, hidden]`, normalised
    pub fn extend(&self, batch: &TokenBatch, cache: &mut KvCache) -> Tensor<2> {
        let (columns, device) = (batch.columns, self.device());
        let starts = cache.lengths().to_vec();
        let plan = cache.plan(&batch.lengths, columns, &device);
        let positions: Vec<usize> = starts.iter().flat_map(|&s| s..s + columns).collect();
        let held: Vec<usize> = starts.iter().zip(&batch.lengths).map(|(start, new)| start + new).collect();
        let pass = ForwardPass::new(&self.config, batch, false, |attention| AttentionPath::Operations {
            rotation: Rotation::new(attention, &positions, &held, &device),
            mask: causal_mask(&starts, columns, plan.visible, attention, &device),
        });
        let mut x = self.embed(batch, false);
        for (layer, block) in self.layers.iter().enumerate() {
            x = block.forward(x, &pass, layer, Some((&mut *cache, &plan)));
        }
        cache.advance(&batch.lengths);
        let last: Vec<i32> = batch
            .lengths
            .iter()
            .enumerate()
            .map(|(row, length)| (row * columns + length.saturating_sub(1)) as i32)
            .collect();
        let x = if columns == 1 { x } else { x.select(0, Tensor::from_ints(last.as_slice(), &device)) };
        self.norm.forward(x)
    }

    /// Computes the logits over the vocabulary, with the family's divisor and cap.
    ///
    /// # Shapes
    /// - `hidden`: `[N, hidden]` → `[N, V]`
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        let weight = self.vocabulary().val().cast(hidden.dtype());
        self.config.logits.apply(hidden.matmul(weight.transpose()))
    }

    /// Returns the weights of the logits, `[V, hidden]`: the head's, or the embedding's if they are tied.
    pub(crate) fn vocabulary(&self) -> &Param<Tensor<2>> {
        self.lm_head.as_ref().map_or(&self.embed_tokens.weight, |head| &head.weight)
    }

    pub(crate) fn embed(&self, batch: &TokenBatch, packed: bool) -> Tensor<2> {
        let x = self.embed_tokens.weight.val().select(0, batch.cells(packed, &self.device()));
        let x = scaled(x, self.config.embedding_scale);
        match self.compute {
            Some(dtype) => x.cast(dtype),
            None => x,
        }
    }
}

const SAME: &str = "a block has the layer that its description names";

impl Block {
    pub(crate) fn forward(
        &self,
        x: Tensor<2>,
        pass: &ForwardPass<'_>,
        layer: usize,
        cache: Option<(&mut KvCache, &CachePlan)>,
    ) -> Tensor<2> {
        let input = normed(self.before_attention.as_ref(), x.clone());
        let attended = self.mix(input, pass, layer, cache);
        let by = pass.block(layer).residual_scale;
        let x = x + scaled(normed(self.after_attention.as_ref(), attended), by);
        let fed = self.feed(normed(self.before_mlp.as_ref(), x.clone()), pass, layer);
        x + scaled(normed(self.after_mlp.as_ref(), fed), by)
    }

    fn mix(
        &self,
        x: Tensor<2>,
        pass: &ForwardPass<'_>,
        layer: usize,
        cache: Option<(&mut KvCache, &CachePlan)>,
    ) -> Tensor<2> {
        match &pass.block(layer).mixer {
            Mixer::Attention(config) => {
                self.self_attn.as_ref().expect(SAME).forward(x, config, pass, layer, cache)
            }
            Mixer::ShortConv(config) => {
                self.conv.as_ref().expect(SAME).forward(x, config, pass, layer, cache)
            }
            Mixer::DeltaNet(config) => {
                self.linear_attn.as_ref().expect(SAME).forward(x, config, pass, layer, cache)
            }
        }
    }

    fn feed(&self, x: Tensor<2>, pass: &ForwardPass<'_>, layer: usize) -> Tensor<2> {
        let config = &pass.block(layer).mlp;
        match &config.experts {
            None => self.mlp.as_ref().expect(SAME).forward(x, config),
            Some(experts) => self.moe.as_ref().expect(SAME).forward(&x, (config, experts), pass),
        }
    }
}

fn scaled(x: Tensor<2>, by: f64) -> Tensor<2> {
    if by == 1.0 { x } else { x.mul_scalar(by) }
}

fn normed(norm: Option<&RmsNorm>, x: Tensor<2>) -> Tensor<2> {
    match norm {
        Some(norm) => norm.forward(x),
        None => x,
    }
}
