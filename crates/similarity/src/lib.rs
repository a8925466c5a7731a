//! Measures the similarity of programs: one file per implementation of [`Similarity`].
//!
//! Shaping rewards a failed trajectory for code that resembles correct code (arXiv:2511.14846 §3.4).
//! [`code_of`] extracts a trajectory's code from its calls, and [`SimilarityConfig`] names the measure in a
//! run file. `ngram`, `lcs` and `permuted` compute locally; `endpoint` asks a server for embeddings and needs
//! the cargo feature of that name.

#[cfg(not(feature = "endpoint"))]
mod absent;
mod code;
#[cfg(feature = "endpoint")]
mod embeddings;
mod endpoint;
mod lcs;
mod measure;
mod ngram;
mod permuted;
mod tokens;

use turnwise_runfile::choice;

pub use code::{code_of, normalised_code};
pub use measure::{Matrix, Similarity, SimilarityError, SimilaritySettings};

choice! {
    /// Chooses the similarity that shaping uses.
    pub enum SimilarityConfig {
        /// Cosine of hashed token n-gram counts: offline, deterministic, microseconds.
        "ngram" => Ngram(ngram::Ngram),
        /// Longest common subsequence of tokens: offline and deterministic, slower.
        "lcs" => Lcs(lcs::Lcs),
        /// Cosine of embeddings by a server that speaks the OpenAI protocol.
        "endpoint" => Endpoint(endpoint::Endpoint),
        /// The n-gram measure with its values given to other programs: a control for experiments.
        "permuted" => Permuted(permuted::Permuted),
    }
    /// Returns the settings of the measure chosen.
    pub fn settings(&self) -> &dyn SimilaritySettings;
}

impl SimilarityConfig {
    /// Returns the measure chosen. Nothing is contacted before the first comparison.
    pub fn build(&self) -> Box<dyn Similarity> {
        self.settings().build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tests of its client cover `Endpoint`.
    #[test]
    fn a_measure_is_built_from_its_name_and_programs_are_like_themselves() {
        for name in SimilarityConfig::NAMES.iter().filter(|name| **name != "endpoint") {
            let measure = SimilarityConfig::named(name).expect("a name").build();
            let matrix = measure.matrix(&["print(1 + 2)"], &["print( 1+2 )"]).expect("offline");
            assert!((matrix[0][0] - 1.0).abs() < 1e-12, "{name}: {matrix:?}");
        }
    }

    #[cfg(not(feature = "endpoint"))]
    #[test]
    fn without_its_feature_an_endpoint_names_it() {
        let measure = SimilarityConfig::named("endpoint").expect("a name").build();
        let error = measure.matrix(&["x"], &["y"]).expect_err("no client").to_string();
        assert!(error.starts_with("similarity `endpoint`: ") && error.contains("--features"), "{error}");
    }
}
