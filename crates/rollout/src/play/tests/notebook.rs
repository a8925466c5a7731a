//! Calls that share a state, and turns that stop after a call, with real Python.

use turnwise_envs::{Arithmetic, ArithmeticConfig, Env, EnvError, Opened, Start, Task, Tasks};
use turnwise_tools::executor::{PythonConfig, PythonExecutor};
use turnwise_tools::{Fault, FormatName, PythonTool, observation};
use turnwise_trajectory::{CallRecord, Completion, Finish};

use crate::chat::ChatFormat;
use crate::limits::Limits;
use crate::play::*;
use crate::testing::chat;
use crate::turn_end::TurnEnd;

/// Runs the policy's code unchanged.
struct Notebook(Arithmetic);

impl Env for Notebook {
    fn name(&self) -> &'static str {
        "notebook"
    }

    fn tasks(&self) -> &Tasks {
        self.0.tasks()
    }

    fn session<'a>(&'a self, start: Start<'a>) -> Result<Opened<'a>, Fault> {
        Ok(Opened::stateless(PythonTool::new(start.sandbox)))
    }

    fn answer(&self, text: &str) -> Option<String> {
        self.0.answer(text)
    }

    fn is_correct(&self, task: &Task, answer: &str) -> Result<bool, EnvError> {
        self.0.is_correct(task, answer)
    }
}

/// Samples its lines, one a turn, and stops where the rule says.
struct Lines(Vec<String>);

impl Policy for Lines {
    fn serve(&mut self, turns: &Turns<'_>, end: &TurnEnd<'_>) -> Result<(), PolicyError> {
        while let Some(context) = turns.take() {
            let line = self.0.get(context.turn).map_or("Answer: 1", String::as_str);
            let mut watch = end.watch();
            let mut tokens = chat().tokens(line);
            let stop = tokens.iter().position(|token| watch.sampled(*token).is_some());
            let finish = if let Some(at) = stop {
                tokens.truncate(at + 1);
                Finish::StopString
            } else {
                tokens.push(end.tokens()[0]);
                Finish::EndOfTurn
            };
            let logprobs = vec![-0.5; tokens.len()];
            turns.answer(context.index, Completion { logprobs, tokens, finish, ..Completion::default() });
        }
        Ok(())
    }
}

fn played(lines: &[&str], change: impl Fn(&mut Game<'_>)) -> Trajectory {
    let env = Notebook(Arithmetic::new(ArithmeticConfig { train_tasks: 4, ..Default::default() }).unwrap());
    let (chat, format) = (chat(), FormatName::FencedPython.build());
    let python = PythonExecutor::new(PythonConfig::default()).unwrap();
    let limits = Limits { turns: 8, turn_tokens: 200, tokens: 4000, observation_tokens: 60, turn_calls: 8 };
    let mut game = Game {
        env: &env,
        chat: &chat,
        format: &*format,
        executor: &python,
        limits,
        describe_tools: false,
        stop_at_call: false,
        keep_state: false,
    };
    change(&mut game);
    let mut policy = Lines(lines.iter().map(ToString::to_string).collect());
    let mut played = play(&game, &[&env.train()[0]], 2, &mut policy, &mut |_, _| {}).unwrap();
    assert_eq!((played.groups[0].len(), played.lost.len()), (2, 0));
    assert!(played.executor.executions > 0);
    played.groups[0].remove(1)
}

/// Returns the output of every call, turn by turn.
fn outputs(trajectory: &Trajectory) -> Vec<Vec<String>> {
    let text = |call: &CallRecord| match call {
        CallRecord::Executed { output, .. } => observation(output),
        CallRecord::Malformed(call) => format!("{:?}", call.kind),
    };
    trajectory.turns.iter().map(|turn| turn.calls.iter().map(text).collect()).collect()
}

#[test]
fn calls_of_a_trajectory_share_a_state_only_if_it_is_kept() {
    let lines = ["```python\nx = 20\n```\n```python\nx += 1\nx\n```", "```python\n2 * x\n```"];
    let kept = played(&lines, |game| game.keep_state = true);
    assert_eq!(outputs(&kept), [vec!["[no output]", "21"], vec!["42"], vec![]]);
    let fresh = played(&lines, |_| {});
    let lost = "NameError: name 'x' is not defined";
    assert_eq!(outputs(&fresh), [vec!["[no output]", lost], vec![lost], vec![]]);
}

#[test]
fn a_stop_keeps_its_tokens_and_costs_only_what_was_forged() {
    let call = "```python\n1 + 1\n```\n";
    let tokens = |text: &str| chat().tokens(text);
    // ToRL's stop string ends the turn, so there is no text after it.
    let stopped = played(&[&format!("{call}```output\n3\n```")], |_| {});
    assert_eq!(stopped.turns[0].text, format!("{call}```output"));
    assert_eq!(outputs(&stopped)[0], ["2"]);
    assert!(tokens(&format!("{call}```output\n3")).starts_with(&stopped.turns[0].tokens));
    assert_eq!(stopped.turns[0].logprobs.len(), stopped.turns[0].tokens.len());
    // `stop_at_call` ends the turn after the first call.
    let two = format!("{call}And:\n```python\n3\n```\n");
    let first = played(&[&two], |game| game.stop_at_call = true);
    assert_eq!((outputs(&first)[0].len(), first.turns[0].finish), (1, Finish::StopString));
    assert_eq!(outputs(&played(&[&two], |_| {}))[0], ["2", "3"]);
}
