//! The gated reward with a control variate from other groups: a candidate of this project.

use super::{AdvantageEstimator, Credit, gated::gated};
use crate::{
    episode::{Episode, PerTurn},
    moments::{finite, mean, z_scored},
};

z_scored! {
    /// Subtracts a value predicted from the turns before, learnt on the other groups of the batch. A
    /// candidate of this project without a paper. No result recommends it so far.
    ///
    /// The reward is that of `grpo_min`, `g_i = min(acc, format_ok)`, and `m_i` is its mean over the
    /// other trajectories of the group:
    ///
    /// ```text
    /// A_ij = (g_i - V_ij) / (σ_g + ε)         V_ij = m_i + ŵ · f(x_ij)
    /// x_ij = (1, m_i, j, violations before turn j, whether turn j-1 broke the format,
    ///         whether others of the group had this observation, their mean of g less m_i)
    /// ```
    ///
    /// `f` is the ridge regression of `g - m` on `x` over all turns of the other groups. `ŵ = Cov / Var`
    /// between 0 and 1 regresses `g - m` on such predictions over the other groups, each predicted without
    /// itself. In a batch of fewer than three groups `ŵ` is 0.
    ///
    /// `V_ij` never uses turns of `i` from `j` on, so `g_i - V_ij` gives the policy gradient of `g` without
    /// bias. Dividing by `σ_g`, which contains `g_i`, is the bias of every such estimator. With `ŵ = 0` it is
    /// `grpo_min` times `n / (n - 1)`, `n` trajectories in the group. Late turns are blamed less for what
    /// went wrong before them, since `V_ij` is low by then.
    ///
    /// The estimator sees no statuses of tools, so violations stand for failed calls in `x`.
    ///
    /// It reads what `grpo_min` reads: `acc` without its weight, and the flags of violations.
    pub struct CrossGroup {
        /// The penalty of the ridge regression on squared coefficients, in turns.
        #[serde(deserialize_with = "turnwise_runfile::Above::<0, 1_000_000>::read")]
        pub ridge: f64 = 1.0,
    }
}

/// Predictions whose squares are below this share of those of the rewards are rounding.
const ROUNDING: f64 = 1e-9;
/// Number of entries of `x`.
const FEATURES: usize = 7;

type Features = [f64; FEATURES];

/// Holds a turn as the regression sees it.
struct Row {
    x: Features,
    /// `g_i - m_i`.
    y: f64,
}

/// Holds the sums of a regression over some groups, which add up and can be taken out again.
#[derive(Clone, Copy, Default)]
struct Sums {
    xx: [[f64; FEATURES]; FEATURES],
    xy: Features,
}

impl Sums {
    fn of(rows: &[Row]) -> Self {
        let mut sums = Self::default();
        for Row { x, y } in rows {
            for (a, row) in x.iter().zip(&mut sums.xx) {
                for (b, entry) in x.iter().zip(row) {
                    *entry += a * b;
                }
            }
            for (a, entry) in x.iter().zip(&mut sums.xy) {
                *entry += a * y;
            }
        }
        sums
    }

    fn plus(mut self, other: &Self, sign: f64) -> Self {
        let entries = self.xx.iter_mut().flatten().chain(&mut self.xy);
        for (entry, more) in entries.zip(other.xx.iter().flatten().chain(&other.xy)) {
            *entry += sign * more;
        }
        self
    }

    /// Solves `(X'X + ridge) b = X'y` by Cholesky's decomposition. The matrix is positive definite.
    fn solve(&self, ridge: f64) -> Features {
        let mut root = [[0.0; FEATURES]; FEATURES];
        for i in 0..FEATURES {
            for j in 0..=i {
                let done: f64 = (0..j).map(|k| root[i][k] * root[j][k]).sum();
                root[i][j] = if i == j {
                    (self.xx[i][i] + ridge - done).max(f64::MIN_POSITIVE).sqrt()
                } else {
                    (self.xx[i][j] - done) / root[j][j]
                };
            }
        }
        let mut b = self.xy;
        for i in 0..FEATURES {
            let done: f64 = (0..i).map(|k| root[i][k] * b[k]).sum();
            b[i] = (b[i] - done) / root[i][i];
        }
        for i in (0..FEATURES).rev() {
            let done: f64 = (i + 1..FEATURES).map(|k| root[k][i] * b[k]).sum();
            b[i] = (b[i] - done) / root[i][i];
        }
        b
    }
}

fn predicted(b: &Features, x: &Features) -> f64 {
    b.iter().zip(x).map(|(b, x)| b * x).sum()
}

impl AdvantageEstimator for CrossGroup {
    fn norm_scope(&self) -> &'static str {
        "batch"
    }

    fn credit(&self, groups: &[Vec<Episode>]) -> Vec<Credit> {
        let rewards: Vec<Vec<f64>> = groups.iter().map(|group| group.iter().map(gated).collect()).collect();
        let baselines = self.baselines(groups, &rewards);
        let of_group = |((group, rewards), baselines): ((&Vec<Episode>, &Vec<f64>), &PerTurn)| {
            let (_, scale) = self.z_score().moments(rewards);
            let turns = |(g, baselines): (&f64, &Vec<f64>)| {
                baselines.iter().map(|value| finite((g - value) / scale)).collect()
            };
            Credit {
                returns: group.iter().zip(rewards).map(|(episode, g)| episode.copied(*g)).collect(),
                advantages: rewards.iter().zip(baselines).map(turns).collect(),
            }
        };
        groups.iter().zip(&rewards).zip(&baselines).map(of_group).collect()
    }
}

impl CrossGroup {
    /// Returns `V_ij` of each turn. `rewards` are the gated ones.
    fn baselines(&self, groups: &[Vec<Episode>], rewards: &[Vec<f64>]) -> Vec<PerTurn> {
        let rows: Vec<Vec<Vec<Row>>> =
            groups.iter().zip(rewards).map(|(group, rewards)| rows(group, rewards)).collect();
        let flat: Vec<Sums> = rows
            .iter()
            .map(|group| group.iter().fold(Sums::default(), |sums, turns| sums.plus(&Sums::of(turns), 1.0)))
            .collect();
        let all = flat.iter().fold(Sums::default(), |sums, group| sums.plus(group, 1.0));
        let of_group = |(t, (group, rewards)): (usize, (&Vec<Vec<Row>>, &Vec<f64>))| -> PerTurn {
            let others = all.plus(&flat[t], -1.0);
            let (shrink, b) = (self.shrinkage(t, &rows, &flat, &others), others.solve(self.ridge));
            let of_trajectory = |(i, turns): (usize, &Vec<Row>)| {
                let m = mean_of_others(rewards, i);
                turns.iter().map(|row| m + shrink * predicted(&b, &row.x)).collect()
            };
            group.iter().enumerate().map(of_trajectory).collect()
        };
        rows.iter().zip(rewards).enumerate().map(of_group).collect()
    }

    /// Returns `ŵ` for group `t`: how far predictions of the other groups, each made without it and without
    /// `t`, agree with their rewards.
    fn shrinkage(&self, t: usize, rows: &[Vec<Vec<Row>>], flat: &[Sums], others: &Sums) -> f64 {
        if rows.len() < 3 {
            return 0.0;
        }
        let (mut cov, mut var, mut all) = (0.0, 0.0, 0.0);
        for (s, group) in rows.iter().enumerate().filter(|(s, _)| *s != t) {
            let b = others.plus(&flat[s], -1.0).solve(self.ridge);
            for row in group.iter().flatten() {
                let value = predicted(&b, &row.x);
                cov += value * row.y;
                var += value * value;
                all += row.y * row.y;
            }
        }
        // Predictions of groups without a spread are rounding, which agrees with anything.
        if var > ROUNDING * all { (cov / var).clamp(0.0, 1.0) } else { 0.0 }
    }
}

fn mean_of_others(rewards: &[f64], i: usize) -> f64 {
    let others: Vec<f64> = rewards.iter().enumerate().filter(|(k, _)| *k != i).map(|(_, g)| *g).collect();
    mean(&others)
}

/// Returns the turns of a group, by trajectory. Those of a trajectory that is alone teach nothing.
fn rows(group: &[Episode], rewards: &[f64]) -> Vec<Vec<Row>> {
    let alone = group.len() < 2;
    let of_trajectory = |(i, episode): (usize, &Episode)| {
        let m = mean_of_others(rewards, i);
        let row = |j: usize| {
            if alone {
                return Row { x: [0.0; FEATURES], y: 0.0 };
            }
            let before = &episode.violations[..j];
            let met = same_observation(group, rewards, i, j);
            let seen = f64::from(u8::from(!met.is_empty()));
            let difference = if met.is_empty() { 0.0 } else { mean(&met) - m };
            let failed = before.iter().filter(|broke| **broke).count() as f64;
            let last = f64::from(u8::from(before.last() == Some(&true)));
            Row { x: [1.0, m, j as f64, failed, last, seen, difference], y: rewards[i] - m }
        };
        (0..episode.rewards.len()).map(row).collect()
    };
    group.iter().enumerate().map(of_trajectory).collect()
}

/// Returns the rewards of the other trajectories that had the observation before turn `j` of trajectory `i`,
/// at any turn. None had the prompt or an unknown one.
fn same_observation(group: &[Episode], rewards: &[f64], i: usize, j: usize) -> Vec<f64> {
    let Some(key) = group[i].states.get(j).filter(|_| j > 0) else { return Vec::new() };
    let had = |episode: &Episode| episode.states.iter().skip(1).any(|other| other == key);
    let others = group.iter().zip(rewards).enumerate().filter(|(k, _)| *k != i);
    others.filter(|(_, (episode, _))| had(episode)).map(|(_, (_, g))| *g).collect()
}

#[cfg(test)]
mod tests;
