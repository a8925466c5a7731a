//! The trait of a measure of similarity.

/// Holds similarities of failed programs (rows) to correct ones (columns), each in `[0, 1]`.
pub type Matrix = Vec<Vec<f64>>;

/// Says why a similarity could not be computed. Only a measure that leaves the process can fail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("similarity `{measure}`: {reason}")]
pub struct SimilarityError {
    /// Name of the measure in the run file.
    pub measure: &'static str,
    /// The reason and its place, with a hint.
    pub reason: String,
}

/// Measures the similarity of programs.
pub trait Similarity: Send + Sync {
    /// Returns the similarity of each of `rows` to each of `columns`. A text without content has similarity 0
    /// to all.
    fn matrix(&self, rows: &[&str], columns: &[&str]) -> Result<Matrix, SimilarityError>;
}

/// Builds a measure from its keys in a run file.
pub trait SimilaritySettings {
    /// Returns the measure. Nothing is contacted before the first comparison.
    fn build(&self) -> Box<dyn Similarity>;
}

/// A measure without state is built from a copy.
impl<M: Similarity + Copy + 'static> SimilaritySettings for M {
    fn build(&self) -> Box<dyn Similarity> {
        Box::new(*self)
    }
}
