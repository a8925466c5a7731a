//! The shapes of a block's linear layers.

/// Describes the shape of a linear layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinearShape {
    /// Path below the block, or below its expert, as on disk: `self_attn.q_proj`.
    pub name: &'static str,
    /// Numbers per token that it reads.
    pub inputs: usize,
    /// Numbers per token that it returns.
    pub outputs: usize,
    /// Whether it adds a bias.
    pub bias: bool,
}

impl LinearShape {
    /// Returns the number of weights.
    pub fn weights(&self) -> usize {
        self.inputs * self.outputs
    }

    /// Returns the last part of the name, which LoRA's targets go by: `q_proj`.
    pub fn target(&self) -> &'static str {
        target(self.name)
    }
}

/// Returns the last part of a layer's path.
pub(crate) fn target(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}
