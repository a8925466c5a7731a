//! Limits the trajectories that a step or an evaluation may lose.

use turnwise_rollout::Lost;

use crate::error::TrainError;

/// Fails if more than half of `all` trajectories were lost. Fewer are dropped and counted (`rollouts_lost`):
/// no error of one trajectory ends a run.
pub(crate) fn refuse_many(lost: &[Lost], all: usize) -> Result<(), TrainError> {
    match lost.first() {
        Some(first) if 2 * lost.len() > all => {
            Err(TrainError::Lost { lost: lost.len(), all, first: first.clone() })
        }
        _ => Ok(()),
    }
}

/// Most reasons that are told.
const REASONS: usize = 8;

/// Returns lines about lost trajectories: their number, and each reason with its number.
pub(crate) fn reasons(lost: &[Lost]) -> Vec<String> {
    if lost.is_empty() {
        return Vec::new();
    }
    let mut found: Vec<(&Lost, usize)> = Vec::new();
    for one in lost {
        match found.iter_mut().find(|(first, _)| first.reason == one.reason) {
            Some((_, count)) => *count += 1,
            None => found.push((one, 1)),
        }
    }
    let mut lines = vec![format!("rollouts lost: {}", lost.len())];
    lines.extend(found.iter().take(REASONS).map(|(first, count)| match count {
        1 => format!("lost: {first}"),
        _ => format!("lost {count} times, first: {first}"),
    }));
    if found.len() > REASONS {
        lines.push(format!(
            "lost: and {} others, by other reasons",
            found.iter().skip(REASONS).map(|(_, n)| n).sum::<usize>()
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_told_once_with_its_number() {
        let lost = |sample: u32, reason: &str| Lost { task: "t".into(), sample, reason: reason.into() };
        assert_eq!(reasons(&[]), Vec::<String>::new());
        let some = [lost(0, "gone"), lost(1, "late"), lost(3, "gone")];
        let expect =
            ["rollouts lost: 3", "lost 2 times, first: t, sample 0: gone", "lost: t, sample 1: late"];
        assert_eq!(reasons(&some), expect);
        let many: Vec<Lost> = (0..30).map(|n| lost(n, &format!("reason {}", n % 10))).collect();
        let lines = reasons(&many);
        assert_eq!((lines.len(), lines[9].as_str()), (10, "lost: and 6 others, by other reasons"));
    }

    #[test]
    fn more_than_half_is_too_many() {
        let lost = |n: u32| -> Vec<Lost> {
            (0..n).map(|sample| Lost { task: "t".into(), sample, reason: "gone".into() }).collect()
        };
        for (n, all, fails) in [(0, 0, false), (0, 8, false), (4, 8, false), (5, 8, true), (1, 1, true)] {
            assert_eq!(refuse_many(&lost(n), all).is_err(), fails, "{n} of {all}");
        }
        let error = refuse_many(&lost(3), 4).unwrap_err().to_string();
        assert_eq!(error, "3 of 4 trajectories were lost, more than half; the first: t, sample 0: gone");
    }
}
