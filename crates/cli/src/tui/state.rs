//! The state that the live view shows of a run.

use std::collections::VecDeque;

use turnwise_run::{Metric, StepMetrics};

/// Number of messages that are kept.
const MESSAGES: usize = 50;

/// Counts towards a total.
pub(super) struct Phase {
    pub(super) name: String,
    pub(super) done: u64,
    pub(super) total: u64,
}

/// Holds the reported state of a run.
#[derive(Default)]
pub(super) struct State {
    /// The run directory.
    pub(super) run: String,
    /// Phases in the order in which they were first reported.
    pub(super) phases: Vec<Phase>,
    /// Index of the current phase.
    pub(super) current: usize,
    /// The lines of `metrics.jsonl`, including those from before a stop.
    pub(super) metrics: Vec<StepMetrics>,
    /// Messages, newest last. Those of steps are left out, as the curves show them.
    pub(super) messages: VecDeque<String>,
    /// A rollout of the newest step.
    pub(super) rollout: String,
    /// Whether the run was asked to end.
    pub(super) stopping: bool,
}

impl State {
    pub(super) fn phase(&mut self, name: &str, total: u64) {
        if let Some(known) = self.phases.iter().position(|phase| phase.name == name) {
            self.current = known;
            self.phases[known].total = total;
        } else {
            self.current = self.phases.len();
            self.phases.push(Phase { name: name.into(), done: 0, total });
        }
    }

    pub(super) fn advance(&mut self, done: u64) {
        if let Some(phase) = self.phases.get_mut(self.current) {
            phase.done = done;
        }
    }

    pub(super) fn say(&mut self, text: &str) {
        if text.starts_with("step ") {
            return;
        }
        self.messages.extend(text.lines().map(String::from));
        let surplus = self.messages.len().saturating_sub(MESSAGES);
        self.messages.drain(..surplus);
    }

    /// Returns a metric over steps, counted from 1; steps without it are left out.
    pub(super) fn points(&self, metric: fn(&StepMetrics) -> Metric) -> Vec<(f64, f64)> {
        let point = |step: &StepMetrics| Some((step.step as f64 + 1.0, metric(step).value()?));
        self.metrics.iter().filter_map(point).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_heard_is_kept_in_bounds() {
        let mut state = State::default();
        state.phase("steps", 4);
        state.advance(1);
        state.phase("rollouts", 8);
        state.advance(3);
        state.phase("steps", 5);
        let phases: Vec<_> = state.phases.iter().map(|p| (p.name.as_str(), p.done, p.total)).collect();
        assert_eq!((phases, state.current), (vec![("steps", 1, 5), ("rollouts", 3, 8)], 0));
        state.say("step 1/4: right 50.0 %");
        assert!(state.messages.is_empty(), "steps are drawn");
        for number in 0..60 {
            state.say(&format!("guard {number}\n  hint: x"));
        }
        assert_eq!((state.messages.len(), state.messages[49].as_str()), (MESSAGES, "  hint: x"));
    }
}
