//! Counts of judged trajectories, and their shares.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use turnwise_credit::{ScoredTrajectory, is_graded};
use turnwise_run::Evaluation;
use turnwise_trajectory::{CallRecord, OutputStatus, Rewards, Trajectory};

/// Counts that shares are computed from.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    trajectories: usize,
    correct: usize,
    /// Sum of the grades: of the rewards named `acc` of a trajectory, at most 1.
    acc: f64,
    graded: bool,
    /// Whether the threshold of grades has judged a grade between 0 and 1.
    pub(super) by_grade: bool,
    turns: usize,
    violations: usize,
    executed: usize,
    succeeded: usize,
    levels: BTreeMap<u32, (usize, usize)>,
}

impl Tally {
    pub(crate) fn add(&mut self, level: u32, played: &Trajectory, scored: &ScoredTrajectory) {
        self.trajectories += 1;
        self.correct += usize::from(scored.correct);
        self.acc += scored.turns.iter().map(Rewards::acc).sum::<f64>().min(1.0);
        let graded = is_graded(&scored.turns);
        self.graded |= graded;
        self.by_grade |= graded && played.verdict().is_none();
        self.turns += played.turns.len();
        self.violations += (0..scored.turns.len()).filter(|&turn| scored.violates(turn)).count();
        for call in played.turns.iter().flat_map(|turn| &turn.calls) {
            if let CallRecord::Executed { output, .. } = call {
                self.executed += 1;
                self.succeeded += usize::from(output.status == OutputStatus::Ok);
            }
        }
        let level = self.levels.entry(level).or_default();
        level.0 += usize::from(scored.correct);
        level.1 += 1;
    }

    /// Adds the counts of others.
    pub(super) fn merge(&mut self, other: &Self) {
        self.trajectories += other.trajectories;
        self.correct += other.correct;
        self.acc += other.acc;
        self.graded |= other.graded;
        self.by_grade |= other.by_grade;
        self.turns += other.turns;
        self.violations += other.violations;
        self.executed += other.executed;
        self.succeeded += other.succeeded;
        for (&level, (right, all)) in &other.levels {
            let counts = self.levels.entry(level).or_default();
            counts.0 += right;
            counts.1 += all;
        }
    }

    pub(crate) fn evaluation(&self) -> Evaluation {
        Evaluation {
            trajectories: self.trajectories,
            accuracy: share(self.correct, self.trajectories),
            mean_acc: self.graded.then(|| self.acc / self.trajectories as f64),
            tool_success: share(self.succeeded, self.executed),
            violations: share(self.violations, self.turns),
            turns: share(self.turns, self.trajectories),
            levels: self.levels.iter().map(|(level, (right, all))| (*level, share(*right, *all))).collect(),
            ..Evaluation::default()
        }
    }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
