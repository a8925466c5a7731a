//! The gated reward over the tree of a group's states: a candidate of this project.

use super::{AdvantageEstimator, Credit, gated::gated};
use crate::{
    episode::{Episode, PerTurn},
    moments::{finite, mean, z_scored},
    tree::Tree,
};

z_scored! {
    /// Credits a turn with the change that it made to the group's own estimate of the gated reward. A
    /// candidate of this project without a paper. No result recommends it so far.
    ///
    /// The reward is that of `grpo_min`, `g_i = min(acc, format_ok)`. `h_ij` is the state of
    /// `turn_tree` with one addition: it tells which turns broke the format, because a violation
    /// closes the gate. `N(h)` are the trajectories through `h`, `n` of them besides `i` at `h_ij` and `m` at
    /// `h_i,j+1`:
    ///
    /// ```text
    /// A_ij = (Q_ij - V_ij) / (σ_g + ε) - c · 1[turn j breaks the format]
    /// Q_ij = (1 - w) · g_i + w · mean of g_k over k in N(h_i,j+1) without i     w = m / (m + κ)
    /// V_ij = (Σ g_k + κ · V_i,j-1) / (n + κ),   k in N(h_ij) without i          V_i1 = mean of g_k, k ≠ i
    /// ```
    ///
    /// `w` is 0 in the last turn. `σ_g` is the standard deviation of `g` in the group, and a group without a
    /// spread of `g` gets 0 throughout, the penalty included. There is no discount, and a violation moves no
    /// turn of others but by its gate. Without shared states it is `grpo_min` times `n / (n - 1)` with `n`
    /// trajectories in the group, less the penalty.
    ///
    /// `Q_ij - V_ij` gives the policy gradient of `g` without bias as far as equal states mean equal
    /// prospects. If they don't, the bias comes from `w` alone: `V_ij` never uses turns of `i` from `j` on.
    /// Dividing by `σ_g`, which contains `g_i`, is the bias of every such estimator.
    ///
    /// It reads what `grpo_min` reads: `acc` without its weight, and the flags of violations.
    pub struct GatedTree {
        /// κ, the weight of the previous value and of the trajectory's own reward, in trajectories.
        #[serde(deserialize_with = "turnwise_runfile::Above::<0, 1_000>::read")]
        pub kappa: f64 = 2.0,
        /// c, the penalty of a turn that breaks the format, in units of advantage.
        #[serde(deserialize_with = "turnwise_runfile::Within::<0, 1_000>::read")]
        pub violation_cost: f64 = 0.1,
    }
}

impl AdvantageEstimator for GatedTree {
    fn norm_scope(&self) -> &'static str {
        "others"
    }

    fn credit(&self, groups: &[Vec<Episode>]) -> Vec<Credit> {
        groups.iter().map(|group| self.group_credit(group)).collect()
    }
}

impl GatedTree {
    fn group_credit(&self, group: &[Episode]) -> Credit {
        let rewards: Vec<f64> = group.iter().map(gated).collect();
        let (_, scale) = self.z_score().moments(&rewards);
        let cost = if scale.is_finite() { self.violation_cost } else { 0.0 };
        let advantage = |(difference, violates): (f64, &bool)| {
            finite(difference / scale) - if *violates { cost } else { 0.0 }
        };
        let advantages = self
            .differences(group, &rewards)
            .into_iter()
            .zip(group)
            .map(|(turns, episode)| turns.into_iter().zip(&episode.violations).map(advantage).collect())
            .collect();
        let returns = group.iter().zip(&rewards).map(|(episode, g)| episode.copied(*g)).collect();
        Credit { returns, advantages }
    }

    /// Returns `Q_ij - V_ij` of each turn. `rewards` are the gated ones.
    fn differences(&self, group: &[Episode], rewards: &[f64]) -> PerTurn {
        let tree = Tree::with_violations(group);
        let met =
            |state: usize, i: usize| -> Vec<f64> { tree.others(state, i).map(|k| rewards[k]).collect() };
        let of_trajectory = |i: usize| {
            let path = tree.path(i);
            let mut before: Option<f64> = None;
            let turn = |(j, state): (usize, &usize)| {
                let others = met(*state, i);
                let value = match before {
                    None => mean(&others),
                    Some(before) => {
                        (others.iter().sum::<f64>() + self.kappa * before)
                            / (others.len() as f64 + self.kappa)
                    }
                };
                before = Some(value);
                let next = path.get(j + 1).map(|next| met(*next, i)).unwrap_or_default();
                let w = next.len() as f64 / (next.len() as f64 + self.kappa);
                (1.0 - w) * rewards[i] + w * mean(&next) - value
            };
            path.iter().enumerate().map(turn).collect()
        };
        (0..group.len()).map(of_trajectory).collect()
    }
}

#[cfg(test)]
mod tests;
