//! Advantage estimators: one file each. An estimator sees the rewards of turns and nothing else. Its
//! documentation says which names of rewards it reads.
//!
//! A new one is its file, `mod` for it, and the line in [`AdvantageConfig`] that names, exports and
//! dispatches it.

mod cross_group;
mod dr_grpo;
#[cfg(test)]
mod enumerated;
mod gated;
mod gated_tree;
mod gigpo;
mod grpo;
mod grpo_min;
mod gtpo;
mod mt_grpo;
mod process_grpo;
mod rebn;
mod reinforce_pp;
mod rloo;
#[cfg(test)]
mod testing;
mod trajectory_level;
mod turn_tree;

pub use gtpo::NormScope;
use turnwise_runfile::choice;

use crate::episode::{Episode, PerTurn};

/// Holds returns and advantages of one group.
#[derive(Debug, Clone, PartialEq)]
pub struct Credit {
    /// The raw quantity behind each turn's advantage. It is the turn's return, or the trajectory's reward for
    /// an estimator without turn-level credit.
    pub returns: PerTurn,
    /// The advantage of each turn, for all its sampled tokens. Always finite.
    pub advantages: PerTurn,
}

/// Turns rewards into advantages. One file implements it, with its formula, paper and deviations.
pub trait AdvantageEstimator {
    /// Returns the set over which baseline and scale are taken, as recorded with every run.
    fn norm_scope(&self) -> &'static str {
        "group"
    }

    /// Returns the credit of each group of a step, in the same order. It takes all groups at once because
    /// some estimators normalise over the batch.
    fn credit(&self, groups: &[Vec<Episode>]) -> Vec<Credit>;
}

choice! {
    /// Chooses the estimator of a run. Estimators share rewards and rollouts and differ in this key.
    pub enum AdvantageConfig {
        /// GTPO, Group Turn Policy Optimization.
        "gtpo" => Gtpo(gtpo::Gtpo),
        /// The GRPO baseline of the GTPO paper.
        "grpo_min" => GrpoMin(grpo_min::GrpoMin),
        /// GRPO over the sum of the turn rewards.
        "grpo" => Grpo(grpo::Grpo),
        /// GRPO without the standard deviation.
        "dr_grpo" => DrGrpo(dr_grpo::DrGrpo),
        /// Leave-one-out baseline.
        "rloo" => Rloo(rloo::Rloo),
        /// REINFORCE++ with a group baseline.
        "reinforce_pp" => ReinforcePp(reinforce_pp::ReinforcePp),
        /// GRPO with process supervision.
        "process_grpo" => ProcessGrpo(process_grpo::ProcessGrpo),
        /// Multi-turn GRPO: outcome and turn advantage.
        "mt_grpo" => MtGrpo(mt_grpo::MtGrpo),
        /// Group-in-group: episode and state advantage.
        "gigpo" => Gigpo(gigpo::Gigpo),
        /// Return batch normalisation.
        "rebn" => Rebn(rebn::Rebn),
        /// Leave-one-out over the tree of a group's states.
        "turn_tree" => TurnTree(turn_tree::TurnTree),
        /// The gated reward over the tree of a group's states; a candidate.
        "gated_tree" => GatedTree(gated_tree::GatedTree),
        /// The gated reward with a control variate from other groups; a candidate.
        "cross_group" => CrossGroup(cross_group::CrossGroup),
    }
    /// Returns the estimator chosen.
    pub fn estimator(&self) -> &dyn AdvantageEstimator;
}
