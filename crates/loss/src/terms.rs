//! Terms that all losses share: the log-ratio, the reference KL, the entropy bonus, and the weighted sum.

use burn::tensor::Tensor;
use turnwise_credit::KlEstimator;

use super::correction::{Corrected, Correction};
use super::kl::{clamped, estimate, k3};
use super::{Bools, LossBatch, LossOutput, RatioLevel, TokenStats};

/// Holds the terms of a loss other than its surrogate. 0 turns each of them off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// β, the weight of the KL divergence to the reference.
    pub beta: f64,
    /// The estimator of that divergence.
    pub kl: KlEstimator,
    /// Bound of `|logp - ref_logp|` in the estimator.
    pub kl_input_clamp: f64,
    /// Bound of the estimate.
    pub kl_output_clamp: f64,
    /// η, the weight of the entropy bonus (A3C, arXiv:1602.01783).
    pub entropy: f64,
    /// Bound of `|logp - old_logp|`.
    pub log_ratio_clamp: f64,
    /// The importance weight of stale rollouts.
    pub correction: Correction,
    /// The level of the ratio.
    pub level: RatioLevel,
}

/// Declares the settings of a loss: its own keys with their defaults, then those of [`Terms`].
///
/// `at` names the level of the ratio that the loss takes by default. All keys belong to one table, and an
/// unknown key is refused with its line: serde's `flatten` would lose that.
macro_rules! policy_loss {
    (
        $(#[$meta:meta])*
        pub struct $name:ident at $level:ident {
            $( $(#[$field_meta:meta])* pub $field:ident: $kind:ty = $default:expr, )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $( $(#[$field_meta])* pub $field: $kind, )*
            /// The tokens that share a ratio: their log-ratios are averaged.
            pub level: $crate::RatioLevel,
            /// β, the weight of the KL divergence to the reference.
            #[serde(deserialize_with = "turnwise_runfile::Within::<0, 1_000>::read")]
            pub beta: f64,
            /// Estimator of that divergence.
            pub kl: turnwise_credit::KlEstimator,
            /// Bound of the log-ratio to the reference in the KL estimator; 0 is none.
            #[serde(deserialize_with = "turnwise_runfile::Within::<0, 80>::read")]
            pub kl_input_clamp: f64,
            /// Bound of the KL estimate; 0 is none.
            #[serde(deserialize_with = "turnwise_runfile::Within::<0, 1_000_000>::read")]
            pub kl_output_clamp: f64,
            /// η, the weight of the entropy bonus.
            #[serde(deserialize_with = "turnwise_runfile::Within::<0, 1_000>::read")]
            pub entropy: f64,
            /// Bound of the log-ratio; 0 is none. It keeps `exp` finite in f32.
            #[serde(deserialize_with = "turnwise_runfile::Within::<0, 80>::read")]
            pub log_ratio_clamp: f64,
            /// Upper bound of the importance weight `exp(old_logp - rollout_logp)`; 0 turns the weight off.
            /// It corrects for a sampler that isn't the trainer's policy.
            #[serde(deserialize_with = "turnwise_runfile::Within::<0, 1_000_000>::read")]
            pub tis_cap: f64,
            /// Lower bound of the importance weight; 0 is none.
            #[serde(deserialize_with = "turnwise_runfile::Within::<0, 1_000_000>::read")]
            pub tis_min: f64,
            /// Treatment of an importance weight outside its bounds.
            pub tis_mode: $crate::Bounding,
            /// The tokens that share an importance weight: the product of their weights.
            pub tis_level: $crate::RatioLevel,
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $( $field: $default, )*
                    level: $crate::RatioLevel::$level,
                    beta: 0.0,
                    kl: turnwise_credit::KlEstimator::K3,
                    kl_input_clamp: 20.0,
                    kl_output_clamp: 0.0,
                    entropy: 0.0,
                    log_ratio_clamp: 20.0,
                    tis_cap: 0.0,
                    tis_min: 0.0,
                    tis_mode: $crate::Bounding::Truncate,
                    tis_level: $crate::RatioLevel::Token,
                }
            }
        }

        impl $name {
            fn shared(&self) -> $crate::Terms {
                $crate::Terms {
                    level: self.level,
                    beta: self.beta,
                    kl: self.kl,
                    kl_input_clamp: self.kl_input_clamp,
                    kl_output_clamp: self.kl_output_clamp,
                    entropy: self.entropy,
                    log_ratio_clamp: self.log_ratio_clamp,
                    correction: $crate::Correction {
                        cap: self.tis_cap,
                        min: self.tis_min,
                        bounding: self.tis_mode,
                        level: self.tis_level,
                    },
                }
            }
        }
    };
}

pub(super) use policy_loss;

/// Holds the columns of a batch with a log-ratio and an advantage of 0 wherever the weight is 0. The original
/// values there can't reach the loss or its gradient.
pub(super) struct Masked {
    /// Log-probabilities, 0 where ignored.
    pub(super) logprobs: Tensor<2>,
    /// The clamped log-ratio at the level of the loss.
    pub(super) log_ratio: Tensor<2>,
    /// The log-probabilities that the ratio is taken against, 0 where ignored.
    pub(super) old: Tensor<2>,
    /// The advantages, times the importance weight if there is one.
    pub(super) advantages: Tensor<2>,
    /// The importance weights of stale rollouts, if there are any.
    corrected: Option<Corrected>,
    /// Tokens of weight 0.
    ignored: Bools,
}

impl Terms {
    /// Replaces the columns of tokens with weight 0.
    pub(super) fn mask(&self, logprobs: &Tensor<2>, batch: &LossBatch) -> Masked {
        let ignored = batch.ignored();
        let quiet = |x: &Tensor<2>| x.clone().mask_fill(ignored.clone(), 0.0);
        let logprobs = quiet(logprobs);
        let old = quiet(&batch.old_logprobs);
        let mut advantages = quiet(&batch.advantages);
        let corrected = self.correction.weights(&old, batch, &ignored, self.log_ratio_clamp);
        if let Some(corrected) = &corrected {
            advantages = advantages * corrected.weight.clone();
        }
        let log_ratio = self.level.average(logprobs.clone() - old.clone(), batch, &ignored);
        let log_ratio = clamped(log_ratio, self.log_ratio_clamp);
        Masked { logprobs, log_ratio, old, advantages, corrected, ignored }
    }

    /// Adds KL and entropy to the surrogate's token losses and returns the weighted sum.
    pub(super) fn finish(
        &self,
        masked: Masked,
        surrogate: Tensor<2>,
        clipped: Bools,
        batch: &LossBatch,
    ) -> LossOutput {
        let quiet = |x: &Tensor<2>| x.clone().mask_fill(masked.ignored.clone(), 0.0);
        let reference = batch.ref_logprobs.as_ref().map(|reference| {
            estimate(
                self.kl,
                masked.logprobs.clone(),
                quiet(reference),
                self.kl_input_clamp,
                self.kl_output_clamp,
            )
        });
        let mut loss = surrogate;
        if self.beta > 0.0 {
            let kl = reference.clone().expect("a KL penalty needs the batch's `ref_logprobs`");
            loss = loss + kl * self.beta;
        }
        if self.entropy > 0.0 {
            let entropies = batch.entropies.as_ref().expect("an entropy bonus needs the batch's `entropies`");
            loss = loss - quiet(entropies) * self.entropy;
        }
        let ratio = masked.log_ratio.clone().exp();
        let (tis_weight, tis_cut) = masked.corrected.map(|c| (c.weight, c.cut)).unzip();
        let stats = TokenStats {
            // k3 of KL(old ‖ new) with the ratio's own level.
            old_kl: k3(masked.log_ratio.detach()),
            ratio: ratio.detach(),
            clipped: clipped.float().mask_fill(masked.ignored.clone(), 0.0),
            ref_kl: reference.map(Tensor::detach),
            entropy: batch.entropies.as_ref().map(|entropies| quiet(entropies).detach()),
            tis_weight,
            tis_cut,
        };
        LossOutput { loss: (loss * batch.weights.clone()).sum(), stats }
    }
}
