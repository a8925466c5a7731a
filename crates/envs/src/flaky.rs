//! Tools that fail on purpose, around any environment: a policy should learn to try again.

use std::hash::Hasher;

use fnv::FnvHasher;
use rand::RngExt;
use turnwise_tools::ToolSpec;
use turnwise_trajectory::{OutputStatus, Trajectory};

use crate::env::{Demonstration, Env, EnvError, Request, Response, Task};
use crate::seed::stream;

/// What the policy reads of a time-out on purpose.
const TIMEOUT: &str = "Timed out: the tool didn't answer";
/// What it reads of an error on purpose.
const ERROR: &str = "ConnectionError: the tool couldn't be reached";

/// How often calls fail on purpose, and the stream that decides which ones.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failures {
    /// Share of calls that time out.
    pub(crate) timeouts: f64,
    /// Share of calls that end with an error.
    pub(crate) errors: f64,
    pub(crate) seed: u64,
}

/// The environment around another one.
pub struct Flaky {
    failures: Failures,
    inner: Box<dyn Env>,
}

impl Flaky {
    pub(crate) fn new(inner: Box<dyn Env>, failures: Failures) -> Self {
        Self { failures, inner }
    }
}

/// A number for a name, the same on every machine (FNV-1a).
fn number(name: &str) -> u64 {
    let mut hasher = FnvHasher::default();
    hasher.write(name.as_bytes());
    hasher.finish()
}

impl Env for Flaky {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn train(&self) -> &[Task] {
        self.inner.train()
    }

    fn held_out(&self) -> &[Task] {
        self.inner.held_out()
    }

    fn tools(&self) -> &[ToolSpec] {
        self.inner.tools()
    }

    fn respond(&self, request: &Request<'_>) -> Response {
        let place =
            (u64::from(request.sample) << 32) | ((request.turn as u64) << 16) | request.position as u64;
        let mut rng = stream(self.failures.seed ^ number(&request.task.id), "failures", place);
        let drawn: f64 = rng.random();
        if drawn < self.failures.timeouts {
            Response::fails(OutputStatus::Timeout, TIMEOUT)
        } else if drawn < self.failures.timeouts + self.failures.errors {
            Response::fails(OutputStatus::Error, ERROR)
        } else {
            self.inner.respond(request)
        }
    }

    fn answer(&self, text: &str) -> Option<String> {
        self.inner.answer(text)
    }

    fn final_answer(&self, played: &Trajectory) -> Option<String> {
        self.inner.final_answer(played)
    }

    fn is_correct(&self, task: &Task, answer: &str) -> Result<bool, EnvError> {
        self.inner.is_correct(task, answer)
    }

    fn vote(&self, task: &Task, answer: &str) -> Option<String> {
        self.inner.vote(task, answer)
    }

    fn demonstration(&self, index: u64) -> Option<Demonstration> {
        self.inner.demonstration(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::{Arithmetic, ArithmeticConfig};

    fn open(timeouts: f64, errors: f64, seed: u64) -> Flaky {
        let inner = ArithmeticConfig { train_tasks: 50, held_out_tasks: 1, ..Default::default() };
        Flaky::new(Box::new(Arithmetic::new(inner).unwrap()), Failures { timeouts, errors, seed })
    }

    /// Fates of the calls of 50 tasks, 4 samples and 5 turns.
    fn fates(env: &Flaky) -> Vec<Option<OutputStatus>> {
        let call = env.demonstration(0).unwrap().turns[0].call.clone().unwrap().0;
        let mut fates = Vec::new();
        for task in env.train() {
            for (sample, turn) in (0..4).flat_map(|sample| (0..5).map(move |turn| (sample, turn))) {
                let request = Request { task, sample, turn, position: 0, call: &call };
                fates.push(match env.respond(&request) {
                    Response::Output(output) => Some(output.status),
                    Response::Run(_) => None,
                });
            }
        }
        fates
    }

    #[test]
    fn calls_fail_at_the_rates_asked_for_and_the_same_way_every_time() {
        let fates_of = |seed| fates(&open(0.1, 0.2, seed));
        let all = fates_of(0);
        let share = |status| all.iter().filter(|fate| **fate == status).count() as f64 / all.len() as f64;
        assert!((share(Some(OutputStatus::Timeout)) - 0.1).abs() < 0.03);
        assert!((share(Some(OutputStatus::Error)) - 0.2).abs() < 0.04);
        assert_eq!(all, fates_of(0));
        assert_ne!(all, fates_of(1));
        assert!(fates(&open(0.0, 0.0, 0)).iter().all(Option::is_none));
        assert!(fates(&open(0.5, 0.5, 0)).iter().all(Option::is_some));
    }
}
