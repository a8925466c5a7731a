//! Scores groups, for the trainer and `turnwise score`: rewards → shaping → normalisation → returns →
//! advantages → filters.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use turnwise_similarity::{Similarity, SimilarityError};
use turnwise_trajectory::Rewards;

use crate::{
    advantage::AdvantageConfig,
    episode::{Episode, PerTurn},
    filter::{Dropped, FilterConfig},
    normalise::{Normalise, normalise},
    reward_weights::RewardWeights,
    scored::{Group, ScoredTrajectory},
    shaping::{ShapingConfig, shaped_accuracies},
};

/// Holds a group with all results of scoring. Numbers are per trajectory and turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoredGroup {
    /// Name of the group.
    pub group: String,
    /// The name of the estimator.
    pub estimator: String,
    /// The set over which baseline and scale were taken.
    pub norm_scope: String,
    /// `r_ij`: the weighted sum of the turn's rewards after shaping and normalisation, less the KL penalty.
    pub rewards: PerTurn,
    /// The quantity behind the advantage. It is the turn's return, or the trajectory's reward for an
    /// estimator without turn-level credit.
    pub returns: PerTurn,
    /// `A_ij`, the advantage of each turn.
    pub advantages: PerTurn,
    /// The filter that removed the trajectory from the loss, or null.
    pub dropped: Vec<Option<Dropped>>,
    /// The result of [`shaped_accuracies`] for each trajectory, which isn't part of a record.
    #[serde(skip)]
    pub shaped: Vec<Option<f64>>,
}

/// Scores groups under one configuration.
pub struct Scorer {
    advantage: AdvantageConfig,
    shaping: ShapingConfig,
    filters: FilterConfig,
    weights: RewardWeights,
    normalise: BTreeMap<String, Normalise>,
    correct_at: f64,
    similarity: Box<dyn Similarity>,
}

impl Scorer {
    /// Returns a scorer that weighs all rewards of a turn the same and normalises none of them. An `acc` of 1
    /// is right. Nothing is computed or contacted yet.
    pub fn new(advantage: AdvantageConfig, shaping: ShapingConfig, filters: FilterConfig) -> Self {
        let similarity = shaping.similarity.build();
        Self {
            advantage,
            shaping,
            filters,
            weights: RewardWeights::default(),
            normalise: BTreeMap::new(),
            correct_at: 1.0,
            similarity,
        }
    }

    /// Weighs the rewards of a turn by their names.
    #[must_use]
    pub fn weighing(self, weights: RewardWeights) -> Self {
        Self { weights, ..self }
    }

    /// Normalises rewards by their names, before they are weighed.
    #[must_use]
    pub fn normalising(self, normalise: BTreeMap<String, Normalise>) -> Self {
        Self { normalise, ..self }
    }

    /// Takes a graded trajectory for right if its accuracy reaches `correct_at`.
    #[must_use]
    pub fn right_from(self, correct_at: f64) -> Self {
        Self { correct_at, ..self }
    }

    /// Scores all groups of a training step, in order.
    ///
    /// `step` counts from 0 and only matters to an annealed α.
    ///
    /// # Errors
    /// If a similarity that leaves the process fails.
    pub fn score(&self, groups: &[Group], step: usize) -> Result<Vec<ScoredGroup>, SimilarityError> {
        let alpha = self.shaping.alpha_at(step);
        let shaped = shaped_accuracies(groups, alpha, self.shaping.centre, &*self.similarity)?;
        let episodes = self.episodes(groups, &shaped);
        let estimator = self.advantage.estimator();
        let credits = estimator.credit(&episodes);
        assert_eq!(credits.len(), groups.len(), "an estimator answers for every group");
        Ok(groups
            .iter()
            .zip(shaped)
            .zip(episodes.into_iter().zip(credits))
            .map(|((group, shaped), (episodes, credit))| {
                let totals: Vec<f64> = episodes.iter().map(Episode::total).collect();
                ScoredGroup {
                    group: group.group.clone(),
                    estimator: self.advantage.name().into(),
                    norm_scope: estimator.norm_scope().into(),
                    rewards: episodes.into_iter().map(|episode| episode.rewards).collect(),
                    returns: credit.returns,
                    advantages: credit.advantages,
                    dropped: self.filters.apply(group, &totals),
                    shaped,
                }
            })
            .collect())
    }

    /// Returns the episodes of all groups, with the KL penalty if it is part of the reward.
    fn episodes<'a>(&self, groups: &'a [Group], shaped: &[Vec<Option<f64>>]) -> Vec<Vec<Episode<'a>>> {
        let episode = |(trajectory, shaped): (&'a ScoredTrajectory, &Option<f64>)| {
            Episode::new(trajectory, *shaped, &self.weights, self.correct_at)
        };
        let of_group = |(group, shaped): (&'a Group, &Vec<Option<f64>>)| -> Vec<Episode<'a>> {
            group.trajectories.iter().zip(shaped).map(episode).collect()
        };
        let mut episodes: Vec<Vec<Episode>> = groups.iter().zip(shaped).map(of_group).collect();
        if !self.normalise.is_empty() {
            let mut turns: Vec<_> =
                groups.iter().zip(shaped).map(|(group, shaped)| group.shaped_turns(shaped)).collect();
            normalise(&mut turns, &self.normalise, &self.weights);
            let earn = |(episode, turns): (Episode<'a>, &Vec<Rewards>)| episode.earning(turns, &self.weights);
            let of_group = |(episodes, turns): (Vec<Episode<'a>>, &Vec<Vec<Rewards>>)| {
                episodes.into_iter().zip(turns).map(earn).collect()
            };
            episodes = episodes.into_iter().zip(&turns).map(of_group).collect();
        }
        if self.shaping.kl_beta > 0.0 {
            let trajectories = groups.iter().flat_map(|group| &group.trajectories);
            for (episode, trajectory) in episodes.iter_mut().flatten().zip(trajectories) {
                for (reward, kl) in episode.rewards.iter_mut().zip(&trajectory.kl) {
                    *reward -= self.shaping.kl_beta * kl;
                }
            }
        }
        episodes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(line: &str, advantage: AdvantageConfig) -> String {
        let group: Group = serde_json::from_str(line).expect("a group");
        let scorer = Scorer::new(advantage, ShapingConfig::default(), FilterConfig::default());
        let scored = scorer.score(&[group], 0).expect("offline").remove(0);
        serde_json::to_string(&scored).expect("no NaN")
    }

    #[test]
    fn the_record_names_everything_it_was_made_with() {
        let line = r#"{"group":"g1","trajectories":[
            {"turns":[{"acc":0.0,"fmt":-0.1},{"acc":1.0,"fmt":0.0}],"correct":true,"code":"print(1)"}]}"#;
        assert_eq!(
            score(line, AdvantageConfig::default()),
            concat!(
                r#"{"group":"g1","estimator":"gtpo","norm_scope":"pooled","rewards":[[-0.1,1.0]],"#,
                r#""returns":[[0.8,1.0]],"advantages":[[-0.7071017812219026,0.7071017812219026]],"dropped":[null]}"#
            )
        );
    }

    #[test]
    fn rewards_of_other_names_count_by_their_weights_and_shaping_replaces_the_accuracy() {
        let line = r#"{"group":"g","trajectories":[
            {"turns":[{"progress":0.5},{"acc":1,"progress":0.25}],"correct":true,"code":"x = 1"},
            {"turns":[{"fmt":-0.5},{"acc":0,"progress":0.5}],"code":"x = 1"}]}"#;
        let group: Group = serde_json::from_str(line).expect("a group");
        let check = |weights: &str, alpha: f64, expect: [[f64; 2]; 2]| {
            let shaping = ShapingConfig { alpha, ..ShapingConfig::default() };
            let scorer = Scorer::new(AdvantageConfig::default(), shaping, FilterConfig::default())
                .weighing(serde_json::from_str(weights).expect("weights"));
            let scored = scorer.score(std::slice::from_ref(&group), 0).expect("offline").remove(0);
            assert_eq!(scored.rewards, expect, "{weights}");
            let turns = group.shaped_turns(&scored.shaped);
            let acc = turns[1][1].acc();
            assert!((acc - alpha).abs() < 1e-12, "all of a copy's share: {acc}");
            assert_eq!((turns[1][1].get("progress"), &turns[0]), (0.5, &group.trajectories[0].turns));
        };
        check("{}", 0.0, [[0.5, 1.25], [-0.5, 0.5]]);
        check(r#"{"progress":2}"#, 0.0, [[1.0, 1.5], [-0.5, 1.0]]);
        check(r#"{"progress":0,"fmt":0}"#, 0.0, [[0.0, 1.0], [0.0, 0.0]]);
        check(r#"{"acc":0}"#, 0.5, [[0.5, 0.25], [-0.5, 0.5]]);
        check("{}", 0.5, [[0.5, 1.25], [-0.5, 1.0]]);
    }

    #[test]
    fn kl_in_the_reward_is_charged_to_the_turn_that_drifted() {
        let line = r#"{"group":"g","trajectories":[
            {"turns":[{"acc":0,"fmt":0},{"acc":1,"fmt":0}],"kl":[0.5,2.0]},
            {"turns":[{"acc":1,"fmt":0}]}]}"#;
        let group: Group = serde_json::from_str(line).expect("a group");
        let check = |kl_beta: f64, expect: [&[f64]; 2]| {
            let shaping = ShapingConfig { kl_beta, ..ShapingConfig::default() };
            let scorer = Scorer::new(AdvantageConfig::default(), shaping, FilterConfig::default());
            let scored = scorer.score(std::slice::from_ref(&group), 0).expect("offline").remove(0);
            assert_eq!(scored.rewards, expect);
        };
        check(0.0, [&[0.0, 1.0], &[1.0]]);
        check(0.1, [&[-0.05, 0.8], &[1.0]]);
    }

    /// Filters change the loss only. Baselines, scales and advantages stay, even those of dropped
    /// trajectories.
    #[test]
    fn filters_leave_every_statistic_alone() {
        let lines = [
            r#"{"group":"a","trajectories":[
                {"turns":[{"acc":0,"fmt":0},{"acc":1,"fmt":0}],"correct":true,"code":"x = 1"},
                {"turns":[{"acc":0,"fmt":-0.1}],"code":"x = 2","truncated":true},
                {"turns":[{"acc":0,"fmt":0},{"acc":0,"fmt":0}],"void_turn":true}]}"#,
            r#"{"group":"b","trajectories":[{"turns":[{"acc":1,"fmt":0}]},{"turns":[{"acc":1,"fmt":0}]}]}"#,
        ];
        let groups: Vec<Group> = lines.map(|line| serde_json::from_str(line).expect("a group")).into();
        for name in AdvantageConfig::NAMES {
            let advantage = AdvantageConfig::named(name).expect("a name");
            let score = |filters| {
                let scorer = Scorer::new(advantage.clone(), ShapingConfig::default(), filters);
                scorer.score(&groups, 0).expect("offline")
            };
            let free = score(FilterConfig::default());
            let mut filtered = score(FilterConfig {
                zero_variance: true,
                truncated: true,
                void_turn: true,
                ..FilterConfig::default()
            });
            let dropped: Vec<_> = filtered.iter().flat_map(|group| group.dropped.clone()).collect();
            assert_eq!(dropped.iter().filter(|d| d.is_some()).count(), 4, "{name}: {dropped:?}");
            for group in &mut filtered {
                group.dropped.fill(None);
            }
            assert_eq!(free, filtered, "{name}");
        }
    }

    #[test]
    fn empty_groups_and_trajectories_are_fine() {
        let empty = r#"{"group":"g","trajectories":[]}"#;
        let hollow = r#"{"group":"g","trajectories":[{"turns":[]},{"turns":[{"acc":1.0,"fmt":0.0}]}]}"#;
        for name in AdvantageConfig::NAMES {
            let advantage = AdvantageConfig::named(name).expect("a name");
            assert!(score(empty, advantage.clone()).contains(r#""advantages":[],"#), "{name}");
            assert!(score(hollow, advantage).contains(r#""rewards":[[],[1.0]]"#), "{name}");
        }
    }
}
