//! Tools that fail on purpose, around any environment: a policy should learn to try again.

use rand::RngExt;
use serde::{Deserialize, Serialize};
use turnwise_bounds::{Conflict, Seed, Within};
use turnwise_tools::executor::ExecutorConfig;
use turnwise_tools::{Arguments, CallContext, Fault, Tool, ToolSpec};
use turnwise_trajectory::{OutputStatus, ToolOutput, Trajectory, Turn};

use crate::config::EnvConfig;
use crate::env::{Demonstration, Env, EnvError};
use crate::seed::stream;
use crate::session::{Closing, Opened, Session, Start, Step};
use crate::tasks::{Task, Tasks};

/// Settings of the failures: `[env.flaky]`, and the environment itself in `[env.flaky.env.arithmetic]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlakyConfig {
    /// Share of calls that time out.
    #[serde(default, deserialize_with = "Within::<0, 1>::read")]
    pub timeouts: f64,
    /// Share of calls that end with an error.
    #[serde(default, deserialize_with = "Within::<0, 1>::read")]
    pub errors: f64,
    /// Seed of the failures. Task, sample, turn and position of a call decide whether it fails, whatever it says.
    #[serde(default, deserialize_with = "Seed::read")]
    pub seed: u64,
    /// The environment whose tools fail.
    pub env: Box<EnvConfig>,
}

impl FlakyConfig {
    /// Keys whose values don't go together.
    pub(crate) fn conflict(&self) -> Option<Conflict> {
        let Self { timeouts, errors, .. } = *self;
        let message = format!("is {errors} beside timeouts = {timeouts}: together they may be 1 at most");
        // A sum that is no number is none of a share.
        let shares = timeouts + errors <= 1.0;
        let inner = || self.env.conflict().map(|conflict| conflict.under("env"));
        if shares { inner() } else { Some(Conflict::new("errors", message)) }
    }
}

/// What the policy reads of a time-out on purpose.
const TIMEOUT: &str = "Timed out: the tool didn't answer";
/// What it reads of an error on purpose.
const ERROR: &str = "ConnectionError: the tool couldn't be reached";

/// The environment around another one.
pub struct Flaky {
    config: FlakyConfig,
    inner: Box<dyn Env>,
}

impl Flaky {
    /// Opens the inner environment.
    pub fn new(config: &FlakyConfig, executor: &ExecutorConfig) -> Result<Self, EnvError> {
        if let Some(Conflict { key, message }) = config.conflict() {
            return Err(EnvError::Config { env: "flaky", message: format!("{key} {message}") });
        }
        Ok(Self { config: config.clone(), inner: config.env.open(executor)? })
    }
}

/// A number for a name, the same on every machine (FNV-1a).
fn number(name: &str) -> u64 {
    name.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Decides which calls of a trajectory fail.
#[derive(Clone, Copy)]
struct Failures {
    timeouts: f64,
    errors: f64,
    seed: u64,
    sample: u32,
}

impl Failures {
    /// Returns the output of a call that fails on purpose; none for a call that is answered.
    fn draw(&self, context: CallContext) -> Option<ToolOutput> {
        let place = (u64::from(self.sample) << 32) | ((context.turn as u64) << 16) | context.position as u64;
        let drawn: f64 = stream(self.seed, "failures", place).random();
        if drawn < self.timeouts {
            Some(ToolOutput::fails(OutputStatus::Timeout, TIMEOUT))
        } else if drawn < self.timeouts + self.errors {
            Some(ToolOutput::fails(OutputStatus::Error, ERROR))
        } else {
            None
        }
    }
}

/// A tool some of whose calls fail.
struct FlakyTool<'a> {
    failures: Failures,
    inner: Box<dyn Tool + 'a>,
}

impl Tool for FlakyTool<'_> {
    fn spec(&self) -> &ToolSpec {
        self.inner.spec()
    }

    fn call(&self, arguments: &Arguments, context: CallContext) -> Result<ToolOutput, Fault> {
        self.failures.draw(context).map_or_else(|| self.inner.call(arguments, context), Ok)
    }

    fn in_order(&self) -> bool {
        self.inner.in_order()
    }
}

/// A session some of whose own calls fail, which the inner one isn't asked to answer.
struct FlakySession<'a> {
    failures: Failures,
    inner: Box<dyn Session + 'a>,
    turns: usize,
}

impl Session for FlakySession<'_> {
    fn step(&mut self, turn: &Turn, own: &[usize]) -> Result<Step, Fault> {
        let at = self.turns;
        self.turns += 1;
        let draw = |&position: &usize| self.failures.draw(CallContext { turn: at, position });
        let drawn: Vec<Option<ToolOutput>> = own.iter().map(draw).collect();
        let left: Vec<usize> =
            own.iter().zip(&drawn).filter(|(_, failed)| failed.is_none()).map(|(own, _)| *own).collect();
        let mut step = self.inner.step(turn, &left)?.checked("env.flaky", left.len())?;
        let mut answered = std::mem::take(&mut step.outputs).into_iter();
        step.outputs = drawn.into_iter().filter_map(|failed| failed.or_else(|| answered.next())).collect();
        Ok(step)
    }

    fn close(&mut self) -> Result<Closing, Fault> {
        self.inner.close()
    }
}

impl Env for Flaky {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn tasks(&self) -> &Tasks {
        self.inner.tasks()
    }

    fn session<'a>(&'a self, start: Start<'a>) -> Result<Opened<'a>, Fault> {
        let FlakyConfig { timeouts, errors, seed, .. } = self.config;
        let seed = seed ^ number(&start.task.id);
        let failures = Failures { timeouts, errors, seed, sample: start.sample };
        let Opened { session, tools, messages } = self.inner.session(start)?;
        let flaky = |inner| -> Box<dyn Tool + 'a> { Box::new(FlakyTool { failures, inner }) };
        let session = Box::new(FlakySession { failures, inner: session, turns: 0 });
        Ok(Opened { session, tools: tools.into_iter().map(flaky).collect(), messages })
    }

    fn waiting_at_once(&self) -> usize {
        self.inner.waiting_at_once()
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
    use crate::arithmetic::ArithmeticConfig;
    use turnwise_tools::executor::Echo;

    fn open(timeouts: f64, errors: f64, seed: u64) -> Result<Flaky, EnvError> {
        let inner = ArithmeticConfig { train_tasks: 50, held_out_tasks: 1, ..Default::default() };
        let config = FlakyConfig { timeouts, errors, seed, env: Box::new(EnvConfig::Arithmetic(inner)) };
        Flaky::new(&config, &ExecutorConfig::default())
    }

    /// Fates of the calls of 50 tasks, 4 samples and 5 turns.
    fn fates(env: &Flaky) -> Vec<Option<OutputStatus>> {
        let call = env.demonstration(0).unwrap().turns[0].call.clone().unwrap().0;
        let mut fates = Vec::new();
        for task in env.train() {
            for sample in 0..4 {
                let opened = env.session(Start { sample, ..Start::first(task, &Echo) }).unwrap();
                let tool = opened.tool(&call.name).unwrap();
                for turn in 0..5 {
                    let context = CallContext { turn, position: 0 };
                    let status = tool.call(&call.arguments, context).unwrap().status;
                    fates.push(Some(status).filter(|status| *status != OutputStatus::Ok));
                }
            }
        }
        fates
    }

    /// Answers its calls by their positions.
    struct Positions;

    impl Session for Positions {
        fn step(&mut self, _: &Turn, own: &[usize]) -> Result<Step, Fault> {
            let outputs = own.iter().map(|position| ToolOutput::says(position.to_string())).collect();
            Ok(Step { outputs, ..Step::default() })
        }
    }

    #[test]
    fn calls_of_the_session_itself_fail_as_those_of_a_tool_do() {
        let failures = Failures { timeouts: 0.3, errors: 0.3, seed: 5, sample: 2 };
        let mut session = FlakySession { failures, inner: Box::new(Positions), turns: 0 };
        let (mut failed, own) = (0, [0, 2, 3, 5]);
        for turn in 0..20 {
            let step = session.step(&Turn::default(), &own).unwrap();
            assert_eq!(step.outputs.len(), own.len());
            for (position, output) in own.into_iter().zip(step.outputs) {
                let drawn = failures.draw(CallContext { turn, position });
                failed += usize::from(drawn.is_some());
                assert_eq!(output, drawn.unwrap_or_else(|| ToolOutput::says(position.to_string())));
            }
        }
        assert!((30..66).contains(&failed), "{failed} of 80");
    }

    #[test]
    fn calls_fail_at_the_rates_asked_for_and_the_same_way_every_time() {
        let fates_of = |seed| fates(&open(0.1, 0.2, seed).unwrap());
        let all = fates_of(0);
        let share = |status| all.iter().filter(|fate| **fate == status).count() as f64 / all.len() as f64;
        assert!((share(Some(OutputStatus::Timeout)) - 0.1).abs() < 0.03);
        assert!((share(Some(OutputStatus::Error)) - 0.2).abs() < 0.04);
        assert_eq!(all, fates_of(0));
        assert_ne!(all, fates_of(1));
        assert!(fates(&open(0.0, 0.0, 0).unwrap()).iter().all(Option::is_none));
        assert!(fates(&open(0.5, 0.5, 0).unwrap()).iter().all(Option::is_some));
    }

    #[test]
    fn shares_beyond_one_are_refused() {
        for (timeouts, errors) in [(0.6, 0.6), (1.0, 0.1), (0.0, f64::NAN)] {
            assert!(open(timeouts, errors, 0).is_err());
        }
    }
}
