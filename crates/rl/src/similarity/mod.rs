//! How alike two programs are: one file per measure.

mod endpoint;
mod lcs;
mod ngram;
mod permuted;
mod tokens;

pub use endpoint::Endpoint;
pub use lcs::Lcs;
pub use ngram::Ngram;
pub use permuted::Permuted;

/// Similarities of failed programs (rows) to correct ones (columns), each in `[0, 1]`.
pub type Matrix = Vec<Vec<f64>>;

/// A similarity could not be computed. Only a measure that leaves the process can fail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("similarity `{measure}`: {reason}")]
pub struct SimilarityError {
    /// Name of the measure in the run file.
    pub measure: &'static str,
    /// What went wrong and where, with a hint.
    pub reason: String,
}

/// Measures how alike programs are.
pub trait Similarity: Send + Sync {
    /// Similarity of each of `rows` to each of `columns`. A text without content is like nothing: 0.
    fn matrix(&self, rows: &[&str], columns: &[&str]) -> Result<Matrix, SimilarityError>;
}

choice! {
    /// Which similarity shaping uses.
    pub enum SimilarityConfig {
        /// Cosine of hashed token n-gram counts: offline, deterministic, microseconds.
        "ngram" => Ngram(Ngram),
        /// Longest common subsequence of tokens: offline and deterministic, slower.
        "lcs" => Lcs(Lcs),
        /// Cosine of embeddings by a server that speaks the OpenAI protocol.
        "endpoint" => Endpoint(Endpoint),
        /// The n-gram measure with its values handed to the wrong programs: a control for experiments.
        "permuted" => Permuted(Permuted),
    }
}

impl Default for SimilarityConfig {
    fn default() -> Self {
        SimilarityConfig::Ngram(Ngram::default())
    }
}

impl SimilarityConfig {
    /// The measure chosen.
    pub fn build(&self) -> Box<dyn Similarity> {
        match self {
            Self::Ngram(measure) => Box::new(*measure),
            Self::Lcs(measure) => Box::new(*measure),
            Self::Permuted(measure) => Box::new(*measure),
            Self::Endpoint(endpoint) => Box::new(endpoint.connect()),
        }
    }
}
