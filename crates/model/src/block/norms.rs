//! The places of a block's norms.

/// Names the places where a block has a norm, by the norms' names on disk. A place without a name has no
/// norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockNorms {
    /// Normalises the input of attention.
    pub before_attention: Option<&'static str>,
    /// Normalises the output of attention, before it is added to the residual stream.
    pub after_attention: Option<&'static str>,
    /// Normalises the input of the feed-forward layer.
    pub before_mlp: Option<&'static str>,
    /// Normalises the output of the feed-forward layer, before it is added to the residual stream.
    pub after_mlp: Option<&'static str>,
}

impl BlockNorms {
    /// Has norms of the inputs, as in Llama.
    pub const PRE: Self = Self {
        before_attention: Some("input_layernorm"),
        after_attention: None,
        before_mlp: Some("post_attention_layernorm"),
        after_mlp: None,
    };

    /// Has norms of inputs and outputs, as in Gemma 2 and 3.
    pub const AROUND: Self = Self {
        before_attention: Some("input_layernorm"),
        after_attention: Some("post_attention_layernorm"),
        before_mlp: Some("pre_feedforward_layernorm"),
        after_mlp: Some("post_feedforward_layernorm"),
    };

    /// Has norms of the outputs, as in OLMo 2.
    pub const POST: Self = Self {
        before_attention: None,
        after_attention: Some("post_attention_layernorm"),
        before_mlp: None,
        after_mlp: Some("post_feedforward_layernorm"),
    };

    /// Returns the number of norms.
    pub fn count(&self) -> usize {
        self.names().into_iter().flatten().count()
    }

    /// Returns the name on disk of the norm in a field of the network's block.
    pub(crate) fn name_of(&self, field: &str) -> Option<&'static str> {
        let at = NORM_FIELDS.iter().position(|known| *known == field)?;
        self.names()[at]
    }

    fn names(&self) -> [Option<&'static str>; 4] {
        [self.before_attention, self.after_attention, self.before_mlp, self.after_mlp]
    }
}

/// Fields of the network's block that hold norms, in the order of [`BlockNorms::names`].
const NORM_FIELDS: [&str; 4] = ["before_attention", "after_attention", "before_mlp", "after_mlp"];
