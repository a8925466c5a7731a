//! Self-supervised reward shaping: a failed trajectory earns a share for code that resembles correct code.

use serde::{Deserialize, Serialize};
use turnwise_runfile::Within;
use turnwise_similarity::{Similarity, SimilarityConfig, SimilarityError};
use turnwise_trajectory::Rewards;

use crate::{kl::KlEstimator, moments::mean, scored::Group};

/// Configures the shaping of failed trajectories (arXiv:2511.14846 §3.4).
///
/// ```text
/// acc_iT = (α / |P|) · Σ_{p in P} sim(code_i, code_p)
/// ```
///
/// `P` holds the correct trajectories of the group, and the sum is divided by `|P|` once. If none or all of
/// the group are correct, its rewards are unchanged. The shaped reward is the one named `acc`. Ours: a grade
/// that is above the share stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShapingConfig {
    /// α, the accuracy of a failed trajectory whose code equals a correct one's; 0 turns shaping off.
    #[serde(deserialize_with = "Within::<0, 1>::read")]
    pub alpha: f64,
    /// α at and after `anneal_steps`.
    #[serde(deserialize_with = "Within::<0, 1>::read")]
    pub alpha_end: f64,
    /// Number of steps over which α moves linearly to `alpha_end`; 0 keeps it constant.
    #[serde(deserialize_with = "Within::<0, 1_000_000_000>::read")]
    pub anneal_steps: usize,
    /// The similarity of programs.
    pub similarity: SimilarityConfig,
    /// Whether similarity is measured above that of code for *different* prompts. Then `s' = max(0, (s -
    /// s0)/(1 - s0))`, where `s0` is the mean similarity across prompts. Ours: code for one tool is always
    /// somewhat alike.
    pub centre: bool,
    /// β of a KL penalty in the reward; 0 is none. Each turn's reward loses β times the summed KL divergence
    /// of its tokens to the reference (arXiv:2203.02155 eq. 2, per turn). The penalty in the loss is a key of
    /// the loss.
    #[serde(deserialize_with = "Within::<0, 1_000>::read")]
    pub kl_beta: f64,
    /// The estimator of that divergence.
    pub kl: KlEstimator,
}

impl Default for ShapingConfig {
    fn default() -> Self {
        Self {
            alpha: 0.5,
            alpha_end: 0.0,
            anneal_steps: 0,
            similarity: SimilarityConfig::default(),
            centre: false,
            kl_beta: 0.0,
            kl: KlEstimator::K1,
        }
    }
}

impl ShapingConfig {
    /// Returns α at a training step, steps counted from 0.
    pub fn alpha_at(&self, step: usize) -> f64 {
        if self.anneal_steps == 0 {
            return self.alpha;
        }
        let done = (step as f64 / self.anneal_steps as f64).min(1.0);
        self.alpha + done * (self.alpha_end - self.alpha)
    }
}

/// Returns the accuracy that shaping gives to the last turn of each failed trajectory, by group and
/// trajectory.
///
/// It replaces the turn's reward named `acc`. None where a trajectory keeps its rewards: it is correct, it
/// has no turns, its group has no correct one, or `alpha` is 0.
pub fn shaped_accuracies(
    groups: &[Group],
    alpha: f64,
    centre: bool,
    similarity: &dyn Similarity,
) -> Result<Vec<Vec<Option<f64>>>, SimilarityError> {
    let mut shaped: Vec<Vec<Option<f64>>> = groups.iter().map(|g| vec![None; g.trajectories.len()]).collect();
    if alpha == 0.0 {
        return Ok(shaped);
    }
    let common = if centre { across_prompts(groups, similarity)? } else { 0.0 };
    for (group, shaped) in groups.iter().zip(&mut shaped) {
        let (failed, correct) = (indices(group, false), indices(group, true));
        if failed.is_empty() || correct.is_empty() {
            continue;
        }
        let matrix = similarity.matrix(&codes(group, &failed), &codes(group, &correct))?;
        for (i, row) in failed.iter().zip(&matrix) {
            if !group.trajectories[*i].turns.is_empty() {
                let alike = mean(&row.iter().map(|s| centred(*s, common)).collect::<Vec<_>>());
                let graded = group.trajectories[*i].turns.last().map_or(0.0, Rewards::acc);
                shaped[*i] = Some((alpha * alike).max(graded));
            }
        }
    }
    Ok(shaped)
}

/// Returns `max(0, (s - s0)/(1 - s0))`.
fn centred(s: f64, common: f64) -> f64 {
    if common < 1.0 { ((s - common) / (1.0 - common)).max(0.0) } else { 0.0 }
}

/// Returns the mean similarity of failed code to the correct code of the next group that has any; 0 with one
/// group. One neighbour per group is enough for a mean and keeps the cost linear in the number of groups.
fn across_prompts(groups: &[Group], similarity: &dyn Similarity) -> Result<f64, SimilarityError> {
    let solved: Vec<usize> = (0..groups.len()).filter(|g| !indices(&groups[*g], true).is_empty()).collect();
    let mut seen = Vec::new();
    for (g, group) in groups.iter().enumerate() {
        let next = solved.iter().find(|s| **s > g).or_else(|| solved.iter().find(|s| **s != g));
        if let Some(other) = next.map(|s| &groups[*s]) {
            let (failed, correct) = (indices(group, false), indices(other, true));
            seen.extend(similarity.matrix(&codes(group, &failed), &codes(other, &correct))?.concat());
        }
    }
    Ok(mean(&seen))
}

fn indices(group: &Group, correct: bool) -> Vec<usize> {
    (0..group.trajectories.len()).filter(|i| group.trajectories[*i].correct == correct).collect()
}

fn codes<'a>(group: &'a Group, of: &[usize]) -> Vec<&'a str> {
    of.iter().map(|i| group.trajectories[*i].code.as_str()).collect()
}

#[cfg(test)]
#[expect(clippy::unreadable_literal, reason = "the fixtures' numbers, as they are printed elsewhere")]
mod tests {
    use turnwise_similarity::Matrix;

    use super::*;
    use crate::{
        AdvantageConfig, AdvantageEstimator, Episode, FilterConfig, Gtpo, RewardWeights, ScoredTrajectory,
        Scorer,
    };

    /// Looks similarities up in a table: the code is a row or column number.
    struct Table(Matrix);

    impl Similarity for Table {
        fn matrix(&self, rows: &[&str], columns: &[&str]) -> Result<Matrix, SimilarityError> {
            let number = |code: &str| code.parse::<usize>().expect("a number");
            Ok(rows.iter().map(|r| columns.iter().map(|c| self.0[number(r)][number(c)]).collect()).collect())
        }
    }

    fn trajectory(turns: &[(f64, f64)], correct: bool, code: &str) -> ScoredTrajectory {
        let turns = turns.iter().map(|&(acc, fmt)| Rewards::new(acc, fmt)).collect();
        ScoredTrajectory { turns, correct, code: code.into(), ..ScoredTrajectory::default() }
    }

    fn group(trajectories: Vec<ScoredTrajectory>) -> Group {
        Group { group: "g".into(), trajectories }
    }

    fn fixture_a() -> Group {
        group(vec![
            trajectory(&[(0.0, 0.0), (0.0, -0.1), (1.0, 0.0)], true, "0"),
            trajectory(&[(0.0, 0.0), (1.0, 0.0)], true, "1"),
            trajectory(&[(0.0, 0.0)], false, "2"),
            trajectory(&[(0.0, -0.1), (0.0, 0.0), (0.0, 0.0)], false, "3"),
        ])
    }

    #[test]
    fn fixture_b() {
        let table = Table(vec![vec![0.0; 2], vec![0.0; 2], vec![0.6, 0.8], vec![0.4, 0.2]]);
        let groups = [fixture_a()];
        let shaped = shaped_accuracies(&groups, 0.5, false, &table).expect("a table").remove(0);
        let equal = RewardWeights::default();
        let episodes: Vec<Episode> = groups[0]
            .trajectories
            .iter()
            .zip(shaped)
            .map(|(trajectory, shaped)| Episode::new(trajectory, shaped, &equal, 1.0))
            .collect();
        let credit = Gtpo::default().credit(&[episodes]).remove(0);
        let close = |got: &[f64], expect: &[f64]| {
            assert_eq!(got.len(), expect.len());
            got.iter().zip(expect).for_each(|(g, e)| assert!((g - e).abs() < 1e-6, "{g} is not {e}"));
        };
        close(&credit.returns[2], &[0.35]);
        close(&credit.returns[3], &[0.0215, 0.135, 0.15]);
        close(&credit.advantages[0], &[0.391599, 0.592490, 1.094719]);
        close(&credit.advantages[1], &[0.843604, 1.094719]);
        close(&credit.advantages[2], &[-0.537524]);
        close(&credit.advantages[3], &[-1.362434, -1.077420, -1.039753]);
    }

    #[test]
    fn nothing_to_resemble_or_nothing_failed_changes_nothing() {
        let check = |correct: bool| {
            let group = group(vec![
                trajectory(&[(0.0, -0.1)], correct, "x"),
                trajectory(&[(0.0, 0.0)], correct, "x"),
            ]);
            let similarity = SimilarityConfig::default().build();
            let shaped = shaped_accuracies(&[group], 0.5, false, &*similarity).expect("offline");
            assert_eq!(shaped, [[None, None]]);
        };
        check(true);
        check(false);
    }

    #[test]
    fn empty_code_earns_nothing_and_no_turn_is_made_up() {
        let group = group(vec![
            trajectory(&[(1.0, 0.0)], true, "print(1)"),
            trajectory(&[(0.0, 0.0)], false, ""),
            trajectory(&[], false, "print(1)"),
            trajectory(&[(0.0, 0.0)], false, "print(1)"),
        ]);
        let similarity = SimilarityConfig::default().build();
        let shaped = shaped_accuracies(&[group], 0.5, false, &*similarity).expect("offline").remove(0);
        assert_eq!(shaped[..3], [None, Some(0.0), None]);
        assert!((shaped[3].expect("a share") - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_grade_above_its_share_stays() {
        let shaped = |acc: f64, code: &str| {
            let failed = trajectory(&[(0.0, 0.0), (acc, 0.0)], false, code);
            let group = group(vec![trajectory(&[(1.0, 0.0)], true, "print(1)"), failed]);
            let similarity = SimilarityConfig::default().build();
            shaped_accuracies(&[group], 0.5, false, &*similarity).expect("offline").remove(0)[1]
        };
        assert_eq!((shaped(0.75, "print(1)"), shaped(0.75, "")), (Some(0.75), Some(0.75)));
        let copied = shaped(0.25, "print(1)").expect("a share");
        assert!((copied - 0.5).abs() < 1e-12, "{copied}");
    }

    #[test]
    fn centring_takes_out_what_all_prompts_share() {
        // Failed code 0 and 2, correct code 1 and 3; across prompts 0.5, within 0.8 and 0.4.
        let mut table = vec![vec![0.0; 4]; 4];
        (table[0][1], table[2][3], table[0][3], table[2][1]) = (0.8, 0.4, 0.5, 0.5);
        let pair = |failed: &str, correct: &str| {
            group(vec![trajectory(&[(0.0, 0.0)], false, failed), trajectory(&[(1.0, 0.0)], true, correct)])
        };
        let groups = [pair("0", "1"), pair("2", "3")];
        let shaped = shaped_accuracies(&groups, 0.5, true, &Table(table)).expect("a table");
        let first = shaped[0][0].expect("a share");
        assert!((first - 0.5 * 0.6).abs() < 1e-12, "(0.8 - 0.5) / (1 - 0.5)");
        assert_eq!(shaped[1][0], Some(0.0), "below the mean is nothing");
    }

    /// A known property: a failure's shaped reward stays whole, while a success's return of its first turn is
    /// discounted.
    #[test]
    fn from_eight_turns_on_a_copy_outranks_the_first_move_of_a_success() {
        let outranks = |turns: usize| {
            let mut rewards = vec![(0.0, 0.0); turns];
            rewards[turns - 1].0 = 1.0;
            let group = group(vec![
                trajectory(&rewards, true, "a = 1\nprint(a)"),
                trajectory(&[(0.0, 0.0)], false, "a = 1\nprint(a)"),
            ]);
            let scorer =
                Scorer::new(AdvantageConfig::default(), ShapingConfig::default(), FilterConfig::default());
            let advantages = scorer.score(&[group], 0).expect("offline").remove(0).advantages;
            advantages[1][0] > advantages[0][0]
        };
        assert!((2..=7).all(|turns| !outranks(turns)));
        assert!(outranks(8), "0.9^7 is below 0.5");
    }

    #[test]
    fn alpha_moves_linearly_and_stays_at_its_end() {
        let config =
            ShapingConfig { alpha: 0.5, alpha_end: 0.1, anneal_steps: 4, ..ShapingConfig::default() };
        let check = |step: usize, expect: f64| assert!((config.alpha_at(step) - expect).abs() < 1e-12);
        check(0, 0.5);
        check(1, 0.4);
        check(4, 0.1);
        check(9, 0.1);
        assert_eq!(ShapingConfig::default().alpha_at(1000), 0.5);
    }
}
