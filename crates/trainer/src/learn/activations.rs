//! Estimates the memory that a forward pass keeps for the backward pass, and decides how much is kept.

use burn::tensor::Device;
use turnwise_model::{BlockConfig, DeltaNetConfig, Mixer, MlpConfig, ModelConfig, QkNorm};

use crate::device::kind::{in_memory, on_host};

/// Bytes of a number in f32.
const F32: u64 = 4;

/// Most bytes of activations that a micro-batch keeps in the machine's memory, unless the config decides. The
/// number is the same everywhere, so that a run is.
pub(crate) const KEPT: u64 = 512 << 20;

/// Tokens of a micro-batch that aren't cut further to keep less: products with fewer rows are slower.
const FEWEST: usize = 256;

/// Holds the size of micro-batches, and the blocks whose activations they keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Most tokens of a micro-batch.
    pub(crate) tokens: usize,
    /// Last blocks whose activations are kept; those before them are computed twice.
    pub(crate) blocks: usize,
}

impl Kept {
    /// Decides for micro-batches of up to `tokens` tokens with rows of up to `longest`. Unless `recompute`
    /// says so, micro-batches in the machine's memory are cut until activations fit into [`KEPT`], and blocks
    /// for which that isn't enough are computed twice.
    pub(crate) fn of(
        model: &ModelConfig,
        (tokens, longest): (usize, usize),
        recompute: Option<bool>,
        half: bool,
        device: &Device,
    ) -> Self {
        let all = model.layers.len();
        match recompute {
            Some(true) => return Self { tokens, blocks: 0 },
            None if in_memory(device) => {}
            _ => return Self { tokens, blocks: all },
        }
        let bytes: Vec<u64> = values_of_blocks(model, longest as u64, is_fused(device, half))
            .map(|values| values * F32)
            .collect();
        let fits = (KEPT / bytes.iter().sum::<u64>().max(1)) as usize;
        let tokens = tokens.min(fits.max(FEWEST).max(longest));
        let mut sum = 0;
        let fits = |bytes: &&u64| {
            sum += **bytes * tokens.max(longest) as u64;
            sum <= KEPT
        };
        Self { tokens, blocks: bytes.iter().rev().take_while(fits).count() }
    }
}

/// Returns whether each part of a block is one fused operation and rows are packed: in f32 on the CPU.
pub(crate) fn is_fused(device: &Device, half: bool) -> bool {
    on_host(device) && !half
}

/// Returns the values per token that each block's graph keeps, in a row of `length` tokens.
pub(crate) fn values_of_blocks(model: &ModelConfig, length: u64, fused: bool) -> impl Iterator<Item = u64> {
    let values = if fused { values_of_fused_block } else { values_of_block };
    model.layers.iter().map(move |block| values(block, model.hidden_size as u64, length))
}

/// Returns the values per token that a block of fused parts keeps: the residual stream and its norms, those
/// of the mixer (queries, keys, values and the output of attention), and those of feed-forward layers.
fn values_of_fused_block(block: &BlockConfig, hidden: u64, _length: u64) -> u64 {
    let stream = 2 + block.norms.count() as u64;
    stream * hidden + values_of_mixer(&block.mixer) + values_of_mlp(&block.mlp, hidden)
}

/// Returns the values per token that the inputs of fused parts of a mixer keep.
fn values_of_mixer(mixer: &Mixer) -> u64 {
    match mixer {
        Mixer::Attention(attention) => {
            let (query, kv) = (attention.query_width() as u64, attention.key_value_width() as u64);
            let before_norms = match attention.qk_norm {
                None => 0,
                Some(QkNorm::PerHead | QkNorm::FullWidth) => query + kv,
                Some(QkNorm::PerHeadRotated) => 2 * (query + kv),
            };
            let gate = if attention.is_gated() { 5 * query } else { 0 };
            2 * (query + kv) + before_norms + gate
        }
        // Both gates with their input, and the output.
        Mixer::ShortConv(conv) => 4 * conv.width as u64,
        // Queries, keys and values before and after the convolution; decays and rates; the gate, the output,
        // its norm, and their product.
        Mixer::DeltaNet(delta) => {
            2 * delta.conv_width() as u64 + 2 * delta.value_heads as u64 + 4 * delta.value_width() as u64
        }
    }
}

/// Returns the values per token that SwiGLU keeps: gate, up and their product. Each of a token's experts
/// keeps these, its input and its output, and the router keeps scores. The third width is that of gradients,
/// which the backward pass has in one block at a time: a tenth of all in six blocks of sixteen experts.
fn values_of_mlp(mlp: &MlpConfig, hidden: u64) -> u64 {
    let of_one = 3 * mlp.width as u64;
    match &mlp.experts {
        None => of_one,
        Some(experts) => experts.chosen as u64 * (3 * hidden + of_one) + 2 * experts.count as u64,
    }
}

/// Returns the values per token that the gated delta rule of Burn's operations keeps, in chunks of 32 tokens:
/// rows of heads in several scalings, matrices between the tokens of a chunk with the rows of their inverse,
/// and one state per chunk.
fn values_of_rule(delta: &DeltaNetConfig) -> u64 {
    const CHUNK: u64 = 32;
    let (heads, keys, values) = (
        delta.value_heads as u64,
        delta.key_dim as u64 * delta.value_heads as u64,
        delta.value_width() as u64,
    );
    let convolved = (2 + 3 * delta.taps as u64) * delta.conv_width() as u64;
    let matrices = heads * (10 * CHUNK + CHUNK * CHUNK / 2);
    let states = 4 * delta.key_dim as u64 * values / CHUNK;
    convolved + 16 * keys + 10 * values + matrices + states
}

/// Returns the values per token that a block of Burn's operations keeps. It adds intermediate results, and
/// scores and their softmax in a row of `length` tokens.
fn values_of_block(block: &BlockConfig, hidden: u64, length: u64) -> u64 {
    let of_mlp = match &block.mlp.experts {
        None => 2 * block.mlp.width as u64,
        // Also outputs in the order of tokens, and weighted.
        Some(experts) => experts.chosen as u64 * 2 * (block.mlp.width as u64 + hidden),
    };
    let between = 2 * hidden + of_mlp;
    let of_mixer = match &block.mixer {
        Mixer::Attention(attention) => 2 * attention.query_heads as u64 * length,
        Mixer::DeltaNet(delta) => values_of_rule(delta),
        // The gates apart, their product, and every tap's rows and product with its sum.
        Mixer::ShortConv(conv) => (6 + 3 * conv.taps as u64) * conv.width as u64,
    };
    values_of_fused_block(block, hidden, length) + between + of_mixer
}

#[cfg(test)]
mod tests {
    use turnwise_model::AttentionConfig;

    use super::*;
    use crate::device::backend;

    #[test]
    fn micro_batches_shrink_before_blocks_are_computed_twice() {
        let device = backend::device(Some("flex")).expect("a device");
        let model = |layers| {
            ModelConfig::new(64, 576, vec![BlockConfig::new(AttentionConfig::new(9, 3, 64), 1536); layers])
        };
        let of = |layers, tokens, longest| {
            let kept = Kept::of(&model(layers), (tokens, longest), None, false, &device);
            (kept.tokens, kept.blocks)
        };
        // 33,792 bytes per token and block.
        assert_eq!(of(2, 4096, 100), (4096, 2), "all fits");
        assert_eq!(of(30, 4096, 100), (529, 30), "smaller micro-batches fit");
        assert_eq!(of(30, 4096, 2000), (2000, 7), "rows aren't cut");
        assert_eq!(of(200, 4096, 10), (256, 62), "few tokens aren't cut further");
        assert_eq!(of(30, 4096, 100_000), (4096, 0), "one block is too large");
    }

    #[test]
    fn a_config_decides_alone() {
        let device = backend::device(Some("flex")).expect("a device");
        let model =
            ModelConfig::new(64, 576, vec![BlockConfig::new(AttentionConfig::new(9, 3, 64), 1536); 30]);
        for (recompute, blocks) in [(true, 0), (false, 30)] {
            let kept = Kept::of(&model, (4096, 100), Some(recompute), false, &device);
            assert_eq!(kept, Kept { tokens: 4096, blocks });
        }
    }
}
