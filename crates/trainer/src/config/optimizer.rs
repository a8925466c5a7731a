//! `[optimizer]`: how gradients update the weights.

use serde::{Deserialize, Serialize};
use turnwise_model::LoraConfig;
use turnwise_runfile::{Parts, Within};

/// Bounds the decay of a moment. 1 in f32 would divide by zero.
type Decay = Parts<0, 99_999, 100_000>;

/// Configures AdamW with linear warm-up and clipping by global norm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Learning rate after warm-up.
    #[serde(deserialize_with = "Within::<0, 1>::read")]
    pub lr: f64,
    /// Optimizer updates over which the learning rate grows from 0; a step makes `minibatches` of them.
    #[serde(deserialize_with = "Within::<0, 1_000_000_000>::read")]
    pub warmup: usize,
    /// Decay of the first moment.
    #[serde(deserialize_with = "Decay::read")]
    pub beta1: f64,
    /// Decay of the second moment.
    #[serde(deserialize_with = "Decay::read")]
    pub beta2: f64,
    /// Decoupled weight decay.
    #[serde(deserialize_with = "Within::<0, 1_000>::read")]
    pub weight_decay: f64,
    /// Largest global norm of the gradient; 0 turns clipping off.
    #[serde(deserialize_with = "Within::<0, 1_000_000_000>::read")]
    pub clip_norm: f64,
    /// Optimizer updates per batch of rollouts, each on an equal part of the trained trajectories. With fewer
    /// trajectories than `minibatches`, each makes one update.
    #[serde(deserialize_with = "Within::<1, 65_536>::read")]
    pub minibatches: usize,
    /// Maximum number of tokens per forward pass. On other devices than the CPU, padding counts too.
    #[serde(deserialize_with = "Within::<1, 16_777_216>::read")]
    pub micro_batch_tokens: usize,
    /// Number of shards of an update's micro-batches, a power of two. Their gradients are summed in a binary
    /// tree, so that the bytes of a run on the CPU depend neither on its cores nor on its ranks, which divide
    /// the shards. Unset, there is one shard per core, and only one rank.
    #[serde(deserialize_with = "Within::<1, 65_536>::read", skip_serializing_if = "Option::is_none")]
    pub shards: Option<usize>,
    /// Whether the backward pass computes each block again instead of keeping its activations (gradient
    /// checkpointing). It takes up to a third more arithmetic and a fraction of the memory. Unset, the CPU
    /// cuts micro-batches until they keep at most 512 MiB, down to 256 tokens or the longest sequence, and
    /// computes only those blocks again that don't fit then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recompute: Option<bool>,
    /// Factor of the load-balancing loss of mixture-of-experts models (arXiv:2101.03961 eq. 4), which is the
    /// mean over sequences; 0 turns it off.
    #[serde(deserialize_with = "Within::<0, 1_000>::read")]
    pub router_aux_loss_coef: f64,
    /// Element type of activations. Weights, gradients and moments stay in f32.
    pub precision: Precision,
    /// Parameters that aren't trained, by their Hugging Face names; `*` stands for any text.
    pub freeze: Vec<String>,
    /// Low-rank adapter to train instead of the weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraConfig>,
}

/// Names the element type of activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// bfloat16.
    Bf16,
    /// Half precision. Its gradients underflow earlier than those of bf16, and there is no loss scaling.
    F16,
}

impl Precision {
    /// Returns the name in a run file.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            lr: 1e-6,
            warmup: 10,
            beta1: 0.9,
            beta2: 0.95,
            weight_decay: 0.0,
            clip_norm: 1.0,
            minibatches: 1,
            micro_batch_tokens: 8192,
            shards: None,
            recompute: None,
            router_aux_loss_coef: 0.0,
            precision: Precision::F32,
            freeze: Vec::new(),
            lora: None,
        }
    }
}
