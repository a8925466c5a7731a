//! Advice on servers that sample other tokens than the trainer would.

use turnwise_http::Failure;

use crate::remote::health::KEY;

/// Advice where a turn ended without a reason of ours.
pub(super) const ODD_END: &str = "the model folder's generation_config.json or config.json names a stop token \
     that the chat format lacks";

/// Advice where the server's context is shorter than the run's.
pub(super) const SHORT: &str = "start the server with a longer context (vLLM: --max-model-len, SGLang: --context-length), or lower \
     rollout.max_tokens";

/// Advice where versions stay wrong although weights were pushed again.
pub(super) const OTHER_RUN: &str =
    "another run or program changes the weights of this server; every run needs servers to itself";

/// Advice where answers name no version.
pub(super) const NO_VERSION: &str =
    "every answer has to name the version of its weights: use vLLM 0.32 or newer, or SGLang 0.5 or newer";

/// Advice where a token can't be the model's.
pub(super) const OTHER_MODEL: &str =
    "the server has another model: start it from the run file's model folder";

/// Returns advice where a server gave no answer. `status`: that of its refusal, if there was one.
pub(super) fn unanswered(failure: &Failure, status: Option<u16>) -> &'static str {
    match (failure, status) {
        (_, Some(401 | 403)) => KEY,
        (Failure::Unreached(_), _) | (_, Some(404)) => {
            "is the server running? rollout.server.urls are bases such as http://127.0.0.1:8000, without /v1"
        }
        (Failure::Lasting(_), _) => "the server's log says more",
        (failure, _) if failure.reason().starts_with("timeout") => {
            "rollout.server.timeout_seconds bounds an answer, and retry_seconds all tries"
        }
        _ => "the server's log says more; rollout.server.retry_seconds is the time for further tries",
    }
}
