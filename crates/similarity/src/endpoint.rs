//! Settings of the similarity by a server's embeddings.

use serde::{Deserialize, Serialize};
use turnwise_runfile::{Seconds, Within};

/// Compares embeddings from a server, as in the paper (arXiv:2511.14846 §3.4: a hosted text-embedding model).
/// Any server with the OpenAI protocol works: vLLM, llama.cpp, Ollama, text-embeddings-inference.
///
/// It needs the cargo feature `endpoint`, and addresses with `https` need `https`. A training step fails,
/// with the reason, if the server can't be reached after all retries: half-shaped rewards would be worse.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Endpoint {
    /// Address of the requests.
    pub url: String,
    /// The model's name on the server.
    pub model: String,
    /// Name of the environment variable that holds the key; empty sends no key.
    pub api_key_env: String,
    /// Limit of one attempt, in seconds.
    #[serde(deserialize_with = "Seconds::read")]
    pub timeout_s: f64,
    /// Attempts after the first one, for temporary failures: broken connections, truncated or late answers,
    /// servers that are busy or loading.
    #[serde(deserialize_with = "Within::<0, 32>::read")]
    pub retries: u32,
    /// Wait before the first retry, in seconds; it doubles each time, up to 30. A server may ask for a longer
    /// wait.
    #[serde(deserialize_with = "Within::<0, 3_600>::read")]
    pub retry_wait_s: f64,
    /// Longest time for all retries after the first failure, in seconds, with waits and answers.
    #[serde(deserialize_with = "Within::<0, 3_600_000>::read")]
    pub retry_total_s: f64,
    /// Texts per request.
    #[serde(deserialize_with = "Within::<1, 65_536>::read")]
    pub batch: std::num::NonZeroUsize,
    /// Embeddings kept in memory; the oldest go first.
    #[serde(deserialize_with = "Within::<0, 16_777_216>::read")]
    pub cache: usize,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:8000/v1/embeddings".into(),
            model: "text-embedding-3-small".into(),
            api_key_env: String::new(),
            timeout_s: 30.0,
            retries: 10,
            retry_wait_s: 0.25,
            retry_total_s: 120.0,
            batch: std::num::NonZeroUsize::new(64).expect("a positive number"),
            cache: 16_384,
        }
    }
}
