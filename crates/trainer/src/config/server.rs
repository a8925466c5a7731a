//! Servers that sample the turns of a run: `[rollout.server]`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use turnwise_rollout::remote::tokens::EngineName;
use turnwise_runfile::{Above, Conflict, Seconds, Within};

use super::sampling::SamplingConfig;

/// Configures servers that sample turns by token ids, in place of the model in this process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// Inference engine of the servers.
    #[serde(default = "engine")]
    pub engine: EngineName,
    /// Addresses of the servers, without `/v1`. Weights go to each, and so do turns unless there is a router.
    pub urls: Vec<String>,
    /// Address of a router, to which turns go. It keeps a trajectory on one server by the header
    /// `X-Session-ID`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub router: Option<String>,
    /// Folder for the weights of this run, and of no other, which servers see under the same path. Each
    /// version is a new folder in it, and the last two are kept.
    pub weights: PathBuf,
    /// Whether servers get the adapter of a LoRA run instead of merged weights (vLLM).
    #[serde(default)]
    pub adapter: bool,
    /// Whether tied embeddings are written twice, for servers that don't update a tied output. The servers
    /// start from a folder that `turnwise convert --untied-head` has written.
    #[serde(default)]
    pub untied_head: bool,
    /// Maximum number of requests at a time.
    #[serde(default = "parallel", deserialize_with = "Within::<1, 4_096>::read")]
    pub parallel: usize,
    /// Seconds for one answer.
    #[serde(default = "timeout", deserialize_with = "Seconds::read")]
    pub timeout_seconds: f64,
    /// Seconds for retries of a turn from its first fault, waits included. Then its trajectory is lost, and
    /// counted.
    #[serde(default = "retry", deserialize_with = "Seconds::read")]
    pub retry_seconds: f64,
    /// Largest difference in nats between log-probabilities of servers and trainer after a push of weights.
    /// Servers that compute in bf16 need about 0.2.
    #[serde(default = "probe_gap", deserialize_with = "Above::<0, 100>::read")]
    pub probe_gap: f64,
}

fn engine() -> EngineName {
    EngineName::Vllm
}

fn parallel() -> usize {
    64
}

fn timeout() -> f64 {
    600.0
}

fn retry() -> f64 {
    300.0
}

fn probe_gap() -> f64 {
    1e-3
}

impl ServerConfig {
    /// Returns the keys whose values don't go together, each of them being in its range.
    pub(crate) fn conflict(&self, sampling: &SamplingConfig) -> Option<Conflict> {
        let wrong = |key: &str, message: String| Some(Conflict::new(key, message));
        if self.urls.is_empty() {
            return wrong("server.urls", "is empty, expected the address of a server".into());
        }
        if self.weights.as_os_str().is_empty() {
            return wrong("server.weights", "is missing, expected a folder that the servers see too".into());
        }
        let addresses = self.urls.iter().map(|url| ("server.urls", url));
        for (key, url) in addresses.chain(self.router.iter().map(|url| ("server.router", url))) {
            let plain = url.starts_with("http://") || url.starts_with("https://");
            if !plain || url.trim_end_matches('/').ends_with("/v1") {
                let expected = "expected a base such as http://127.0.0.1:8000, without /v1";
                return wrong(key, format!("has {url:?}, {expected}"));
            }
        }
        if self.adapter && !self.engine.takes_adapters() {
            return wrong("server.adapter", format!("is true, and {} gets merged weights only", self.engine));
        }
        let truncated = [
            ("sampling.top_p", sampling.top_p < 1.0, sampling.top_p, "1"),
            ("sampling.top_k", sampling.top_k > 0, sampling.top_k as f64, "0"),
            ("sampling.min_p", sampling.min_p > 0.0, sampling.min_p, "0"),
        ];
        let found = truncated.into_iter().find(|(_, truncates, ..)| *truncates);
        let (key, _, value, whole) = found.filter(|_| !self.engine.keeps_rule_truncated())?;
        let message = format!(
            "is {value}, expected {whole} with rollout.server.engine = \"{}\": its log-probabilities are those \
             of the tokens that are left, so every ratio would be off",
            self.engine
        );
        Some(Conflict::new(key, message))
    }
}
