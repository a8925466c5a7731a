//! The engines, by the names that a run file has for them.

use turnwise_runfile::names;

use super::protocol::Protocol;
use super::sglang::Sglang;
use super::vllm::Vllm;

names! {
    /// Names an inference engine whose servers sample by token ids.
    pub enum EngineName("engine") {
        /// vLLM 0.32 or newer, with its token route (`--enable-scale-out`).
        "vllm" => Vllm,
        /// SGLang 0.5.
        "sglang" => Sglang,
    }
}

impl EngineName {
    /// Returns how to speak with it.
    pub(super) fn protocol(self) -> &'static dyn Protocol {
        match self {
            Self::Vllm => &Vllm,
            Self::Sglang => &Sglang,
        }
    }

    /// Returns whether log-probabilities are those of the trainer where `top_p`, `top_k` or `min_p` drop
    /// tokens.
    pub fn keeps_rule_truncated(self) -> bool {
        self.protocol().keeps_rule_truncated()
    }

    /// Returns whether a server takes an adapter without its model.
    pub fn takes_adapters(self) -> bool {
        self.protocol().takes_adapters()
    }
}
