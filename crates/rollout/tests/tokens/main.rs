//! Plays against recorded servers of vLLM and SGLang: ids and log-probabilities are exact, and a server that
//! breaks the contract is refused with what to change.
//!
//! `vllm.json` was recorded from a real server: `scripts/vllm.sh serve target/tiny-untied 8123`, and these
//! tests with `TURNWISE_RECORD=http://127.0.0.1:8123`. `sglang.json` has the shapes of SGLang 0.5.23's routes
//! with the numbers of vLLM's record, since its kernels don't install on a machine without a GPU.

mod exchanges;
mod lies;
mod scene;

use turnwise_rollout::remote::tokens::{EngineName, Rule};

use crate::scene::plays;

const RULE: Rule = Rule { temperature: 0.7, top_k: 0, top_p: 1.0, min_p: 0.0 };

#[test]
fn turns_of_a_recorded_vllm_are_exact() {
    let ran = plays(EngineName::Vllm, RULE, |exchange, _| exchange.clone());
    ran.server.keep("vllm", "vLLM 0.32.0 for the CPU, float32, models/tiny with an untied head");
    ran.is_whole();
}

#[test]
fn turns_in_the_shapes_of_sglang_are_exact() {
    if std::env::var_os("TURNWISE_RECORD").is_some() {
        return;
    }
    plays(EngineName::Sglang, RULE, |exchange, _| exchange.clone()).is_whole();
}
