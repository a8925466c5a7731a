//! Facts that a server tells about itself.

/// Describes a server, as far as it tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Description {
    /// Name that requests use for its model.
    pub(crate) model: Option<String>,
    /// Most tokens of a sequence, prompt included.
    pub(crate) context: Option<usize>,
}
