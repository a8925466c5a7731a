//! Makes tools of any environment fail on purpose, so that a policy learns to try again.

use std::hash::Hasher;

use fnv::FnvHasher;
use rand::RngExt;
use turnwise_tools::{Arguments, CallContext, Fault, Tool, ToolSpec};
use turnwise_trajectory::{OutputStatus, ToolOutput, Turn};

use crate::env::Env;
use crate::seed::stream;
use crate::session::{Closing, Opened, Session, Start, Step};
use crate::tasks::Tasks;

/// Output of a deliberate time-out.
const TIMEOUT: &str = "Timed out: the tool didn't answer";
/// Output of a deliberate error.
const ERROR: &str = "ConnectionError: the tool couldn't be reached";

/// Holds the rates of the failures, and the seed that decides which calls fail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failures {
    /// Share of calls that time out.
    pub(crate) timeouts: f64,
    /// Share of calls that end with an error.
    pub(crate) errors: f64,
    pub(crate) seed: u64,
}

/// Makes tools of another environment fail on purpose.
pub struct Flaky {
    failures: Failures,
    inner: Box<dyn Env>,
}

impl Flaky {
    pub(crate) fn new(inner: Box<dyn Env>, failures: Failures) -> Self {
        Self { failures, inner }
    }
}

/// Returns a number for a name, the same on every machine (FNV-1a).
fn number(name: &str) -> u64 {
    let mut hasher = FnvHasher::default();
    hasher.write(name.as_bytes());
    hasher.finish()
}

/// Decides which calls of a trajectory fail.
#[derive(Clone, Copy)]
struct Draws {
    /// Their seed depends on the trajectory's task.
    failures: Failures,
    /// Index of the trajectory in its group.
    sample: u32,
}

impl Draws {
    /// Returns the output of a call that fails on purpose, or none for a call that is answered.
    fn draw(&self, context: CallContext) -> Option<ToolOutput> {
        let place = (u64::from(self.sample) << 32) | ((context.turn as u64) << 16) | context.position as u64;
        let Failures { timeouts, errors, seed } = self.failures;
        let drawn: f64 = stream(seed, "failures", place).random();
        if drawn < timeouts {
            Some(ToolOutput::fails(OutputStatus::Timeout, TIMEOUT))
        } else if drawn < timeouts + errors {
            Some(ToolOutput::fails(OutputStatus::Error, ERROR))
        } else {
            None
        }
    }
}

/// A tool with calls that fail.
struct FlakyTool<'a> {
    draws: Draws,
    inner: Box<dyn Tool + 'a>,
}

impl Tool for FlakyTool<'_> {
    fn spec(&self) -> &ToolSpec {
        self.inner.spec()
    }

    fn call(&self, arguments: &Arguments, context: CallContext) -> Result<ToolOutput, Fault> {
        self.draws.draw(context).map_or_else(|| self.inner.call(arguments, context), Ok)
    }

    fn in_order(&self) -> bool {
        self.inner.in_order()
    }
}

/// A session with calls that fail. The inner session isn't asked about these.
struct FlakySession<'a> {
    draws: Draws,
    inner: Box<dyn Session + 'a>,
    turns: usize,
}

impl Session for FlakySession<'_> {
    fn step(&mut self, turn: &Turn, own: &[usize]) -> Result<Step, Fault> {
        let at = self.turns;
        self.turns += 1;
        let draw = |&position: &usize| self.draws.draw(CallContext { turn: at, position });
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
    crate::forward_env!();

    fn tasks(&self) -> &Tasks {
        self.inner.tasks()
    }

    fn session<'a>(&'a self, start: Start<'a>) -> Result<Opened<'a>, Fault> {
        let seed = self.failures.seed ^ number(&start.task.id);
        let draws = Draws { failures: Failures { seed, ..self.failures }, sample: start.sample };
        let Opened { session, tools, messages } = self.inner.session(start)?;
        let flaky = |inner| -> Box<dyn Tool + 'a> { Box::new(FlakyTool { draws, inner }) };
        let session = Box::new(FlakySession { draws, inner: session, turns: 0 });
        Ok(Opened { session, tools: tools.into_iter().map(flaky).collect(), messages })
    }

    fn waiting_at_once(&self) -> usize {
        self.inner.waiting_at_once()
    }

    fn take_log(&self) -> Vec<String> {
        self.inner.take_log()
    }

    fn sessions_at_once(&self) -> usize {
        self.inner.sessions_at_once()
    }

    fn alone_at_once(&self) -> usize {
        self.inner.alone_at_once()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::arithmetic::{Arithmetic, ArithmeticConfig};
    use turnwise_tools::executor::Echo;

    fn open(timeouts: f64, errors: f64, seed: u64) -> Flaky {
        let inner = ArithmeticConfig { train_tasks: 50, held_out_tasks: 1, ..Default::default() };
        Flaky::new(Box::new(Arithmetic::new(inner).unwrap()), Failures { timeouts, errors, seed })
    }

    /// Returns which calls of 50 tasks, 4 samples and 5 turns fail.
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

    /// A session that answers calls by their positions.
    struct Positions;

    impl Session for Positions {
        fn step(&mut self, _: &Turn, own: &[usize]) -> Result<Step, Fault> {
            let outputs = own.iter().map(|position| ToolOutput::says(position.to_string())).collect();
            Ok(Step { outputs, ..Step::default() })
        }
    }

    #[test]
    fn calls_of_the_session_itself_fail_as_those_of_a_tool_do() {
        let draws = Draws { failures: Failures { timeouts: 0.3, errors: 0.3, seed: 5 }, sample: 2 };
        let mut session = FlakySession { draws, inner: Box::new(Positions), turns: 0 };
        let (mut failed, own) = (0, [0, 2, 3, 5]);
        for turn in 0..20 {
            let step = session.step(&Turn::default(), &own).unwrap();
            assert_eq!(step.outputs.len(), own.len());
            for (position, output) in own.into_iter().zip(step.outputs) {
                let drawn = draws.draw(CallContext { turn, position });
                failed += usize::from(drawn.is_some());
                assert_eq!(output, drawn.unwrap_or_else(|| ToolOutput::says(position.to_string())));
            }
        }
        assert!((30..66).contains(&failed), "{failed} of 80");
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
