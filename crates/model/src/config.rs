//! Shape and switches of the transformer, independent of its family.

use crate::block::{AttentionConfig, BlockConfig, ExpertsConfig, LinearShape, within};
use crate::logit_config::LogitConfig;
use crate::rope_config::RopeScaling;

/// Describes the whole network: its shape and its arithmetic.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// Entries of the vocabulary, `V`.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// The blocks, first to last; at least one.
    pub layers: Vec<BlockConfig>,
    /// `max_position_embeddings` of the file, in tokens; see [`context`](Self::context).
    pub max_position: usize,
    /// ε of every RMSNorm.
    pub norm_eps: f64,
    /// Whether the files hold the weights of norms less 1 (Gemma).
    pub norms_less_one: bool,
    /// Factor of the input embedding, 1 in most families.
    pub embedding_scale: f64,
    /// Arithmetic after the output matrix.
    pub logits: LogitConfig,
    /// Whether the input embedding is the output matrix too.
    pub tied_embeddings: bool,
}

/// Upper bounds of sizes. A larger number means a damaged or hostile `config.json`.
const MAX_DIMENSION: usize = 1 << 20;
const MAX_LAYERS: usize = 1 << 10;
const MAX_CONTEXT: usize = MAX_DIMENSION << 8;

impl ModelConfig {
    /// Describes a network of Llama's kind, with tied embeddings, 2,048 positions and an ε of 1e-6.
    pub fn new(vocab_size: usize, hidden_size: usize, layers: Vec<BlockConfig>) -> Self {
        Self {
            vocab_size,
            hidden_size,
            layers,
            max_position: 2048,
            norm_eps: 1e-6,
            norms_less_one: false,
            embedding_scale: 1.0,
            logits: LogitConfig::default(),
            tied_embeddings: true,
        }
    }

    /// Returns the longest context in tokens, to which scaling stretches the trained positions.
    ///
    /// YaRN and linear scaling have the same frequencies at any length, so their factor counts in full. Under
    /// [`RopeScaling::Dynamic`] and [`RopeScaling::LongRope`] the context is the trained one, because cached
    /// keys would keep the frequencies of a shorter sequence.
    pub fn context(&self) -> usize {
        let trained = self.attentions().filter_map(|attention| match &attention.rope.scaling {
            Some(RopeScaling::LongRope(long)) => Some(long.original_max_position),
            _ => None,
        });
        if let Some(trained) = trained.min() {
            return trained.min(self.max_position);
        }
        let stretched = |attention: &AttentionConfig| match &attention.rope.scaling {
            Some(RopeScaling::Yarn(yarn)) => yarn.original_max_position as f64 * yarn.factor,
            Some(RopeScaling::Linear { factor }) => self.max_position as f64 * factor,
            _ => 0.0,
        };
        let stretched = self.attentions().map(stretched).fold(0.0, f64::max);
        // Rounds down to whole tokens.
        self.max_position.max(stretched as usize)
    }

    /// Returns the longest text in tokens that a pass over all of it reads.
    ///
    /// It is longer than [`context`](Self::context) where frequencies follow the length of a text, since no
    /// key is kept from a shorter one.
    pub fn longest_text(&self) -> usize {
        let stretched = |attention: &AttentionConfig| match &attention.rope.scaling {
            Some(RopeScaling::Dynamic { factor, .. }) => self.max_position as f64 * factor,
            _ => 0.0,
        };
        let stretched = self.attentions().map(stretched).fold(0.0, f64::max);
        self.context().max(self.max_position).max(stretched as usize)
    }

    /// Lists the settings of attention, of the layers that have it.
    pub fn attentions(&self) -> impl Iterator<Item = &AttentionConfig> {
        self.layers.iter().filter_map(BlockConfig::attention)
    }

    /// Lists the settings of attention for changes.
    pub(crate) fn attentions_mut(&mut self) -> impl Iterator<Item = &mut AttentionConfig> {
        self.layers.iter_mut().filter_map(BlockConfig::attention_mut)
    }

    /// Returns the settings of attention in the first layer that has it.
    pub(crate) fn first_attention(&self) -> &AttentionConfig {
        self.attentions().next().expect("a checked model has attention")
    }

    /// Counts the parameters.
    pub fn parameters(&self) -> usize {
        let matrices = if self.tied_embeddings { 1 } else { 2 };
        let blocks: usize = self.layers.iter().map(|block| block.parameters(self.hidden_size)).sum();
        matrices * self.vocab_size * self.hidden_size + blocks + self.hidden_size
    }

    /// Lists the linear layers of all blocks, first to last.
    pub fn linears(&self) -> impl Iterator<Item = LinearShape> {
        self.layers.iter().flat_map(|block| block.linears(self.hidden_size))
    }

    /// Counts the weights that a token is multiplied with: linear layers and the output matrix.
    /// Experts count as often as a token has them.
    pub fn multiplied_weights(&self) -> usize {
        let blocks = self.layers.iter().map(|block| block.multiplied_weights(self.hidden_size));
        blocks.sum::<usize>() + self.vocab_size * self.hidden_size
    }

    /// Counts the keys and values of one token in all layers.
    pub fn cached_values(&self) -> usize {
        self.layers.iter().map(|block| block.mixer.cached_values()).sum()
    }

    /// Counts the numbers in the states of one sequence in all layers, which don't grow with its tokens.
    pub fn state_values(&self) -> usize {
        self.layers.iter().flat_map(|block| block.mixer.state_widths()).sum()
    }

    /// Returns whether a cache holds states.
    ///
    /// A state is that of the last token alone, so such a cache can't go back to fewer tokens.
    pub fn has_states(&self) -> bool {
        self.layers.iter().any(|block| !block.mixer.state_widths().is_empty())
    }

    /// Checks that the sizes describe a network. Returns the fault, with the value.
    pub fn check(&self) -> Result<(), String> {
        Self::check_layers(self.layers.len())?;
        within("vocab_size", self.vocab_size, MAX_DIMENSION)?;
        within("hidden_size", self.hidden_size, MAX_DIMENSION)?;
        for BlockConfig { mixer, mlp, .. } in &self.layers {
            within("intermediate_size", mlp.width, MAX_DIMENSION)?;
            mlp.experts.as_ref().map_or(Ok(()), ExpertsConfig::check)?;
            mixer.check(MAX_DIMENSION)?;
        }
        if self.attentions().next().is_none() {
            return Err("layer_types: a model without attention is not supported".into());
        }
        within("max_position_embeddings", self.max_position, MAX_CONTEXT)?;
        if !(self.norm_eps > 0.0 && self.norm_eps < 1.0) {
            return Err(format!("rms_norm_eps = {} is not between 0 and 1", self.norm_eps));
        }
        self.logits.check()?;
        let residual = self.layers.iter().map(|block| ("residual_multiplier", block.residual_scale));
        for (name, scale) in residual.chain([("embedding_multiplier", self.embedding_scale)]) {
            if !(scale.is_finite() && scale > 0.0) {
                return Err(format!("{name} = {scale} is not a finite number above 0"));
            }
        }
        if self.longest_text() > MAX_CONTEXT {
            return Err(format!("rope scaling stretches the context to more than {MAX_CONTEXT} tokens"));
        }
        Ok(())
    }

    /// Checks the number of blocks, before their descriptions take memory.
    pub(crate) fn check_layers(count: usize) -> Result<(), String> {
        within("num_hidden_layers", count, MAX_LAYERS)
    }
}
