//! Results of evaluations, and `evaluation.json` with those before and after a run.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use turnwise_files::own;
use turnwise_stats::TaskOutcome;

use crate::error::RunDirError;
use crate::metric::is_zero;
use crate::run_dir::RunDir;

/// Holds the result of an evaluation. Shares are between 0 and 1.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Evaluation {
    /// Trajectories played.
    pub trajectories: usize,
    /// Share of trajectories whose final answer is right.
    pub accuracy: f64,
    /// Mean grade of a trajectory, the sum of its rewards named `acc` and at most 1. None where every grade
    /// is 0 or 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_acc: Option<f64>,
    /// The grade from which a trajectory counts as right, where that has decided: in accuracy, pass@k and
    /// majority@k.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correct_at: Option<f64>,
    /// Share of valid calls whose execution went well.
    pub tool_success: f64,
    /// Share of turns that broke the format.
    pub violations: f64,
    /// Turns per trajectory.
    pub turns: f64,
    /// Accuracy by level of the task.
    pub levels: BTreeMap<u32, f64>,
    /// Trajectories that were lost to errors of turnwise or of a service. They count nowhere else.
    #[serde(skip_serializing_if = "is_zero")]
    pub rollouts_lost: usize,
    /// Faults of the environment. Those that a second play made good count too.
    #[serde(skip_serializing_if = "is_zero")]
    pub env_faults: u64,
    /// The lost trajectories and their reasons, a line for each.
    #[serde(skip)]
    pub lost: Vec<String>,
    /// Results task by task. [`turnwise_stats::summarize`] computes intervals, pass@k and majority@k from
    /// them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outcomes: Vec<TaskOutcome>,
}

impl Evaluation {
    /// Returns the rule by which a grade is right, as `acc ≥ 0.5`. None where no grade had to be judged.
    pub fn rule(&self) -> Option<String> {
        self.correct_at.map(|at| format!("acc ≥ {at}"))
    }

    /// Returns the number of lost trajectories and the first reason, in words. None if none was lost.
    pub fn lost_lines(&self) -> Option<String> {
        let all = self.trajectories + self.rollouts_lost;
        let first = self.lost.first()?;
        Some(format!("{} of {all} rollouts are lost; the first: {first}", self.rollouts_lost))
    }

    /// Summarises the evaluation in words.
    pub fn sentence(&self) -> String {
        if self.trajectories + self.rollouts_lost == 0 {
            return "no held-out task is played".into();
        }
        let lost = match self.rollouts_lost {
            0 => String::new(),
            lost => format!(", {lost} rollouts lost"),
        };
        let grade = self.mean_acc.map(|acc| format!("mean grade {acc:.3}"));
        let grades: Vec<String> = self.rule().into_iter().chain(grade).collect();
        let grade = if grades.is_empty() { String::new() } else { format!(" ({})", grades.join(", ")) };
        format!(
            "held-out accuracy {:.1} %{grade}, tool calls that succeed {:.1} %, format violations {:.1} %, {:.2} turns{lost}",
            100.0 * self.accuracy,
            100.0 * self.tool_success,
            100.0 * self.violations,
            self.turns
        )
    }
}

/// Holds `evaluation.json`. A run that has it has ended.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Evaluations {
    /// Held-out evaluation before the first step.
    pub before: Evaluation,
    /// Held-out evaluation after the last step.
    pub after: Evaluation,
    /// Steps between the two. Old records lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
}

impl Evaluations {
    /// Names the file.
    pub const FILE: &str = "evaluation.json";

    /// Reads the evaluations of a run that ended and did at least `steps` steps.
    pub fn of_finished(run: &Path, steps: usize) -> Option<Self> {
        Self::read(run).filter(|found| found.steps.is_some_and(|done| done >= steps))
    }

    fn read(run: &Path) -> Option<Self> {
        serde_json::from_slice(&own::read(&run.join(Self::FILE), turnwise_files::TEXT).ok()?).ok()
    }

    /// Writes the file, as the last act of a run.
    ///
    /// # Errors
    /// The system's, with the file.
    pub fn write(&self, run: &RunDir) -> Result<(), RunDirError> {
        let text = serde_json::to_string(self).expect("a record of plain values") + "\n";
        run.write_file(Self::FILE, text.as_bytes()).map(|_| ())
    }

    /// Renames the file of a run that goes on from `step`. The new name has the step of its earlier end.
    ///
    /// # Errors
    /// The system's, with the file.
    pub fn set_aside(run: &RunDir, step: usize) -> Result<(), RunDirError> {
        let ended = Self::read(run.path()).and_then(|found| found.steps);
        run.set_aside(Self::FILE, ended.unwrap_or(step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_dir::tests::create;

    #[test]
    fn a_share_of_right_answers_names_the_grade_that_is_right() {
        let plain = Evaluation { trajectories: 8, accuracy: 0.5, ..Evaluation::default() };
        let judged = Evaluation { mean_acc: Some(0.375), ..plain.clone() };
        let graded = Evaluation { correct_at: Some(0.5), ..judged.clone() };
        for (evaluation, expect) in [
            (&plain, "held-out accuracy 50.0 %, tool"),
            (&judged, "held-out accuracy 50.0 % (mean grade 0.375), tool"),
            (&graded, "held-out accuracy 50.0 % (acc ≥ 0.5, mean grade 0.375), tool"),
        ] {
            assert!(evaluation.sentence().starts_with(expect), "{}", evaluation.sentence());
        }
        assert_eq!(Evaluation::default().sentence(), "no held-out task is played");
        assert_eq!(serde_json::to_value(&graded).unwrap()["correct_at"], 0.5);
        assert!(serde_json::to_value(&plain).unwrap().get("correct_at").is_none());
    }

    #[test]
    fn losses_are_told_with_the_first_reason() {
        assert_eq!(Evaluation::default().lost_lines(), None);
        let lost = vec!["t, sample 0: gone".to_string(), "t, sample 1: late".to_string()];
        let some = Evaluation { trajectories: 6, rollouts_lost: 2, lost, ..Evaluation::default() };
        let expect = "2 of 8 rollouts are lost; the first: t, sample 0: gone";
        assert_eq!(some.lost_lines().as_deref(), Some(expect));
    }

    #[test]
    fn evaluations_are_of_the_end_that_they_name() {
        let folder = tempfile::tempdir().unwrap();
        let run = create(&folder.path().join("a")).unwrap();
        assert_eq!(Evaluations::of_finished(run.path(), 0), None);
        let evaluations = Evaluations { steps: Some(4), ..Evaluations::default() };
        evaluations.write(&run).unwrap();
        assert_eq!(Evaluations::of_finished(run.path(), 4), Some(evaluations));
        assert_eq!(Evaluations::of_finished(run.path(), 5), None);
        Evaluations::set_aside(&run, 2).unwrap();
        assert!(run.path().join("evaluation.until_step_00004.json").exists());
        assert_eq!(Evaluations::of_finished(run.path(), 4), None);
        Evaluations::set_aside(&run, 2).unwrap();
    }
}
