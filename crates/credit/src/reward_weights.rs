//! Weights of the rewards of a turn, by name: `[reward.weights]` of a run file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use turnwise_runfile::Within;
use turnwise_trajectory::Rewards;

/// Holds weights of turn rewards by name. A name that isn't in the map has weight 1.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RewardWeights(#[serde(deserialize_with = "Within::<-1_000, 1_000>::read")] BTreeMap<String, f64>);

impl RewardWeights {
    /// Returns whether every name weighs 1.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Iterates over the names that have a weight.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Returns the weight of a name.
    pub fn of(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(1.0)
    }

    /// Returns the reward of a turn, `r = Σ_n w_n · r_n` over its names; 0 for a turn without rewards.
    ///
    /// With weights of 1 it is `acc + fmt` of arXiv:2511.14846 §3.2, plus any other rewards of the
    /// environment.
    pub fn sum(&self, rewards: &Rewards) -> f64 {
        // Without an initial zero the sum of one reward is that reward to the bit.
        rewards
            .iter()
            .map(|(name, reward)| self.of(name) * reward)
            .reduce(|sum, part| sum + part)
            .unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(text: &str) -> Result<RewardWeights, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_turn_earns_the_weighted_sum_of_its_rewards() {
        let check = |text: &str, rewards: &[(&str, f64)], expect: f64| {
            let rewards: Rewards = rewards.iter().copied().collect();
            assert_eq!(weights(text).expect("weights").sum(&rewards), expect, "{text} {rewards:?}");
        };
        check("", &[], 0.0);
        check("", &[("acc", 1.0), ("fmt", -0.1)], 1.0 + -0.1);
        check("", &[("acc", 1.0), ("progress", 0.25)], 1.25);
        check("progress = 2", &[("acc", 1.0), ("progress", 0.25)], 1.5);
        check("progress = -1\nacc = 0", &[("acc", 1.0), ("progress", 0.25)], -0.25);
    }

    #[test]
    fn a_weight_out_of_its_range_has_its_line() {
        for number in ["nan", "inf", "1001", "\"2\""] {
            let error = weights(&format!("acc = 1\nprogress = {number}")).unwrap_err();
            assert!(
                error.contains("line 2") && error.contains("expected a number from -1000 to 1000"),
                "{error}"
            );
        }
    }
}
