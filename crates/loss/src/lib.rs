//! Policy losses: one file each. A loss reads log-probabilities and a batch of columns, all `[B, T]`.
//!
//! ```text
//! ρ_t    = exp(logp_t - old_logp_t)
//! loss_t = surrogate(ρ_t, A) + β·kl_t - η·entropy_t
//! loss   = Σ_t w_t · loss_t
//! ```
//!
//! | part | file |
//! |---|---|
//! | surrogate | `clip.rs` (PPO, GRPO), `cispo.rs`, `gspo.rs`, `dppo.rs` |
//! | ρ per token, turn or sequence | `ratio.rs` |
//! | KL, entropy, clamps: shared by all losses | `terms.rs`, `kl.rs` |
//! | importance weights of stale rollouts | `correction.rs` |
//! | ratio, clipped share and KL of a step | `stats.rs` |
//!
//! All normalisation is in the weights `w_t` ([`turnwise_credit::WeightsConfig`]), so adding up the losses of
//! any split into micro-batches gives the loss of the whole batch.

mod cispo;
mod clip;
mod correction;
mod dppo;
mod gspo;
mod kl;
mod ratio;
mod stats;
mod terms;

use burn::tensor::{Bool, Int, Tensor};
use turnwise_runfile::{Conflict, choice};

pub use correction::{Bounding, Correction};
pub use dppo::Divergence;
pub use ratio::RatioLevel;
pub use stats::{LossSums, TokenStats};
pub use terms::Terms;

/// Holds the columns of a loss besides the log-probabilities, each `[B, T]`. Entry `t` belongs to token `t`.
/// Entries with weight 0 are never read, so padding and context may hold anything, even infinities.
#[derive(Debug, Clone)]
pub struct LossBatch {
    /// Log-probabilities that the ratio is taken against, in nats.
    pub old_logprobs: Tensor<2>,
    /// Advantage of the token's turn.
    pub advantages: Tensor<2>,
    /// Weight of the token; 0 for context, padding and dropped trajectories.
    pub weights: Tensor<2>,
    /// Log-probabilities under the frozen reference; required if β is not 0.
    pub ref_logprobs: Option<Tensor<2>>,
    /// Entropy of the policy's distribution at the token, in nats, with its graph; required if η is not 0.
    pub entropies: Option<Tensor<2>>,
    /// Index of the token's turn, from 0; required for ratios per turn.
    pub turns: Option<Tensor<2, Int>>,
    /// Log-probabilities recorded by the sampler; required for truncated importance sampling. Then
    /// `old_logprobs` were recomputed because the rollouts are stale.
    pub rollout_logprobs: Option<Tensor<2>>,
}

impl LossBatch {
    /// Returns a batch with the columns that every loss needs, each `[B, T]`.
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

/// Holds a mask of shape `[B, T]`.
type Bools = Tensor<2, Bool>;

/// Holds the result of a loss.
#[derive(Debug, Clone)]
pub struct LossOutput {
    /// `Σ_t w_t · loss_t`, one element, with its graph.
    pub loss: Tensor<1>,
    /// Statistics of each token, detached.
    pub stats: TokenStats,
}

/// Computes a policy loss, without normalising it: the weights do that.
pub trait PolicyLoss {
    /// Returns the loss of a micro-batch from the current policy's log-probabilities `[B, T]`.
    ///
    /// # Panics
    /// If a column that the configuration needs is absent: see [`LossBatch`] and [`PolicyLoss::terms`].
    fn evaluate(&self, logprobs: Tensor<2>, batch: &LossBatch) -> LossOutput;

    /// Returns the terms that all losses share; they tell which columns are required.
    fn terms(&self) -> Terms;

    /// Returns the conflict of this loss's keys, which are each in their range. Most losses have none.
    fn conflict(&self) -> Option<Conflict> {
        None
    }
}

choice! {
    /// Chooses the loss of a run.
    pub enum LossConfig {
        /// The clipped surrogate of PPO and GRPO.
        "clip" => Clip(clip::Clip),
        /// Clipped importance weights, unclipped gradient (CISPO).
        "cispo" => Cispo(cispo::Cispo),
        /// Sequence-level ratio with token-wise advantage (GSPO-token).
        "gspo" => Gspo(gspo::Gspo),
        /// A trust region of probabilities (DPPO).
        "dppo" => Dppo(dppo::Dppo),
    }
    /// Returns the loss chosen.
    pub fn loss(&self) -> &dyn PolicyLoss;
}

impl LossConfig {
    /// Returns the conflict of keys that are each in their range, if there is one.
    pub fn conflict(&self) -> Option<Conflict> {
        let loss = self.loss();
        let conflict = loss.conflict().or_else(|| loss.terms().correction.conflict());
        conflict.map(|conflict| conflict.under(self.name()))
    }
}
