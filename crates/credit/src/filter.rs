//! Filters: masks that take trajectories out of the loss, whatever the estimator.
//!
//! A dropped trajectory stays in every statistic that advantages are made of: the mean and σ of its group and
//! of the batch, and the correct code that shaping compares with. No advantage changes. Its tokens weigh 0 in
//! the loss, and the normalisers of [`crate::WeightsConfig`], `N_tokens` and `N_seq`, don't count it.
//!
//! A trajectory with several sequences may lose one of them only. Its turns keep their returns, and the
//! advantages of the others don't change.

use serde::{Deserialize, Serialize};
use turnwise_trajectory::{Finish, Sequence, Trajectory};

use crate::scored::{Group, ScoredTrajectory};

/// Chooses the trajectories that are kept out of the loss. They stay in the statistics of their group: the
/// advantages of the others don't change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each key turns one filter on")]
pub struct FilterConfig {
    /// Drops all trajectories of a group whose total rewards are equal (DAPO, arXiv:2503.14476 §3.2;
    /// `rollout.refill` plays other groups instead). GTPO can still learn brevity from such a group, so this
    /// is off by default.
    pub zero_variance: bool,
    /// Drops trajectories that a limit ended: of a turn's tokens, of turns, or of the context. The metric
    /// `truncated` is their share. A sequence that ends with a cut turn is dropped alone, if its
    /// trajectory has others.
    pub truncated: bool,
    /// Drops trajectories with a turn that holds neither a complete tool call nor a final answer (SimpleTIR,
    /// arXiv:2509.02479).
    pub void_turn: bool,
    /// Drops sequences of agents whose prompts hold a changed answer. It is there in other tokens than were
    /// sampled, or without its thoughts or blanks. The metric `prefix_kept` is the share of calls whose
    /// prompts don't.
    pub diverged: bool,
}

/// Says why a sequence is kept out of the loss, while others of its trajectory may stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Masked {
    /// Its last turn was cut off.
    Cut,
    /// A prompt of it holds an answer that was changed since it was sampled.
    Diverged,
}

/// Names the filter that dropped a trajectory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dropped {
    /// The group's rewards do not differ.
    ZeroVariance,
    /// A limit ended the trajectory.
    Truncated,
    /// Some turn is void.
    VoidTurn,
}

impl Dropped {
    /// Returns the filter's name in records and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::ZeroVariance => "zero_variance",
            Self::Truncated => "truncated",
            Self::VoidTurn => "void_turn",
        }
    }
}

impl FilterConfig {
    /// Returns the first filter that drops each trajectory of a group. `totals` are the rewards `Σ_j r_ij`
    /// after shaping.
    pub fn apply(self, group: &Group, totals: &[f64]) -> Vec<Option<Dropped>> {
        let uniform = totals.windows(2).all(|pair| pair[0] == pair[1]);
        group.trajectories.iter().map(|trajectory| self.verdict(trajectory, uniform)).collect()
    }

    /// Returns why a sequence of a trajectory is dropped alone, if it is.
    pub fn masks(self, trajectory: &Trajectory, sequence: &Sequence) -> Option<Masked> {
        let last = sequence.turns.last().map(|(turn, _)| &trajectory.turns[*turn]);
        if self.diverged && sequence.diverged {
            Some(Masked::Diverged)
        } else if self.truncated && last.is_some_and(|turn| turn.finish == Finish::Length) {
            Some(Masked::Cut)
        } else {
            None
        }
    }

    fn verdict(self, trajectory: &ScoredTrajectory, uniform: bool) -> Option<Dropped> {
        if self.zero_variance && uniform {
            Some(Dropped::ZeroVariance)
        } else if self.truncated && trajectory.truncated {
            Some(Dropped::Truncated)
        } else if self.void_turn && trajectory.void_turn {
            Some(Dropped::VoidTurn)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use turnwise_trajectory::{Stop, Turn};

    use super::*;

    fn check(filters: FilterConfig, flags: &[(bool, bool)], totals: &[f64], expect: &[Option<Dropped>]) {
        let trajectories = flags
            .iter()
            .map(|&(truncated, void_turn)| ScoredTrajectory {
                truncated,
                void_turn,
                ..ScoredTrajectory::default()
            })
            .collect();
        assert_eq!(filters.apply(&Group { group: "g".into(), trajectories }, totals), expect);
    }

    #[test]
    fn each_filter_drops_its_own() {
        use Dropped::{Truncated, VoidTurn, ZeroVariance};
        let off = FilterConfig::default();
        let all = FilterConfig { zero_variance: true, truncated: true, void_turn: true, ..off };
        let flags = [(true, false), (false, true), (true, true), (false, false)];
        check(off, &flags, &[1.0; 4], &[None; 4]);
        check(all, &flags, &[1.0; 4], &[Some(ZeroVariance); 4]);
        check(all, &flags, &[1.0, 0.0, 0.0, 0.0], &[Some(Truncated), Some(VoidTurn), Some(Truncated), None]);
        check(
            FilterConfig { void_turn: true, ..off },
            &flags,
            &[1.0; 4],
            &[None, Some(VoidTurn), Some(VoidTurn), None],
        );
        check(FilterConfig { zero_variance: true, ..off }, &[(false, false)], &[1.0], &[Some(ZeroVariance)]);
    }

    #[test]
    fn a_sequence_is_dropped_alone_if_it_was_cut_or_diverged() {
        let (off, end) = (FilterConfig::default(), Finish::EndOfTurn);
        let masks = |filter: FilterConfig, finish: Finish, diverged: bool| {
            let turn = Turn { tokens: vec![2], logprobs: vec![-0.5], finish, ..Turn::default() };
            let turns = vec![turn];
            let played =
                Trajectory { task: "t".into(), sample: 0, prompt: vec![1], turns, stop: Stop::Answer };
            filter.masks(&played, &Sequence { diverged, ..played.sequences().remove(0) })
        };
        let (cut, diverged) =
            (FilterConfig { truncated: true, ..off }, FilterConfig { diverged: true, ..off });
        assert_eq!(masks(off, Finish::Length, true), None);
        assert_eq!(masks(cut, Finish::Length, true), Some(Masked::Cut));
        assert_eq!(masks(cut, end, true), None);
        assert_eq!(masks(diverged, Finish::Length, true), Some(Masked::Diverged));
        assert_eq!(masks(diverged, end, false), None);
    }
}
