//! Computes the metrics of a step's choice of tasks.

use turnwise_credit::{Group, NoSignal, ScoredGroup};
use turnwise_curriculum::Shares;
use turnwise_run::{CurriculumMetrics, GroupRecord, Metric, RefillMetrics};

/// Counts the groups of a step: those that were replaced, and those that it learns from.
pub(crate) fn refill(replaced: &[GroupRecord], groups: &[Group], scored: &[ScoredGroup]) -> RefillMetrics {
    let why = || replaced.iter().filter_map(|record| record.replaced.as_ref());
    let by = |reason: NoSignal| why().filter(|replaced| replaced.reason == reason.name()).count();
    let given_up = replaced.iter().flat_map(|record| &record.trajectories).map(|t| t.scored.correct);
    let learnt = groups.iter().flat_map(|group| &group.trajectories).map(|t| t.correct);
    let right: Vec<bool> = given_up.chain(learnt).collect();
    RefillMetrics {
        rounds: why().map(|replaced| replaced.round + 1).max().unwrap_or(0),
        played: groups.len() + replaced.len(),
        replaced: replaced.len(),
        all_right: by(NoSignal::AllRight),
        all_wrong: by(NoSignal::AllWrong),
        without_signal: groups.iter().zip(scored).filter(|(g, s)| s.no_signal(g).is_some()).count(),
        accuracy: (right.iter().filter(|right| **right).count() as f64 / right.len().max(1) as f64).into(),
    }
}

/// Puts the states of all tasks into a record.
pub(crate) fn curriculum(shares: Shares) -> CurriculumMetrics {
    let Shares { unseen, hard, learnable, easy, success } = shares;
    CurriculumMetrics {
        unseen: unseen.into(),
        hard: hard.into(),
        learnable: learnable.into(),
        easy: easy.into(),
        success: success.map(Metric::from).unwrap_or_default(),
    }
}
