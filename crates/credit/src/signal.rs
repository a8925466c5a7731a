//! Whether a group teaches anything, by the rule of the estimator that scored it.

use crate::score::ScoredGroup;
use crate::scored::Group;

/// Says why a group has no signal: no trajectory of it that is in the loss has an advantage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoSignal {
    /// No trajectory is left.
    Lost,
    /// All trajectories are right.
    AllRight,
    /// All trajectories are wrong.
    AllWrong,
    /// Filters took out every trajectory with an advantage.
    Filtered,
    /// Right and wrong trajectories have the same advantage, for example by weights of 0.
    Equal,
}

impl NoSignal {
    /// Returns the reason's name in records and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::AllRight => "all_right",
            Self::AllWrong => "all_wrong",
            Self::Filtered => "filtered",
            Self::Equal => "equal",
        }
    }
}

/// Advantages up to this are rounding. Those of equal rewards are 0 up to a few units of the last place.
const ROUNDING: f64 = 1e-9;

impl ScoredGroup {
    /// Returns why the group would move no weight; none if it would.
    ///
    /// A group has a signal if a trajectory that no filter dropped has a turn whose advantage isn't 0. That
    /// is the estimator's rule: GRPO's groups of equal rewards have none, and GTPO's groups that are all
    /// right have one where lengths differ. With `filter.zero_variance` the rule is that of dynamic sampling
    /// (DAPO, arXiv:2503.14476 §3.2).
    ///
    /// # Panics
    /// If `group` isn't the group that was scored.
    pub fn no_signal(&self, group: &Group) -> Option<NoSignal> {
        assert_eq!(group.trajectories.len(), self.advantages.len(), "the scores of {}", group.group);
        let moves = |turns: &Vec<f64>| turns.iter().any(|advantage| advantage.abs() > ROUNDING);
        let mut rows = self.advantages.iter().zip(&self.dropped);
        if rows.any(|(turns, dropped)| dropped.is_none() && moves(turns)) {
            return None;
        }
        let right = group.trajectories.iter().filter(|trajectory| trajectory.correct).count();
        Some(match right {
            _ if group.trajectories.is_empty() => NoSignal::Lost,
            0 => NoSignal::AllWrong,
            all if all == group.trajectories.len() => NoSignal::AllRight,
            _ if self.advantages.iter().any(moves) => NoSignal::Filtered,
            _ => NoSignal::Equal,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AdvantageConfig, FilterConfig, RewardWeights, Scorer, ShapingConfig};

    /// Each trajectory is the number of its turns and whether its last one is right.
    fn group(trajectories: &[(usize, bool)]) -> Group {
        let rows: Vec<String> = trajectories
            .iter()
            .map(|&(turns, right)| {
                let turns: Vec<String> = (1..=turns)
                    .map(|turn| format!(r#"{{"acc":{},"fmt":0}}"#, u8::from(right && turn == turns)))
                    .collect();
                format!(r#"{{"turns":[{}],"correct":{right}}}"#, turns.join(","))
            })
            .collect();
        let line = format!(r#"{{"group":"g","trajectories":[{}]}}"#, rows.join(","));
        serde_json::from_str(&line).expect("a group")
    }

    fn reason(name: &str, filter: FilterConfig, weights: &str, group: &Group) -> Option<&'static str> {
        let advantage = AdvantageConfig::named(name).expect("a name");
        let shaping = ShapingConfig { alpha: 0.0, ..ShapingConfig::default() };
        let weights: RewardWeights = serde_json::from_str(weights).expect("weights");
        let scorer = Scorer::new(advantage, shaping, filter).weighing(weights);
        let scored = scorer.score(std::slice::from_ref(group), 0).expect("offline").remove(0);
        scored.no_signal(group).map(NoSignal::name)
    }

    #[test]
    fn groups_that_are_all_right_or_all_wrong_teach_nothing() {
        let (right, wrong, mixed) =
            (group(&[(2, true); 3]), group(&[(2, false); 3]), group(&[(2, true), (2, false), (2, false)]));
        for name in AdvantageConfig::NAMES {
            // Estimators that see turns can prefer one turn of equal trajectories to another.
            let by_turn = ["gtpo", "process_grpo", "rebn", "gigpo"].contains(name);
            let expect = if by_turn { None } else { Some("all_right") };
            let found = reason(name, FilterConfig::default(), "{}", &right);
            assert!(found == expect || found == Some("all_right"), "{name}: {found:?}");
            assert_eq!(reason(name, FilterConfig::default(), "{}", &wrong), Some("all_wrong"), "{name}");
            assert_eq!(reason(name, FilterConfig::default(), "{}", &mixed), None, "{name}");
            let dapo = FilterConfig { zero_variance: true, ..FilterConfig::default() };
            assert_eq!(reason(name, dapo, "{}", &right), Some("all_right"), "{name}");
            assert_eq!(reason(name, dapo, "{}", &mixed), None, "{name}");
        }
    }

    #[test]
    fn the_estimator_decides_what_a_solved_group_teaches() {
        let lengths = group(&[(1, true), (3, true)]);
        let check = |name, expect| {
            assert_eq!(reason(name, FilterConfig::default(), "{}", &lengths), expect, "{name}");
        };
        check("gtpo", None);
        check("grpo", Some("all_right"));
        check("dr_grpo", Some("all_right"));
    }

    #[test]
    fn what_filters_weights_and_losses_leave() {
        let off = FilterConfig::default();
        let mut mixed = group(&[(1, true), (1, false)]);
        assert_eq!(reason("grpo", off, r#"{"acc":0}"#, &mixed), Some("equal"));
        mixed.trajectories.iter_mut().for_each(|trajectory| trajectory.truncated = true);
        let truncated = FilterConfig { truncated: true, ..off };
        assert_eq!(reason("grpo", truncated, "{}", &mixed), Some("filtered"));
        mixed.trajectories[0].truncated = false;
        assert_eq!(reason("grpo", truncated, "{}", &mixed), None, "one of them is in the loss");
        assert_eq!(reason("grpo", off, "{}", &group(&[])), Some("lost"));
        assert_eq!(reason("grpo", off, "{}", &group(&[(1, true)])), Some("all_right"), "alone in its group");
    }
}
