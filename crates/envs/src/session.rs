//! Defines sessions: the state of one trajectory, and the environment's response to each of its turns.

use turnwise_tools::executor::bounded;
use turnwise_tools::{Executor, Fault, Sandbox, Tool};
use turnwise_trajectory::{Message, Rewards, ToolOutput, Turn};

use crate::tasks::Task;

/// Holds the input of a session.
#[derive(Clone, Copy)]
pub struct Start<'a> {
    /// The problem.
    pub task: &'a Task,
    /// Index of the trajectory in its group.
    pub sample: u32,
    /// The sandbox that Python tools run in.
    pub sandbox: Sandbox<'a>,
    /// Whether tools of others are on offer beside those of the environment.
    pub tools_beside: bool,
}

impl<'a> Start<'a> {
    /// Returns the start of a task's first trajectory, whose calls share no state.
    pub fn first(task: &'a Task, executor: &'a dyn Executor) -> Self {
        Self { task, sample: 0, sandbox: Sandbox { executor, keep_state: false }, tools_beside: false }
    }
}

/// Holds a session before its first turn.
pub struct Opened<'a> {
    /// The state.
    pub session: Box<dyn Session + 'a>,
    /// Tools that answer calls before the session is told of them. The session answers calls of other names.
    pub tools: Vec<Box<dyn Tool + 'a>>,
    /// Opening messages of the conversation if they differ from the task's.
    pub messages: Option<Vec<Message>>,
}

impl<'a> Opened<'a> {
    /// Returns a session without state: `tool` answers its calls, and scoring judges its answer.
    pub fn stateless(tool: impl Tool + 'a) -> Self {
        Self { session: Box::new(Stateless), tools: vec![Box::new(tool)], messages: None }
    }

    /// Returns the tool of this name, or none if the session answers such calls.
    pub fn tool(&self, name: &str) -> Option<&(dyn Tool + 'a)> {
        self.tools.iter().map(|tool| &**tool).find(|tool| tool.spec().name == name)
    }
}

/// Holds the state of one trajectory.
pub trait Session: Send {
    /// Takes a turn and returns the environment's response.
    ///
    /// The turn holds the outputs of tools. `own` are the positions in `turn.calls` of the calls that the
    /// session answers, in the order written. A turn that was cut off has
    /// [`Finish::Length`](turnwise_trajectory::Finish).
    ///
    /// # Errors
    /// If the environment fails. The trajectory is then played once more in a new session, and dropped if
    /// that fails too.
    fn step(&mut self, turn: &Turn, own: &[usize]) -> Result<Step, Fault>;

    /// Ends the trajectory, whatever ended it. It isn't called for a dropped one.
    ///
    /// # Errors
    /// As [`Session::step`].
    fn close(&mut self) -> Result<Closing, Fault> {
        Ok(Closing::default())
    }
}

/// Holds the environment's response to a turn.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Step {
    /// One output for each of the session's own calls.
    pub outputs: Vec<ToolOutput>,
    /// Rewards of the turn.
    pub rewards: Rewards,
    /// The next user message of a conversation. Without it, a turn without calls ends the trajectory.
    pub message: Option<String>,
    /// Whether the trajectory ends here.
    pub done: bool,
    /// Whether the trajectory is right, if that is known already.
    pub correct: Option<bool>,
}

/// Holds the environment's response to the end of a trajectory.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Closing {
    /// Rewards that are added to those of the last turn.
    pub rewards: Rewards,
    /// Whether the trajectory is right. None leaves that to an earlier step, to its rewards named `acc`, or
    /// to scoring.
    pub correct: Option<bool>,
}

/// Most bytes of an output or a message. Longer ones lose their middle: records and the tokeniser hold all of
/// them, and the policy sees `rollout.max_observation_tokens`.
const MAX_TEXT: usize = 1 << 18;

impl Step {
    /// Returns the step with bounded texts, unless it is invalid.
    ///
    /// # Errors
    /// If the number of outputs differs from `own`, or no program may give its rewards: see
    /// [`Rewards::unfit`].
    pub fn checked(self, origin: &str, own: usize) -> Result<Self, Fault> {
        let outputs = self.outputs.len();
        if outputs != own {
            return Err(Fault::new(origin, format!("{outputs} outputs for {own} calls")));
        }
        fit(&self.rewards, origin)?;
        let Self { outputs, rewards, message, done, correct } = self;
        let outputs = outputs.into_iter().map(short).collect();
        let message = message.map(|message| bounded(&message, MAX_TEXT).0);
        Ok(Self { outputs, rewards, message, done, correct })
    }
}

/// Returns an output whose texts are at most [`MAX_TEXT`] long.
fn short(output: ToolOutput) -> ToolOutput {
    let (stdout, cut) = bounded(&output.stdout, MAX_TEXT);
    let error = output.error.map(|error| bounded(&error, MAX_TEXT).0);
    ToolOutput { stdout, error, truncated: output.truncated || cut, ..output }
}

impl Closing {
    /// Returns the closing, unless a reward is invalid; see [`Step::checked`].
    ///
    /// # Errors
    /// Names the reward.
    pub fn checked(self, origin: &str) -> Result<Self, Fault> {
        fit(&self.rewards, origin)?;
        Ok(self)
    }
}

fn fit(rewards: &Rewards, origin: &str) -> Result<(), Fault> {
    match rewards.unfit() {
        Some(why) => Err(Fault::new(origin, why)),
        None => Ok(()),
    }
}

/// A session without state.
struct Stateless;

impl Session for Stateless {
    fn step(&mut self, _: &Turn, _: &[usize]) -> Result<Step, Fault> {
        Ok(Step::default())
    }
}

#[cfg(test)]
mod tests {
    use turnwise_trajectory::OutputStatus;

    use super::*;

    #[test]
    fn a_step_that_no_trajectory_can_go_on_from_is_a_fault() {
        let rewards = |reward: f64| [("progress", reward)].into_iter().collect();
        let step = |outputs: usize, reward: f64| {
            let outputs = vec![ToolOutput::says(""); outputs];
            let step = Step { outputs, rewards: rewards(reward), ..Step::default() };
            step.checked("env", 2).map_err(|fault| fault.to_string())
        };
        assert!(step(2, 0.5).is_ok());
        let long = || "x".repeat(2 * MAX_TEXT);
        let outputs = vec![ToolOutput::says(long()), ToolOutput::fails(OutputStatus::Error, long())];
        let step_of = Step { outputs, message: Some(long()), ..Step::default() }.checked("env", 2).unwrap();
        let texts = [step_of.outputs[0].stdout.clone(), step_of.outputs[1].error.clone().unwrap()];
        assert!(step_of.outputs[0].truncated && !step_of.outputs[1].truncated);
        for text in texts.into_iter().chain(step_of.message) {
            assert!(text.len() > MAX_TEXT && text.len() < MAX_TEXT + 100, "{}", text.len());
        }
        assert_eq!(step(1, 0.5).unwrap_err(), "env: 1 outputs for 2 calls");
        assert_eq!(step(3, 0.5).unwrap_err(), "env: 3 outputs for 2 calls");
        let named = |names: Vec<String>| {
            let rewards = names.into_iter().map(|name| (name, 0.0)).collect();
            Closing { rewards, ..Closing::default() }.checked("env").map_err(|fault| fault.to_string())
        };
        assert!(named((0..64).map(|number| number.to_string()).collect()).is_ok());
        let many = (0..65).map(|number| number.to_string()).collect();
        for names in [many, vec![String::new()], vec!["x".repeat(65)], vec!["a\u{7}".into()]] {
            let error = named(names).unwrap_err();
            assert!(error.contains("at most 64 names") || error.contains("a name has 1 to 64"), "{error}");
        }
        for reward in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308, -2e100] {
            let expect = "expected a number from -1e100 to 1e100";
            let expect = format!("env: the reward \"progress\" is {reward:e}, {expect}");
            assert_eq!(step(2, reward).unwrap_err(), expect);
            let closing = Closing { rewards: rewards(reward), ..Closing::default() };
            assert_eq!(closing.checked("env").unwrap_err().to_string(), expect);
        }
    }

    #[test]
    fn an_accuracy_is_from_0_to_1_and_other_names_take_any_number() {
        let closing = |name: &str, reward: f64| {
            let rewards = [(name, reward)].into_iter().collect();
            Closing { rewards, ..Closing::default() }.checked("env").map_err(|fault| fault.to_string())
        };
        // Ten tenths and three times a third are more than 1 by rounding.
        for acc in [0.0, -0.0, 0.5, 1.0, 1.0 + 4.0 * f64::EPSILON] {
            assert!(closing("acc", acc).is_ok(), "{acc}");
        }
        for acc in [1.5, -0.5, 2.0, 1e-3 - 1.0, f64::NAN, f64::INFINITY] {
            let expect = "expected a grade from 0 to 1; other names take any number";
            let expect = format!("env: the reward \"acc\" is {acc:?}, {expect}");
            assert_eq!(closing("acc", acc).unwrap_err(), expect);
            assert_eq!(closing("progress", acc).is_ok(), acc.is_finite());
        }
    }
}
