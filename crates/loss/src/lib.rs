//! Policy losses: one file each. A loss sees log-probabilities and a batch of columns, all `[B, T]`.
//!
//! ```text
//! ρ_t    = exp(logp_t - old_logp_t)
//! loss_t = surrogate(ρ_t, A) + β·kl_t - η·entropy_t
//! loss   = Σ_t w_t · loss_t
//! ```
//!
//! All normalisation is in the weights `w_t` ([`turnwise_credit::WeightsConfig`]), so adding up the losses of
//! any split into micro-batches gives the loss of the whole batch.

mod cispo;
mod clip;
mod gspo;
mod kl;
mod ratio;
mod stats;
mod terms;

use burn::tensor::{Bool, Int, Tensor};
use turnwise_runfile::{Conflict, choice};

pub use ratio::RatioLevel;
pub use stats::{LossSums, TokenStats};
pub use terms::Terms;

/// Columns that a loss needs with the current log-probabilities. Every tensor is `[B, T]`; entry `t` speaks
/// of token `t`. Nothing is read where the weight is 0, so padding and context may hold anything, also
/// infinities.
#[derive(Debug, Clone)]
pub struct LossBatch {
    /// Log-probabilities that the ratio is taken against, in nats.
    pub old_logprobs: Tensor<2>,
    /// Advantage of the token's turn.
    pub advantages: Tensor<2>,
    /// Weight of the token; 0 for context, padding and dropped trajectories.
    pub weights: Tensor<2>,
    /// Log-probabilities under the frozen reference. Needed if β is not 0.
    pub ref_logprobs: Option<Tensor<2>>,
    /// Entropy of the policy's distribution at the token, in nats, with its graph. Needed if η is not 0.
    pub entropies: Option<Tensor<2>>,
    /// Index of the token's turn, from 0. Needed for ratios per turn.
    pub turns: Option<Tensor<2, Int>>,
    /// Log-probabilities recorded by the sampler, where `old_logprobs` were recomputed because the rollouts
    /// are stale. Needed for truncated importance sampling.
    pub rollout_logprobs: Option<Tensor<2>>,
}

impl LossBatch {
    /// A batch with what every loss needs.
    pub fn new(old_logprobs: Tensor<2>, advantages: Tensor<2>, weights: Tensor<2>) -> Self {
        Self {
            old_logprobs,
            advantages,
            weights,
            ref_logprobs: None,
            entropies: None,
            turns: None,
            rollout_logprobs: None,
        }
    }

    /// Returns the mask of tokens that have no loss: those of weight 0.
    fn ignored(&self) -> Bools {
        self.weights.clone().equal_elem(0.0)
    }
}

/// A mask of shape `[B, T]`.
type Bools = Tensor<2, Bool>;

/// Result of a loss.
#[derive(Debug, Clone)]
pub struct LossOutput {
    /// `Σ_t w_t · loss_t`, one element, with its graph.
    pub loss: Tensor<1>,
    /// Statistics of each token, detached.
    pub stats: TokenStats,
}

/// Computes a loss of the policy. It must not normalise: the weights do.
pub trait PolicyLoss {
    /// The loss of a micro-batch, from the current policy's log-probabilities `[B, T]`.
    ///
    /// # Panics
    /// If a column that the configuration needs is absent: see [`LossBatch`] and [`PolicyLoss::terms`].
    fn evaluate(&self, logprobs: Tensor<2>, batch: &LossBatch) -> LossOutput;

    /// The terms that all losses share, by which a caller knows what columns are needed.
    fn terms(&self) -> Terms;
}

choice! {
    /// Which loss a run uses.
    pub enum LossConfig {
        /// The clipped surrogate of PPO and GRPO.
        "clip" => Clip(clip::Clip),
        /// Clipped importance weights, unclipped gradient (CISPO).
        "cispo" => Cispo(cispo::Cispo),
        /// Sequence-level ratio with token-wise advantage (GSPO-token).
        "gspo" => Gspo(gspo::Gspo),
    }
    /// Returns the loss chosen.
    pub fn loss(&self) -> &dyn PolicyLoss;
}

impl LossConfig {
    /// Keys whose values don't go together, each of them being in its range.
    pub fn conflict(&self) -> Option<Conflict> {
        match self {
            Self::Clip(clip) => clip.conflict().map(|conflict| conflict.under("clip")),
            Self::Cispo(_) | Self::Gspo(_) => None,
        }
    }
}
