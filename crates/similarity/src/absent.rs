//! The similarity by a server's embeddings in a build without its client.

use crate::endpoint::Endpoint;
use crate::measure::{Matrix, Similarity, SimilarityError, SimilaritySettings};

/// Fails with the name of the required cargo feature.
struct Absent;

impl Similarity for Absent {
    fn matrix(&self, _: &[&str], _: &[&str]) -> Result<Matrix, SimilarityError> {
        let reason =
            "this build can't ask a server; hint: build with `--features turnwise-similarity/endpoint`";
        Err(SimilarityError { measure: "endpoint", reason: reason.into() })
    }
}

impl SimilaritySettings for Endpoint {
    fn build(&self) -> Box<dyn Similarity> {
        Box::new(Absent)
    }
}
